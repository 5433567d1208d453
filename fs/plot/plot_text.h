/* SPDX-License-Identifier: MIT */
/* Text of any origin as the content of an XML element. */
#pragma once

#include <stddef.h>

#include "schema/base/buf.h"

/*
 * At most max_chars characters of the text, the last one "…" where it is longer. Bytes that are no UTF-8,
 * characters that XML does not have, and those that turn the order of what follows become U+FFFD.
 */
void plot_text_put(struct buf *out, const char *text, size_t max_chars);
