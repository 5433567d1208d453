/* SPDX-License-Identifier: MIT */
/*
 * The mappings of this process, without allocating.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "preload/shim.h"

typedef void maps_each_fn(void *ctx, uintptr_t start, uintptr_t end);

/* Calls `each` for every line of /proc/self/maps. 0, or -1 with errno where it cannot be read. */
int maps_walk(maps_each_fn *each, void *ctx) hidden;

/* START-END at the beginning of a line, in hex. False: it is no such line. Pure. */
bool maps_parse(const char *line, size_t len, uintptr_t *ret_start, uintptr_t *ret_end) hidden;
