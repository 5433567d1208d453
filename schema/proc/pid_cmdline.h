/* SPDX-License-Identifier: MIT */
/* /proc/PID/cmdline (fs/proc/base.c, proc_pid_cmdline_read): the words of a command line, a NUL behind each.
 */
#pragma once

#include <stddef.h>

#include "schema/base/buf.h"

/* Appends it as one line, without newline: each word escaped, a blank between them. Survives any bytes. */
void pid_cmdline_put_args(struct buf *out, const char *text, size_t len);
