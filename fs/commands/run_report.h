/* SPDX-License-Identifier: MIT */
/* What a program had not freed when it ended, for `memfs run --report`. */
#pragma once

#include <sys/types.h>

/*
 * Prints on standard error what ended/PID-STARTTIME/leaks of a mounted memfs says of the process that just
 * ended: a line with the sums of `stat`, then the first places of `callers`. Waits until it is there. 0, or
 * -ENOENT where it does not come, which is said.
 */
int run_report(pid_t pid);
