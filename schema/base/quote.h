/* SPDX-License-Identifier: MIT */
/* Text of a user inside a sentence for a person. */
#pragma once

#include "schema/base/kv.h"

/* At most QUOTE_BYTES of theirs, so that the sentence keeps its end. */
enum { QUOTE_BYTES = 20, QUOTE_TEXT = QUOTE_BYTES * 4 + sizeof("...") };

/* Fills out with the text in printable ASCII, what is none of it as \ooo, and returns it. */
const char *quote(char out[static QUOTE_TEXT], struct span text);
