/* SPDX-License-Identifier: MIT */
/*
 * /proc/PID/auxv (fs/proc/base.c, proc_pid_auxv_read): what the kernel gave a program at its start, pairs of
 * words of the program's size, ended by AT_NULL (getauxval(3)).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pid_auxv {
	bool wide;          /* of 64 bits */
	bool secure;        /* AT_SECURE: it has rights that its starter had not */
	bool interpreted;   /* AT_BASE: a loader brought its libraries in */
	uint64_t page_bytes; /* AT_PAGESZ */
};

/* False where the bytes are not such a vector (a kernel thread's is empty): *ret is then untouched. Pure;
 * survives any bytes. */
bool pid_auxv_parse(struct pid_auxv *ret, const void *bytes, size_t len);
