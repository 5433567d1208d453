/* SPDX-License-Identifier: MIT */
#include "schema/base/kv.h"

#include <string.h>

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

struct kv_cursor kv_begin_lines(const char *text, size_t len)
{
	const char *newline = len ? memrchr(text, '\n', len) : NULL;
	return kv_begin(text, newline ? (size_t)(newline - text) + 1 : 0);
}

bool span_line(struct span *rest, struct span *ret_line)
{
	if (!rest->n)
		return false;
	const char *newline = memchr(rest->p, '\n', rest->n);
	size_t n = newline ? (size_t)(newline - rest->p) : rest->n;
	size_t taken = n + (newline ? 1 : 0);

	*ret_line = (struct span) { rest->p, n };
	rest->p += taken;
	rest->n -= taken;
	return true;
}

bool span_word(struct span *rest, struct span *ret_word)
{
	size_t from = 0, to;

	while (from < rest->n && is_blank(rest->p[from]))
		from++;
	for (to = from; to < rest->n && !is_blank(rest->p[to]);)
		to++;
	if (from == to)
		return false;
	*ret_word = (struct span) { rest->p + from, to - from };
	rest->p += to;
	rest->n -= to;
	return true;
}

struct span span_trim(struct span span)
{
	while (span.n && is_blank(span.p[0])) {
		span.p++;
		span.n--;
	}
	while (span.n && is_blank(span.p[span.n - 1]))
		span.n--;
	return span;
}

bool kv_next(struct kv_cursor *cursor, struct span *ret_key, struct span *ret_value)
{
	struct span rest = { cursor->at, (size_t)(cursor->end - cursor->at) }, line;

	while (span_line(&rest, &line)) {
		struct span key;
		cursor->at = rest.p;
		if (!span_word(&line, &key))
			continue;
		if (key.n > 1 && key.p[key.n - 1] == ':')
			key.n--;
		*ret_key = key;
		*ret_value = span_trim(line);
		return true;
	}
	return false;
}

bool span_equals(struct span span, const char *text)
{
	size_t n = strlen(text);
	return span.n == n && !memcmp(span.p, text, n);
}
