/* SPDX-License-Identifier: MIT */
#include "collector/symbols/skip.h"

#include <string.h>

#include "collector/symbols/glob.h"
#include "schema/base/quote.h"

static bool take_prefix(struct span *span, const char *prefix)
{
	size_t n = strlen(prefix);

	if (span->n < n || memcmp(span->p, prefix, n))
		return false;
	span->p += n;
	span->n -= n;
	return true;
}

static bool is_all_wild(struct span pattern)
{
	for (size_t i = 0; i < pattern.n; i++)
		if (pattern.p[i] != '*' && pattern.p[i] != '?')
			return false;
	return true;
}

int skip_next(struct span *rest, struct skip_pattern *ret, struct err *err)
{
	char text[QUOTE_TEXT];
	struct span line;

	while (span_line(rest, &line)) {
		struct span pattern = span_trim(line);
		struct skip_pattern found = { 0 };
		if (!pattern.n || pattern.p[0] == '#')
			continue;
		found.except = take_prefix(&pattern, "!");
		found.module = take_prefix(&pattern, "module:");
		found.text = pattern;
		if (!pattern.n)
			return err_set(err, EINVAL, "no pattern in '%s'", quote(text, line));
		if (!found.except && is_all_wild(pattern))
			return err_set(err, EINVAL, "'%s' would skip everything", quote(text, line));
		*ret = found;
		return 1;
	}
	return 0;
}

int skip_line(struct span line, struct buf *out, struct err *err)
{
	struct skip_pattern pattern;
	struct span rest = line;
	int r = glob_check_line(line, err);

	if (!r)
		r = skip_next(&rest, &pattern, err);
	if (r <= 0)
		return r;
	line = span_trim(line);
	buf_put(out, line.p, line.n);
	return 0;
}

/* Without the last group in parentheses, and what qualifies a method behind it. */
static struct span without_arguments(struct span name)
{
	size_t end = name.n, depth = 0;

	while (end && name.p[end - 1] != ')')
		end--;
	for (size_t at = end; at-- > 0;) {
		depth += name.p[at] == ')';
		if (name.p[at] == '(' && --depth == 0)
			return at ? (struct span) { name.p, at } : name;
	}
	return name;
}

/* Without the type that stands before a template's name; `operator new` and its like are one word. */
static struct span without_type(struct span name)
{
	static const char word[] = "operator";
	size_t depth = 0, from = 0;

	for (size_t at = 0; at < name.n; at++) {
		char c = name.p[at];
		if (depth == 0 && name.n - at >= sizeof(word) - 1 &&
			!memcmp(name.p + at, word, sizeof(word) - 1))
			break;
		if (c == '<' || c == '(')
			depth++;
		else if ((c == '>' || c == ')') && depth)
			depth--;
		else if (c == ' ' && depth == 0)
			from = at + 1;
	}
	return (struct span) { name.p + from, name.n - from };
}

static struct span span_of(const char *text)
{
	return (struct span) { text ? text : "", text ? strlen(text) : 0 };
}

bool skip_matches(const struct skip_list *list, size_t n_lists, const char *function, const char *module)
{
	struct span whole = span_of(function), bare = without_type(without_arguments(whole));
	size_t type = (size_t)(bare.p - whole.p);
	struct span name = { bare.p, whole.n - type };
	struct span module_name = span_of(module);

	for (size_t i = n_lists; i-- > 0;) {
		for (size_t k = list[i].n; k-- > 0;) {
			const struct skip_pattern *pattern = &list[i].pattern[k];
			bool matches = pattern->module
					       ? module && glob_matches(pattern->text, module_name)
					       : function && (glob_matches(pattern->text, bare) ||
								     glob_matches(pattern->text, name));
			if (matches)
				return !pattern->except;
		}
	}
	return false;
}

size_t skip_choose(const struct skip_list *list, size_t n_lists, const struct skip_frame *frame, size_t n,
	bool *ret_wrapper)
{
	for (size_t i = 0; i < n; i++) {
		if (skip_matches(list, n_lists, frame[i].function, frame[i].module))
			continue;
		*ret_wrapper = false;
		return i;
	}
	*ret_wrapper = true;
	return n - 1;
}
