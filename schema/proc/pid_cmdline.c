/* SPDX-License-Identifier: MIT */
#include "schema/proc/pid_cmdline.h"

#include <string.h>

void pid_cmdline_put_args(struct buf *out, const char *text, size_t len)
{
	/* Programs that write their own title leave many behind it. */
	while (len && !text[len - 1])
		len--;
	for (const char *end = text + len; text < end;) {
		size_t n = strnlen(text, (size_t)(end - text));

		buf_put_escaped(out, text, n);
		text += n;
		if (text < end) {
			buf_putc(out, ' ');
			text++;
		}
	}
}
