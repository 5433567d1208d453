/* SPDX-License-Identifier: MIT */
/* Patterns of `*`, any text, and `?`, any byte. Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "schema/base/kv.h"

/* Whether the pattern is the whole of the text. At most the product of their lengths is looked at. */
bool glob_matches(struct span pattern, struct span text);
