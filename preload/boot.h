/* SPDX-License-Identifier: MIT */
/*
 * Memory for the time in which the loader is asked for the allocator: the loader may allocate for that, and
 * so may other threads. It is given out once and never taken back.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "preload/shim.h"

enum { BOOT_BYTES = 256 << 10 };

/* Aligned to `alignment`, a power of two, and zeroed; NULL with ENOMEM where nothing is left. */
void *boot_allocate(size_t alignment, size_t size) hidden;

/* Whether the block is of boot memory; boot_size then is how much was asked for. */
bool boot_has(const void *block) hidden;
size_t boot_size(const void *block) hidden;

/* Whether any was given out: only then free and realloc have to look. */
bool boot_was_used(void) hidden;
