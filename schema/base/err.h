/* SPDX-License-Identifier: MIT */
/*
 * How functions fail here: 0 is fine; a negative errno is unexpected and passed up unchanged; a positive
 * value of a function's own enum is a documented outcome, handled by its caller. Where a person will ask why,
 * the errno travels with one sentence in a struct err.
 */
#pragma once

#include <errno.h>

enum { ERR_REASON_MAX = 200 };

struct err {
	int code;                    /* errno, positive; 0 while nothing failed */
	char reason[ERR_REASON_MAX]; /* one sentence for a person, no newline, NUL-terminated */
};

/* Records code (a positive errno) and the sentence; returns -code. err may be NULL. The first failure stays.
 */
int err_set(struct err *err, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The symbolic name of an errno, "EINVAL"; "E?" for one that has none. */
const char *err_name(int code);
