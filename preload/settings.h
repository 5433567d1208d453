/* SPDX-License-Identifier: MIT */
/*
 * What the environment says of the shim.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "preload/shim.h"

/*
 * `off`, `exact`, `sample [BYTES]`, `stacks [BYTES]` as the control word; BYTES with K, M, G, T in either
 * case, powers of 1024, at least 1. False where it is none of these.
 */
bool settings_trace_parse(const char *text, uint64_t *ret_control) hidden;

/* FD:INODE, both decimal. */
bool settings_handed_parse(const char *text, int *ret_fd, uint64_t *ret_inode) hidden;

/* The value in an environment, or NULL. Unlike getenv(3) it takes no lock. */
const char *settings_variable(char *const *environment, const char *name) hidden;

/* first_control, follow and run_dir of shim, each as it is where a variable is absent or cannot be
 * understood. */
void settings_read(char *const *environment) hidden;
