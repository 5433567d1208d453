/* SPDX-License-Identifier: MIT */
/*
 * Wrappers: functions that allocate for whoever calls them, so that naming them names everybody. A list of
 * patterns says which frames are passed over when the caller that is shown is chosen. Pure.
 *
 * A line of a list (the note `leaks_skip`) is a pattern of a function's name, or `module:PATTERN` for all
 * functions of modules whose name that is; `*` is any text, `?` any character. `!PATTERN` takes out what came
 * before; `#` begins a comment. A name is tried with and without its arguments, without the type that
 * templates return: `operator new`, `std::vector<*`, `xmalloc`.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "schema/base/buf.h"
#include "schema/base/err.h"
#include "schema/base/kv.h"

struct skip_pattern {
	struct span text;
	bool module; /* of a module's name */
	bool except; /* what matches is no wrapper after all */
};

struct skip_list {
	const struct skip_pattern *pattern;
	size_t n;
};

/* What is skipped where nobody says otherwise: the C and C++ libraries, and the wrappers of well-known
 * projects. */
extern const struct skip_list skip_builtin;

/*
 * The next pattern of a list's text, which then begins behind it. 1; 0 at the end; -EINVAL with the reason
 * for a line that cannot be meant, behind which it goes on. Patterns point into the text.
 */
int skip_next(struct span *rest, struct skip_pattern *ret, struct err *err);

/* A line of the note: a note_line_fn. */
int skip_line(struct span line, struct buf *out, struct err *err);

/* Whether a function of a module is a wrapper. Lists in turn; the last pattern that matches decides. Either
 * may be NULL where it is unknown. */
bool skip_matches(const struct skip_list *list, size_t n_lists, const char *function, const char *module);

struct skip_frame {
	const char *function, *module;
};

/*
 * The frame to show of some, innermost first (what is inlined at a place and the places of a stack alike):
 * the first that is no wrapper. Where all are, as with the one caller that exact mode records inside xmalloc,
 * it is the outermost, and *ret_wrapper: it is then shown in brackets, `[xmalloc]`, for who called it is not
 * on record, and the mode `stacks` would tell. n is not 0.
 */
size_t skip_choose(const struct skip_list *list, size_t n_lists, const struct skip_frame *frame, size_t n,
	bool *ret_wrapper);
