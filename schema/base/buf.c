/* SPDX-License-Identifier: MIT */
#include "schema/base/buf.h"
#include "schema/base/num.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void buf_deinit(struct buf *buf)
{
	if (!buf->fixed)
		free(buf->data);
	*buf = BUF_INIT;
}

int buf_error(const struct buf *buf)
{
	if (!buf->failed)
		return 0;
	return buf->fixed ? -EFBIG : -ENOMEM;
}

char *buf_reserve(struct buf *buf, size_t n)
{
	if (buf->failed)
		return NULL;
	if (!buf->data || n > buf->cap - buf->len) {
		size_t cap = buf->cap ? buf->cap : 256;
		char *data;

		while (cap - buf->len < n && cap <= SIZE_MAX / 2)
			cap *= 2;
		if (buf->fixed || cap - buf->len < n || !(data = realloc(buf->data, cap))) {
			buf->failed = true;
			return NULL;
		}
		buf->data = data;
		buf->cap = cap;
	}
	return buf->data + buf->len;
}

void buf_put(struct buf *buf, const void *bytes, size_t n)
{
	char *room = n ? buf_reserve(buf, n) : NULL;

	if (room) {
		memcpy(room, bytes, n);
		buf->len += n;
	}
}

void buf_puts(struct buf *buf, const char *text)
{
	buf_put(buf, text, strlen(text));
}

void buf_putc(struct buf *buf, char c)
{
	buf_put(buf, &c, 1);
}

void buf_put_u64(struct buf *buf, uint64_t value)
{
	char text[NUM_TEXT_MAX];
	buf_put(buf, text, num_format_u64(text, value));
}

void buf_put_i64(struct buf *buf, int64_t value)
{
	char text[NUM_TEXT_MAX];
	buf_put(buf, text, num_format_i64(text, value));
}

void buf_printf(struct buf *buf, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(NULL, 0, format, args);
	va_end(args);
	/* One byte more than the text, for the NUL that vsnprintf insists on. */
	char *room = n < 0 ? NULL : buf_reserve(buf, (size_t)n + 1);
	if (!room) {
		buf->failed = true;
		return;
	}
	va_start(args, format);
	vsnprintf(room, (size_t)n + 1, format, args);
	va_end(args);
	buf->len += (size_t)n;
}

void buf_put_escaped(struct buf *buf, const char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)bytes[i];
		if (c < 0x20 || c == 0x7f || c == '\\') {
			const char octal[] = { '\\', (char)('0' + (c >> 6)), (char)('0' + (c >> 3 & 7)),
				(char)('0' + (c & 7)) };
			buf_put(buf, octal, sizeof(octal));
		} else {
			buf_putc(buf, (char)c);
		}
	}
}

static bool is_octal(char c)
{
	return c >= '0' && c <= '7';
}

void buf_put_unescaped(struct buf *buf, const char *text, size_t n)
{
	while (n) {
		bool escape = n >= 4 && text[0] == '\\' && is_octal(text[1]) && is_octal(text[2]) &&
			      is_octal(text[3]);
		if (escape)
			buf_putc(buf, (char)((text[1] - '0') << 6 | (text[2] - '0') << 3 | (text[3] - '0')));
		else
			buf_putc(buf, *text);
		text += escape ? 4 : 1;
		n -= escape ? 4 : 1;
	}
}
