/* SPDX-License-Identifier: MIT */
/*
 * /proc/PID/mountinfo (fs/proc_namespace.c, show_mountinfo): a mount a line, "36 35 98:0 /root /mount/point
 * options tags - type source options". Fields stand between single blanks; blanks, newlines and backslashes
 * in a path are \ooo, other control bytes as they are.
 */
#pragma once

#include <stdbool.h>

#include "schema/base/buf.h"
#include "schema/base/kv.h"

struct mountinfo {
	struct span root; /* what of the file system is seen there: "/" all; escaped as in the text */
	struct span dir;  /* where; the same */
	struct span type;
	struct span options; /* of the file system, by commas; those of the mount alone are not in it */
};

/* One line. False where it is none: *ret is then untouched. The spans point into it. Pure; survives any
 * bytes. */
bool mountinfo_parse(struct span line, struct mountinfo *ret);

/* The value of `name=value` among the options; false where it is not there. */
bool mountinfo_option(const struct mountinfo *mount, const char *name, struct span *ret_value);

/* Appends a directory as the kernel would write it; buf_put_unescaped is the other way round. */
void mountinfo_escape(struct buf *out, const char *dir);
