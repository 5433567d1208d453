/* SPDX-License-Identifier: MIT */
#include "schema/proc/mountinfo.h"

/* id parent major:minor ROOT POINT options [optional fields] - TYPE source OPTIONS */
static bool read_line(struct span line, struct mountinfo *mount)
{
	struct span word;
	bool found = span_word(&line, &word) && span_word(&line, &word) && span_word(&line, &word) &&
		     span_word(&line, &mount->root) && span_word(&line, &mount->point) &&
		     span_word(&line, &word);

	while (found && (found = span_word(&line, &word)) && !span_equals(word, "-")) {
		/* Optional fields. */
	}
	return found && span_word(&line, &mount->type) && span_word(&line, &word) &&
	       span_word(&line, &mount->options);
}

bool mountinfo_next(struct span *rest, struct mountinfo *ret)
{
	struct span line;

	while (span_line(rest, &line)) {
		struct mountinfo mount;
		if (read_line(line, &mount)) {
			*ret = mount;
			return true;
		}
	}
	return false;
}
