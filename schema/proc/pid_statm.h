/* SPDX-License-Identifier: MIT */
/* /proc/PID/statm (fs/proc/array.c, proc_pid_statm): size resident shared text lib data dt, in pages. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "schema/metrics.h"

/*
 * Sets the metrics whose source is PID_STATM (keys: the column names above), in bytes. Nothing is set for a
 * process without memory of its own (all columns 0: kernel threads, zombies). False where the text is not
 * such a line. Pure; survives any bytes.
 */
bool pid_statm_parse(struct process_values *values, const char *text, size_t len, uint64_t page_bytes);
