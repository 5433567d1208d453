/* SPDX-License-Identifier: MIT */
/* Patterns of `*`, any text, and `?`, any byte. Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "schema/base/err.h"
#include "schema/base/kv.h"

/* Refuses a line of patterns with control characters: nothing that is matched has any. 0 or -EINVAL with the
 * reason. */
int glob_check_line(struct span line, struct err *err);

/* Whether the pattern is the whole of the text. At most the product of their lengths is looked at. */
bool glob_matches(struct span pattern, struct span text);
