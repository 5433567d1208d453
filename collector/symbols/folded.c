/* SPDX-License-Identifier: MIT */
#include "collector/symbols/folded.h"

void folded_put_frame(struct buf *out, const char *name, bool first)
{
	if (!first)
		buf_putc(out, ';');
	if (!name || !*name)
		name = "-";
	for (; *name; name++) {
		unsigned char c = (unsigned char)*name;
		buf_putc(out, c == ';' ? ':' : c < 0x20 || c == 0x7f ? '?' : (char)c);
	}
}

void folded_put_bytes(struct buf *out, uint64_t bytes)
{
	buf_putc(out, ' ');
	buf_put_u64(out, bytes);
	buf_putc(out, '\n');
}
