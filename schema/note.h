/* SPDX-License-Identifier: MIT */
/*
 * A note: a short text of lines, kept by people and by no program: alerts, tags, patterns. It is stored and
 * published as it reads back; what a line may say is its kind's affair. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "schema/base/buf.h"
#include "schema/base/err.h"
#include "schema/base/kv.h"

enum note { NOTE_ALERTS, NOTE_TAGS, NOTE_LEAKS_SKIP, NOTE_LEAKS_SUPPRESS, N_NOTES };

/* As in the mount and in the store. */
extern const char *const note_name[N_NOTES];

/* All of it is one page: so much a file has that the kernel reads in one piece. */
enum { NOTE_MAX = 4096, NOTE_LINES_MAX = 128, NOTE_LINE_MAX = 1024, NOTE_NAME_MAX = 64 };

struct note_text {
	uint64_t len; /* at most NOTE_MAX */
	char text[NOTE_MAX];
};

/*
 * Checks a line without its newline and appends it as it is kept, or nothing, where there is nothing to keep
 * (a comment). 0, or -errno with the reason.
 */
typedef int note_line_fn(struct span line, struct buf *out, struct err *err);

struct note_kind {
	note_line_fn *check;
	bool named; /* a line is its name, a blank, the rest; else it is a name as a whole, and later ones
		     * count for more */
};

/*
 * Applies every line of one write, or none: a line replaces the one of the same name or is appended, `-NAME`
 * removes. 0; -EFBIG where the whole grew too large; or what the check said, with the number of the line.
 */
int note_apply(
	struct note_text *note, const struct note_kind *kind, const char *text, size_t len, struct err *err);

/* What is stored or published may be of another version: keeps of it the lines that are right. */
void note_load(struct note_text *note, const struct note_kind *kind, const char *text, size_t len);

/* The kinds of lines that are known to all. A tag: a Prometheus label name, and any text, escaped. */
int note_tag(struct span line, struct buf *out, struct err *err);
