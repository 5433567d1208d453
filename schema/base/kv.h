/* SPDX-License-Identifier: MIT */
/*
 * Text in lines of `key value`, `key: value` or `key:<TAB>value kB`, taken apart without copying. This one
 * cursor serves every kernel file of that shape and every flat-keyed write.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct span {
	const char *p;
	size_t n;
};

struct kv_cursor {
	const char *at;
	const char *end;
};

static inline struct kv_cursor kv_begin(const char *text, size_t len)
{
	return (struct kv_cursor) { text, len ? text + len : text };
}

/* The same over complete lines only: what stands behind the last newline was cut off, and a cut number is a
 * lie. */
struct kv_cursor kv_begin_lines(const char *text, size_t len);

/*
 * The next line that has a key: ret_key without its colon, ret_value without the blanks around it (it may be
 * empty). Lines of blanks are passed over. Returns false at the end of the text. The spans point into the
 * text.
 */
bool kv_next(struct kv_cursor *cursor, struct span *ret_key, struct span *ret_value);

/* The next blank-separated word of *rest, which then begins behind it. False where there is none. */
bool span_word(struct span *rest, struct span *ret_word);

/* The next line of *rest without its newline, which then begins behind it. False where *rest is empty. */
bool span_line(struct span *rest, struct span *ret_line);

/* The span without the blanks around it. */
struct span span_trim(struct span span);

bool span_equals(struct span span, const char *text);
