/* SPDX-License-Identifier: MIT */
#include "schema/note.h"

#include <string.h>

#include "schema/base/quote.h"

const char *const note_name[N_NOTES] = { "alerts", "tags", "leaks_skip", "leaks_suppress" };

/* Where the line of a name stands, with its newline; n is 0 where there is none. */
static struct span find(const struct note_text *note, const struct note_kind *kind, struct span name)
{
	struct span rest = { note->text, note->len }, line;

	while (span_line(&rest, &line))
		if ((kind->named ? line.n > name.n && line.p[name.n] == ' ' : line.n == name.n) &&
			!memcmp(line.p, name.p, name.n))
			return (struct span) { line.p, line.n + 1 };
	return (struct span) { rest.p, 0 };
}

/* Puts `by` in the place of a part of the text. False where it does not fit. */
static bool replace(struct note_text *note, struct span part, struct span by)
{
	size_t at = (size_t)(part.p - note->text), after = at + part.n;

	if (note->len - part.n + by.n > NOTE_MAX)
		return false;
	memmove(note->text + at + by.n, note->text + after, note->len - after);
	memcpy(note->text + at, by.p, by.n);
	note->len = note->len - part.n + by.n;
	return true;
}

static unsigned count_lines(const struct note_text *note)
{
	struct span rest = { note->text, note->len }, line;
	unsigned n = 0;

	while (span_line(&rest, &line))
		n++;
	return n;
}

/* `entry` is what stands behind the `-`. */
static int remove_line(
	struct note_text *note, const struct note_kind *kind, struct span entry, struct err *err)
{
	char quoted[QUOTE_TEXT];
	struct span name = entry, more = entry;

	if (kind->named)
		span_word(&more, &name);
	struct span line = find(note, kind, name);
	if (kind->named && span_word(&more, &more))
		return err_set(err, EINVAL, "-%s removes and takes nothing more", quote(quoted, name));
	if (!line.n)
		return err_set(err, EINVAL, "there is no \"%s\" to be removed", quote(quoted, name));
	replace(note, line, (struct span) { "", 0 });
	return 0;
}

/* 1, or 0 where nothing is kept of the line, or -errno. */
static int set_line(struct note_text *note, const struct note_kind *kind, struct span line, struct err *err)
{
	char array[NOTE_LINE_MAX];
	struct buf kept = BUF_FIXED(array);
	struct span name;

	int r = kind->check(line, &kept, err);
	if (r)
		return r;
	if (!buf_error(&kept) && !kept.len)
		return 0;
	buf_putc(&kept, '\n');
	if (buf_error(&kept))
		return err_set(err, EFBIG, "a line has at most %d bytes, escapes counted", NOTE_LINE_MAX - 1);
	struct span text = name = (struct span) { kept.data, kept.len - 1 };
	if (kind->named)
		span_word(&text, &name);
	struct span old = find(note, kind, name);
	if (old.n && !kind->named) {
		replace(note, old, (struct span) { "", 0 });
		old = (struct span) { note->text + note->len, 0 };
	}
	if (!old.n && count_lines(note) == NOTE_LINES_MAX)
		return err_set(err, EFBIG, "there are %d lines, and no more are taken", NOTE_LINES_MAX);
	if (!replace(note, old, (struct span) { kept.data, kept.len }))
		return err_set(err, EFBIG, "all lines together have at most %d bytes", NOTE_MAX);
	return 1;
}

/* What would not be kept need not be removed: the lines of a file may be given back as they are. */
static bool is_nothing(const struct note_kind *kind, struct span line)
{
	char array[NOTE_LINE_MAX];
	struct buf kept = BUF_FIXED(array);
	struct err why = { 0 };

	return !kind->check(line, &kept, &why) && !kept.len && !buf_error(&kept);
}

/* 1 where the line did something, 0 where it is blank, or -errno. */
static int apply_line(struct note_text *note, const struct note_kind *kind, struct span line, struct err *err)
{
	struct span entry = span_trim(line);

	if (!entry.n)
		return 0;
	if (entry.p[0] != '-')
		return set_line(note, kind, line, err);
	entry = (struct span) { entry.p + 1, entry.n - 1 };
	if (!kind->named && is_nothing(kind, entry))
		return 0;
	int r = remove_line(note, kind, entry, err);
	return r ? r : 1;
}

int note_apply(
	struct note_text *note, const struct note_kind *kind, const char *text, size_t len, struct err *err)
{
	struct span rest = { text, len }, line;
	struct note_text next = *note;
	unsigned number = 0, done = 0;

	while (span_line(&rest, &line)) {
		struct err why = { 0 };
		int r = apply_line(&next, kind, line, &why);
		number++;
		if (r < 0)
			return err_set(err, why.code, "line %u: %s", number, why.reason);
		done += (unsigned)r;
	}
	/* Where lines may be comments, shells write one of these alone. */
	if (!done && kind->named)
		return err_set(err, EINVAL,
			"nothing to set: write lines as this file reads, or -NAME to remove one");
	*note = next;
	return 0;
}

void note_load(struct note_text *note, const struct note_kind *kind, const char *text, size_t len)
{
	struct span rest = { text, len }, line;

	note->len = 0;
	while (span_line(&rest, &line)) {
		struct err why = { 0 };
		apply_line(note, kind, line, &why);
	}
}

/* --- tags --- */

static bool is_label_name(struct span name)
{
	for (size_t i = 0; i < name.n; i++) {
		char c = name.p[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
		if (!letter && (i == 0 || c < '0' || c > '9'))
			return false;
	}
	return name.n > 0 && name.n <= NOTE_NAME_MAX;
}

/* Labels that memfs gives to its series itself. */
static bool is_ours(struct span name)
{
	static const char *const names[] = { "node", "name", "pid" };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (span_equals(name, names[i]))
			return true;
	return name.n >= 2 && name.p[0] == '_' && name.p[1] == '_';
}

/* Escaped, blanks at either end too: they would not be read back. */
static void put_value(struct buf *out, const char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (bytes[i] == ' ' && (i == 0 || i + 1 == n))
			buf_puts(out, "\\040");
		else
			buf_put_escaped(out, bytes + i, 1);
	}
}

int note_tag(struct span line, struct buf *out, struct err *err)
{
	char quoted[QUOTE_TEXT], array[NOTE_LINE_MAX];
	struct buf value = BUF_FIXED(array);
	struct span key;

	if (!span_word(&line, &key))
		return err_set(err, EINVAL, "a tag is `key value`");
	if (!is_label_name(key))
		return err_set(err, EINVAL,
			"a key is up to %d letters, digits and _, no digit first; \"%s\" is not",
			NOTE_NAME_MAX, quote(quoted, key));
	if (is_ours(key))
		return err_set(
			err, EINVAL, "\"%s\" is a label that memfs or Prometheus sets", quote(quoted, key));
	line = span_trim(line);
	if (!line.n)
		return err_set(err, EINVAL, "%s lacks a value; -%s removes it", quote(quoted, key), quoted);
	buf_put_unescaped(&value, line.p, line.n);
	if (buf_error(&value))
		return err_set(err, EFBIG, "a value has at most %d bytes", NOTE_LINE_MAX);
	buf_put(out, key.p, key.n);
	buf_putc(out, ' ');
	put_value(out, value.data, value.len);
	return 0;
}
