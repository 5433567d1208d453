/* SPDX-License-Identifier: MIT */
/*
 * Written by hand, not with a JSON library: those keep numbers as doubles, and times have more digits than
 * one gives back.
 */
#include "fs/twin.h"

#include <string.h>

#include "fs/view.h"

enum { COLUMNS = 64 };

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Whether the text is a number as JSON writes it (RFC 8259, without exponent): no sign but -, no zero in
 * front. */
static bool is_number(struct span text)
{
	const char *p = text.p, *end = text.p + text.n;

	if (p < end && *p == '-')
		p++;
	if (p == end || !is_digit(*p) || (*p == '0' && p + 1 < end && is_digit(p[1])))
		return false;
	while (p < end && is_digit(*p))
		p++;
	if (p == end)
		return true;
	if (*p++ != '.' || p == end)
		return false;
	while (p < end && is_digit(*p))
		p++;
	return p == end;
}

/* Bytes of the UTF-8 sequence (RFC 3629) that begins at p; 0 where there is none. */
static size_t utf8_length(const char *p, size_t n)
{
	const unsigned char *b = (const unsigned char *)p;
	size_t len = b[0] < 0x80   ? 1
		     : b[0] < 0xc2 ? 0
		     : b[0] < 0xe0 ? 2
		     : b[0] < 0xf0 ? 3
		     : b[0] < 0xf5 ? 4
				   : 0;

	if (!len || len > n)
		return 0;
	for (size_t i = 1; i < len; i++) {
		if ((b[i] & 0xc0) != 0x80)
			return 0;
	}
	/* Overlong, a half of a surrogate pair, beyond the last code point. */
	if (len > 2 && ((b[0] == 0xe0 && b[1] < 0xa0) || (b[0] == 0xed && b[1] > 0x9f) ||
			       (b[0] == 0xf0 && b[1] < 0x90) || (b[0] == 0xf4 && b[1] > 0x8f)))
		return 0;
	return len;
}

static void put_string(struct buf *out, struct span text)
{
	buf_putc(out, '"');
	for (size_t i = 0; i < text.n;) {
		unsigned char c = (unsigned char)text.p[i];
		size_t len = utf8_length(text.p + i, text.n - i);
		if (!len)
			buf_printf(out, "\\\\%03o", (unsigned)c);
		else if (c == '"' || c == '\\')
			buf_printf(out, "\\%c", c);
		else if (c < 0x20)
			buf_printf(out, "\\u%04x", (unsigned)c);
		else
			buf_put(out, text.p + i, len);
		i += len ? len : 1;
	}
	buf_putc(out, '"');
}

static void put_value(struct buf *out, struct span text, bool is_string)
{
	if (span_equals(text, "-"))
		buf_puts(out, "null");
	else if (!is_string && is_number(text))
		buf_put(out, text.p, text.n);
	else
		put_string(out, text);
}

static bool is_among(const char *strings, struct span name)
{
	struct span rest = { strings, strings ? strlen(strings) : 0 }, word;

	while (span_word(&rest, &word)) {
		if (word.n == name.n && !memcmp(word.p, name.p, name.n))
			return true;
	}
	return false;
}

/* The next cell of a line; an empty one at its end is one too. */
static bool next_cell(struct span *line, struct span *ret_cell)
{
	const char *tab;

	if (!line->p)
		return false;
	tab = memchr(line->p, '\t', line->n);
	if (tab) {
		*ret_cell = (struct span) { line->p, (size_t)(tab - line->p) };
		*line = (struct span) { tab + 1, line->n - ret_cell->n - 1 };
	} else {
		*ret_cell = *line;
		*line = (struct span) { 0 };
	}
	return true;
}

void twin_put_table(struct buf *out, struct span text, const char *strings)
{
	struct span line, name[COLUMNS];
	bool is_string[COLUMNS];
	unsigned columns = 0;
	const char *before = "\n";

	buf_putc(out, '[');
	if (span_line(&text, &line)) {
		while (columns < COLUMNS && next_cell(&line, &name[columns])) {
			is_string[columns] = is_among(strings, name[columns]);
			columns++;
		}
	}
	while (span_line(&text, &line)) {
		struct span cell;
		buf_puts(out, before);
		before = ",\n";
		for (unsigned i = 0; i < columns && next_cell(&line, &cell); i++) {
			buf_putc(out, i ? ',' : '{');
			put_string(out, name[i]);
			buf_putc(out, ':');
			put_value(out, cell, is_string[i]);
		}
		buf_putc(out, '}');
	}
	buf_puts(out, "\n]\n");
}

void twin_put_keyed(struct buf *out, struct span text, const char *strings)
{
	struct span line;
	const char *before = "{\n";

	while (span_line(&text, &line)) {
		struct span key;
		if (!span_word(&line, &key))
			continue;
		while (line.n && (*line.p == ' ' || *line.p == '\t')) {
			line.p++;
			line.n--;
		}
		buf_puts(out, before);
		before = ",\n";
		put_string(out, key);
		buf_putc(out, ':');
		put_value(out, line, is_among(strings, key));
	}
	buf_puts(out, *before == '{' ? "{}\n" : "\n}\n");
}

int twin_render(struct view *view, const struct place *place, const struct caller *caller, struct buf *out)
{
	CLEANUP_BUF struct buf text = BUF_INIT;
	struct place shown = *place;

	shown.row = view->tree->row[place->row].twin;
	const struct node *node = tree_node(view->tree, &shown);
	int r = node->render(view, &shown, caller, &text);
	if (!r)
		r = buf_error(&text);
	if (r)
		return r;
	(node->form == FORM_TABLE ? twin_put_table : twin_put_keyed)(
		out, (struct span) { text.data, text.len }, node->strings);
	return 0;
}
