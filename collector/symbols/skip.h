/* SPDX-License-Identifier: MIT */
/*
 * Wrappers: functions that allocate for whoever calls them, so that naming them names everybody. A list of
 * patterns says which frames are passed over when the caller that is shown is chosen. Pure.
 *
 * A line is a pattern of a function's name, or `module:PATTERN` for all functions of modules of that name;
 * `*` is any text, `?` any character; `#` begins a comment. `!PATTERN` takes out what came before. A name
 * matches with and without its arguments: `operator new*`, `std::__cxx11::basic_string*`, `xmalloc`.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "schema/base/err.h"
#include "schema/base/kv.h"

struct skip_pattern {
	struct span text;
	bool module; /* of a module's name */
	bool except; /* what matches is no wrapper after all */
};

struct skip_list {
	const struct skip_pattern *pattern; /* the last that matches decides */
	size_t n;
};

/* What is skipped where nobody says otherwise: C, C++, GLib, SQLite, Python, OpenSSL, Rust and their like. */
extern const struct skip_list skip_builtin;

/*
 * The next pattern of a list's text, which then begins behind it. 1; 0 at the end; -EINVAL with the reason,
 * for one that cannot be meant, behind which it goes on. Patterns point into the text.
 */
int skip_next(struct span *rest, struct skip_pattern *ret, struct err *err);

/* Whether a function of a module is a wrapper. The lists in turn, the last match decides. */
bool skip_matches(const struct skip_list *list, size_t n_lists, const char *function, const char *module);

/* Text against a pattern of `*` and `?`, the whole of it. Linear in text times pattern. */
bool skip_glob(struct span pattern, struct span text);
