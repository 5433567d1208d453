/* SPDX-License-Identifier: MIT */
#include "fs/plot/plot_text.h"

#include <stdbool.h>
#include <stdint.h>

enum { REPLACEMENT = 0xfffd };

/* The character at *p, which moves behind it; REPLACEMENT for one byte that begins none (RFC 3629). */
static uint32_t next_char(const unsigned char **p)
{
	static const uint32_t smallest[] = { 0, 0x80, 0x800, 0x10000 };
	const unsigned char *at = *p;
	unsigned more = *at < 0x80 ? 0 : *at >> 5 == 6 ? 1 : *at >> 4 == 14 ? 2 : *at >> 3 == 30 ? 3 : 4;
	uint32_t c = more ? *at & (0x3fu >> more) : *at;

	*p = at + 1;
	if (more > 3)
		return REPLACEMENT;
	for (unsigned i = 1; i <= more; i++) {
		if (at[i] >> 6 != 2) /* the NUL at the end among them */
			return REPLACEMENT;
		c = c << 6 | (at[i] & 0x3f);
	}
	if (c < smallest[more] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return REPLACEMENT;
	*p = at + 1 + more;
	return c;
}

/* https://www.w3.org/TR/xml/#charsets, without controls; U+202A..E and U+2066..9 set the direction of text.
 */
static bool is_shown(uint32_t c)
{
	return c >= 0x20 && !(c >= 0x7f && c < 0xa0) && c != 0xfffe && c != 0xffff &&
	       !(c >= 0x202a && c <= 0x202e) && !(c >= 0x2066 && c <= 0x2069);
}

void plot_text_put(struct buf *out, const char *text, size_t max_chars)
{
	const unsigned char *at = (const unsigned char *)text;

	for (size_t n = 0; *at; n++) {
		const unsigned char *begin = at;
		uint32_t c = next_char(&at);
		if (n + 1 >= max_chars && *at) {
			buf_puts(out, "…");
			return;
		}
		if (c == '&')
			buf_puts(out, "&amp;");
		else if (c == '<')
			buf_puts(out, "&lt;");
		else if (c == '>')
			buf_puts(out, "&gt;");
		else if (c == REPLACEMENT || !is_shown(c))
			buf_puts(out, "\xef\xbf\xbd");
		else
			buf_put(out, begin, (size_t)(at - begin));
	}
}
