/* SPDX-License-Identifier: MIT */
#include "collector/symbols/glob.h"

#include <errno.h>

#include "schema/base/quote.h"

int glob_check_line(struct span line, struct err *err)
{
	char text[QUOTE_TEXT];

	line = span_trim(line);
	for (size_t i = 0; i < line.n; i++)
		if (((unsigned char)line.p[i] < 0x20 && line.p[i] != '\t') || line.p[i] == 0x7f)
			return err_set(err, EINVAL, "'%s' has a control character", quote(text, line));
	return 0;
}

bool glob_matches(struct span pattern, struct span text)
{
	size_t p = 0, t = 0, star = SIZE_MAX, behind = 0;

	while (t < text.n) {
		if (p < pattern.n && pattern.p[p] == '*') {
			star = p++;
			behind = t;
		} else if (p < pattern.n && (pattern.p[p] == '?' || pattern.p[p] == text.p[t])) {
			p++;
			t++;
		} else if (star != SIZE_MAX) {
			/* The last star takes one more; earlier ones need not, for they took the least. */
			p = star + 1;
			t = ++behind;
		} else {
			return false;
		}
	}
	while (p < pattern.n && pattern.p[p] == '*')
		p++;
	return p == pattern.n;
}
