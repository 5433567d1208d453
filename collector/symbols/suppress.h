/* SPDX-License-Identifier: MIT */
/*
 * Suppression files of LeakSanitizer, as its users have them: `leak:PATTERN` a line, the rest of `#` lines
 * and blank ones passed over. A pattern matches the function, file or module of any frame, anywhere in the
 * text;
 * `*` is any text, `^` at its beginning and `$` at its end bind it there.
 * https://clang.llvm.org/docs/AddressSanitizer.html#suppressing-memory-leaks, sanitizer_suppressions.cpp and
 * TemplateMatch of sanitizer_common. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "schema/base/err.h"
#include "schema/base/kv.h"

/*
 * The next pattern of a file's text, which then begins behind it. 1; 0 at the end; -EINVAL with the reason
 * for a line that is of no known kind (those of other sanitizers, `race:` and so on, are passed over), behind
 * which it goes on. The pattern points into the text.
 */
int suppress_next(struct span *rest, struct span *ret_pattern, struct err *err);

/* Whether a pattern matches somewhere in the text. */
bool suppress_matches(struct span pattern, const char *text);
