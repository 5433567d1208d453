/* SPDX-License-Identifier: MIT */
#include "schema/proc/passwd.h"

#include <string.h>

#include "schema/base/num.h"

/* Up to the next colon, which must be there: a number without one may have been cut. */
static bool next_field(struct span *line, struct span *ret_field)
{
	const char *colon = line->n ? memchr(line->p, ':', line->n) : NULL;

	if (!colon)
		return false;
	*ret_field = (struct span) { line->p, (size_t)(colon - line->p) };
	line->n -= ret_field->n + 1;
	line->p = colon + 1;
	return true;
}

bool passwd_next(struct span *rest, struct passwd *ret)
{
	struct span line, name, field;
	uint64_t uid;

	while (span_line(rest, &line)) {
		if (!next_field(&line, &name) || !next_field(&line, &field) || !next_field(&line, &field))
			continue;
		if (!name.n || memchr("#+-", *name.p, 3) || !num_parse_whole(field.p, field.n, &uid) ||
			uid > UINT32_MAX)
			continue;
		*ret = (struct passwd) { name, (uint32_t)uid };
		return true;
	}
	return false;
}
