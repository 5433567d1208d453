/* SPDX-License-Identifier: MIT */
#include "collector/symbols/suppress.h"

#include <stdint.h>
#include <string.h>

#include "collector/symbols/glob.h"
#include "schema/base/quote.h"

int suppress_next(struct span *rest, struct span *ret_pattern, struct err *err)
{
	char text[QUOTE_TEXT];
	struct span line;

	while (span_line(rest, &line)) {
		struct span entry = span_trim(line);
		if (!entry.n || entry.p[0] == '#')
			continue;
		const char *colon = memchr(entry.p, ':', entry.n);
		if (!colon || colon == entry.p)
			return err_set(err, EINVAL, "'%s' is not leak:PATTERN", quote(text, entry));
		struct span kind = { entry.p, (size_t)(colon - entry.p) };
		struct span pattern = { colon + 1, entry.n - kind.n - 1 };
		if (!span_equals(kind, "leak"))
			continue;
		if (!pattern.n)
			return err_set(err, EINVAL, "'%s' has no pattern", quote(text, entry));
		*ret_pattern = pattern;
		return 1;
	}
	return 0;
}

int suppress_line(struct span line, struct buf *out, struct err *err)
{
	struct span rest = line, pattern;
	int r = glob_check_line(line, err);

	if (!r)
		r = suppress_next(&rest, &pattern, err);
	if (r <= 0)
		return r;
	line = span_trim(line);
	buf_put(out, line.p, line.n);
	return 0;
}

/* The first place of a part in the text from `from` on; SIZE_MAX where there is none. */
static size_t find(struct span text, size_t from, struct span part)
{
	const char *at = part.n ? memmem(text.p + from, text.n - from, part.p, part.n) : text.p + from;
	return at ? (size_t)(at - text.p) : SIZE_MAX;
}

bool suppress_matches(struct span pattern, const char *text)
{
	struct span whole = { text, strlen(text) };
	bool bound = pattern.n && pattern.p[0] == '^', ends = false;
	size_t at = 0;

	if (bound) {
		pattern.p++;
		pattern.n--;
	}
	if (pattern.n && pattern.p[pattern.n - 1] == '$') {
		ends = true;
		pattern.n--;
	}
	for (;;) {
		const char *star = pattern.n ? memchr(pattern.p, '*', pattern.n) : NULL;
		struct span part = { pattern.p, star ? (size_t)(star - pattern.p) : pattern.n };
		size_t from = at;
		if (!star && ends) {
			/* The last part, at the end and nowhere else. */
			if (part.n > whole.n - at)
				return false;
			at = whole.n - part.n;
			return (!bound || at == from) && !memcmp(whole.p + at, part.p, part.n);
		}
		at = find(whole, from, part);
		if (at == SIZE_MAX || (bound && at != from))
			return false;
		at += part.n;
		if (!star)
			return true;
		pattern.n -= part.n + 1;
		pattern.p = star + 1;
		bound = false;
	}
}
