/* SPDX-License-Identifier: MIT */
/*
 * Suppression files of LeakSanitizer, as its users have them: `leak:PATTERN` a line, blank ones and those
 * with
 * `#` passed over. A leak is suppressed if a pattern matches the function, source file or module of any
 * frame: somewhere in that text, unless `^` binds the pattern to its beginning or `$` to its end; `*` is any
 * text. https://github.com/google/sanitizers/wiki/AddressSanitizerLeakSanitizer#suppressions. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "schema/base/buf.h"
#include "schema/base/err.h"
#include "schema/base/kv.h"

/*
 * The next pattern of a file's text, which then begins behind it. 1; 0 at the end; -EINVAL with the reason
 * for a line without a kind or without a pattern, behind which it goes on. Kinds of other sanitizers (`race:`
 * and so on) are passed over. The pattern points into the text.
 */
int suppress_next(struct span *rest, struct span *ret_pattern, struct err *err);

/* A line of the note `leaks_suppress`: a note_line_fn. */
int suppress_line(struct span line, struct buf *out, struct err *err);

/* Whether a pattern matches the text. */
bool suppress_matches(struct span pattern, const char *text);
