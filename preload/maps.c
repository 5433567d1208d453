/* SPDX-License-Identifier: MIT */
#include "preload/maps.h"

#include <string.h>

#include "preload/sys.h"

static bool hex_parse(const char **p, const char *end, uintptr_t *ret_value)
{
	const char *at = *p;
	uintptr_t value = 0;

	for (; at < end; at++) {
		unsigned digit = *at >= '0' && *at <= '9'   ? (unsigned)(*at - '0')
				 : *at >= 'a' && *at <= 'f' ? (unsigned)(*at - 'a' + 10)
							    : 16;
		if (digit == 16)
			break;
		if (value >> (sizeof(value) * 8 - 4))
			return false;
		value = value << 4 | digit;
	}
	if (at == *p)
		return false;
	*p = at;
	*ret_value = value;
	return true;
}

bool maps_parse(const char *line, size_t len, uintptr_t *ret_start, uintptr_t *ret_end)
{
	const char *end = line + len;
	uintptr_t from, to;

	if (!hex_parse(&line, end, &from) || line == end || *line++ != '-' || !hex_parse(&line, end, &to) ||
		to < from)
		return false;
	*ret_start = from;
	*ret_end = to;
	return true;
}

int maps_walk(maps_each_fn *each, void *ctx)
{
	char text[8192];
	size_t len = 0;
	int fd = sys_open("/proc/self/maps", O_RDONLY);
	ssize_t n;

	if (fd < 0)
		return -1;
	while ((n = sys_read(fd, text + len, sizeof(text) - len)) > 0) {
		char *line = text, *newline;

		len += (size_t)n;
		while ((newline = memchr(line, '\n', (size_t)(text + len - line)))) {
			uintptr_t start, end;

			if (maps_parse(line, (size_t)(newline - line), &start, &end))
				each(ctx, start, end);
			line = newline + 1;
		}
		len -= (size_t)(line - text);
		memmove(text, line, len);
		if (len == sizeof(text)) /* no line of the kernel's is that long */
			len = 0;
	}
	sys_close(fd);
	return 0;
}
