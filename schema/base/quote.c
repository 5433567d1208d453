/* SPDX-License-Identifier: MIT */
#include "schema/base/quote.h"

#include "schema/base/buf.h"

const char *quote(char out[static QUOTE_TEXT], struct span text)
{
	struct buf buf = { .data = out, .cap = QUOTE_TEXT, .fixed = true };

	for (size_t i = 0; i < text.n && i < QUOTE_BYTES; i++) {
		unsigned char c = (unsigned char)text.p[i];
		if (c < 0x80)
			buf_put_escaped(&buf, &text.p[i], 1);
		else
			buf_printf(&buf, "\\%03o", c);
	}
	if (text.n > QUOTE_BYTES)
		buf_puts(&buf, "...");
	buf_putc(&buf, '\0');
	return out;
}
