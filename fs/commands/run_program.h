/* SPDX-License-Identifier: MIT */
/* What a program is that somebody wants to run: whether anything can be preloaded into it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "schema/base/buf.h"

enum program_kind {
	PROGRAM_DYNAMIC,
	PROGRAM_UNKNOWN, /* it cannot be looked at; whoever runs it says why */
	PROGRAM_STATIC,
	PROGRAM_OTHER_MACHINE, /* of 32 bits, or another processor's */
	PROGRAM_SECURE,        /* setuid, setgid or with capabilities: the loader preloads nothing */
};

/* By the beginning of its file, where that is an ELF file with its program headers in it. Pure; survives any
 * bytes. */
enum program_kind program_kind_of(const void *bytes, size_t len);

/* Of a script: appends the path of its interpreter, without NUL; nothing where it is none. Pure. */
void program_put_interpreter(struct buf *out, const void *bytes, size_t len);

/* Looks a command up as execvp(3) does, and looks at it, or at what interprets it. */
enum program_kind program_look(const char *command);
