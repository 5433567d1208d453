/* SPDX-License-Identifier: MIT */
#include "fs/commands/complete.h"

#include <ctype.h>
#include <string.h>

#include "fs/options.h"
#include "schema/base/kv.h"

/* `prefix`, which the person has typed already, and a name. */
static void offer(struct buf *out, struct span prefix, struct span name, const char *end)
{
	buf_put(out, prefix.p, prefix.n);
	buf_put(out, name.p, name.n);
	buf_puts(out, end);
	buf_putc(out, '\n');
}

static void offer_directories(struct buf *out, const char *prefix, size_t n)
{
	buf_puts(out, ":directories ");
	buf_put(out, prefix, n);
	buf_putc(out, '\n');
}

static bool begins_with(struct span name, const char *text)
{
	size_t n = strlen(text);
	return name.n >= n && !memcmp(name.p, text, n);
}

void complete_offer(struct buf *out, const char *candidate, const char *word)
{
	struct span name = { candidate, strlen(candidate) };

	if (begins_with(name, word))
		offer(out, (struct span) { word, 0 }, name, "");
}

/* node=web-3,run=/r: what stands behind the last comma. */
static void complete_option(struct buf *out, const char *word)
{
	const char *comma = strrchr(word, ','), *text = comma ? comma + 1 : word, *equals = strchr(text, '=');
	struct span typed = { word, (size_t)(text - word) };
	struct option_info option;

	for (size_t i = 0; options_describe(i, &option); i++) {
		struct span name = { option.name, strlen(option.name) };
		if (!equals && begins_with(name, text))
			offer(out, typed, name, option.takes_value ? "=" : "");
		else if (equals && option.is_directory &&
			 span_equals((struct span) { text, (size_t)(equals - text) }, option.name))
			offer_directories(out, word, (size_t)(equals + 1 - word));
	}
}

/* a|b|c */
static void complete_one_of(struct buf *out, struct span value, const char *word)
{
	const char *end = value.p + value.n, *bar;

	for (const char *at = value.p; at < end; at = bar + 1) {
		bar = memchr(at, '|', (size_t)(end - at));
		bar = bar ? bar : end;
		struct span name = { at, (size_t)(bar - at) };
		if (begins_with(name, word))
			offer(out, (struct span) { word, 0 }, name, "");
	}
}

/* What stands for a value in the usage: OPTION,... state=DIR seconds|minutes|hours DIR */
static void complete_value(struct buf *out, struct span value, const char *word)
{
	const char *equals = memchr(value.p, '=', value.n);
	struct span name = { value.p, equals ? (size_t)(equals + 1 - value.p) : 0 };

	if (begins_with(value, "OPTION"))
		complete_option(out, word);
	else if (equals && !strncmp(word, name.p, name.n))
		offer_directories(out, word, name.n);
	else if (equals && begins_with(name, word))
		offer(out, (struct span) { word, 0 }, name, "");
	else if (!equals && memchr(value.p, '|', value.n))
		complete_one_of(out, value, word);
	else if (span_equals(value, "DIR"))
		offer_directories(out, word, 0);
}

/* The next word of a usage without its brackets; *ret_closed: a bracket ended behind it. */
static bool next_word(struct span *rest, struct span *ret_word, bool *ret_closed)
{
	if (!span_word(rest, ret_word))
		return false;
	*ret_closed = ret_word->p[ret_word->n - 1] == ']';
	while (ret_word->n && *ret_word->p == '[') {
		ret_word->p++;
		ret_word->n--;
	}
	while (ret_word->n && ret_word->p[ret_word->n - 1] == ']' && !memchr(ret_word->p, '[', ret_word->n))
		ret_word->n--;
	return true;
}

/* The flags of the usage, or what has no flag. */
static void complete_free(struct buf *out, const char *usage, const char *word)
{
	struct span rest = { usage, strlen(usage) }, item;
	bool closed, valued = false;

	while (next_word(&rest, &item, &closed)) {
		bool flag = item.n && *item.p == '-';
		if (flag && *word == '-' && begins_with(item, word))
			offer(out, (struct span) { word, 0 }, item, "");
		else if (!flag && !valued && *word != '-' && item.n && isalpha((unsigned char)*item.p))
			complete_value(out, item, word);
		valued = flag && !closed;
	}
}

/* Where `before` is a flag that has a value, what can be its value. False where it is none. */
static bool complete_flag(struct buf *out, const char *usage, const char *before, const char *word)
{
	struct span rest = { usage, strlen(usage) }, item, value;
	bool closed;

	while (next_word(&rest, &item, &closed)) {
		if (closed || !span_equals(item, before) || !next_word(&rest, &value, &closed))
			continue;
		if (value.n && *value.p != '-' && *value.p != '|') {
			complete_value(out, value, word);
			return true;
		}
	}
	return false;
}

void complete_argument(struct buf *out, const char *usage, const char *before, const char *word)
{
	if (*before != '-' || !complete_flag(out, usage, before, word))
		complete_free(out, usage, word);
}
