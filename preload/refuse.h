/* SPDX-License-Identifier: MIT */
/*
 * Where the shim must not be: asked once, when it starts.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "preload/shim.h"

/* Why this process is to have no region; SHADOW_FINE: it may. `handed`: a region was handed over. */
enum shadow_reason refuse_reason(bool handed) hidden;

/* Whether a filter of system calls is there, as far as it can be told; true where it cannot. */
bool refuse_is_sandboxed(void) hidden;

/* The value of `Seccomp:` in a process's status; -1: it is not there. Pure. */
int refuse_seccomp_parse(const char *text, size_t len) hidden;
