/* SPDX-License-Identifier: MIT */
#include "schema/proc/mountinfo.h"

#include <string.h>

enum { FIELD_ROOT = 3, FIELD_DIR = 4, FIELDS_MIN = 6 };

/* A \r is part of a field. */
static bool next_field(struct span *rest, char separator, struct span *ret_field)
{
	const char *end = rest->n ? memchr(rest->p, separator, rest->n) : NULL;
	size_t n = end ? (size_t)(end - rest->p) : rest->n;

	if (!rest->n)
		return false;
	*ret_field = (struct span) { rest->p, n };
	rest->p += end ? n + 1 : n;
	rest->n -= end ? n + 1 : n;
	return true;
}

bool mountinfo_parse(struct span line, struct mountinfo *ret)
{
	struct mountinfo mount = { 0 };
	struct span field, source;
	unsigned n = 0;

	/* Tags come and go between the options of the mount and the dash. */
	for (; next_field(&line, ' ', &field); n++) {
		if (n == FIELD_ROOT)
			mount.root = field;
		if (n == FIELD_DIR)
			mount.dir = field;
		if (n >= FIELDS_MIN && span_equals(field, "-"))
			break;
	}
	if (!next_field(&line, ' ', &mount.type) || !next_field(&line, ' ', &source))
		return false;
	next_field(&line, ' ', &mount.options);
	*ret = mount;
	return true;
}

bool mountinfo_option(const struct mountinfo *mount, const char *name, struct span *ret_value)
{
	struct span rest = mount->options, option;
	size_t n = strlen(name);

	while (next_field(&rest, ',', &option)) {
		if (option.n > n && !memcmp(option.p, name, n) && option.p[n] == '=') {
			*ret_value = (struct span) { option.p + n + 1, option.n - n - 1 };
			return true;
		}
	}
	return false;
}

void mountinfo_escape(struct buf *out, const char *dir)
{
	for (const char *at = dir; *at; at++) {
		if (strchr(" \t\n\\", *at))
			buf_printf(out, "\\%03o", (unsigned)*at);
		else
			buf_putc(out, *at);
	}
}
