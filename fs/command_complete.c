/* SPDX-License-Identifier: MIT */
/*
 * memfs complete: what a shell may complete, read off the usage of the commands as --help says it, so that a
 * command is written down once.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "fs/command.h"
#include "fs/options.h"
#include "schema/base/kv.h"

static void offer(const char *prefix, size_t n, const char *word, size_t len, const char *end)
{
	printf("%.*s%.*s%s\n", (int)n, prefix, (int)len, word, end);
}

static bool begins_with(const char *word, size_t len, const char *text)
{
	size_t n = strlen(text);
	return len >= n && !memcmp(word, text, n);
}

/* node=web-3,run=/r: what stands behind the last comma. */
static void complete_option(const char *word)
{
	const char *comma = strrchr(word, ','), *text = comma ? comma + 1 : word, *equals = strchr(text, '=');
	struct option_info option;

	for (size_t i = 0; options_describe(i, &option); i++) {
		size_t n = strlen(option.name);
		if (equals && option.is_directory && n == (size_t)(equals - text) &&
			!memcmp(option.name, text, n))
			printf(":directories %.*s\n", (int)(equals + 1 - word), word);
		else if (!equals && begins_with(option.name, n, text))
			offer(word, (size_t)(text - word), option.name, n, option.takes_value ? "=" : "");
	}
}

/* What stands for a value in the usage: OPTION,... state=DIR seconds|minutes|hours DIR */
static void complete_value(struct span value, const char *word)
{
	const char *end = value.p + value.n, *equals = memchr(value.p, '=', value.n);

	if (value.n >= 6 && !memcmp(value.p, "OPTION", 6)) {
		complete_option(word);
	} else if (equals) {
		size_t n = (size_t)(equals + 1 - value.p);
		if (!strncmp(word, value.p, n))
			printf(":directories %.*s\n", (int)n, word);
		else if (begins_with(value.p, n, word))
			offer("", 0, value.p, n, "");
	} else if (value.n >= 3 && !memcmp(end - 3, "DIR", 3)) {
		puts(":directories ");
	} else if (memchr(value.p, '|', value.n)) {
		for (const char *at = value.p; at < end;) {
			const char *bar = memchr(at, '|', (size_t)(end - at));
			size_t n = (size_t)((bar ? bar : end) - at);
			if (begins_with(at, n, word))
				offer("", 0, at, n, "");
			at += n + 1;
		}
	}
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

/* The flags of a usage like `[-f] [-o OPTION,...] DIR`, or what has no flag. */
static void complete_arguments(const char *usage, const char *word)
{
	struct span rest = { usage, strlen(usage) }, item;
	bool closed, valued = false;

	while (next_word(&rest, &item, &closed)) {
		bool flag = item.n && *item.p == '-';
		if (flag && *word == '-' && begins_with(item.p, item.n, word))
			offer("", 0, item.p, item.n, "");
		else if (!flag && !valued && *word != '-' && item.n && isalpha((unsigned char)*item.p))
			complete_value(item, word);
		valued = flag && !closed;
	}
}

/* Whether `before` is a flag that has a value: then that alone is completed. */
static bool complete_value_of(const char *usage, const char *before, const char *word)
{
	struct span rest = { usage, strlen(usage) }, item, value;
	bool closed;

	while (next_word(&rest, &item, &closed)) {
		if (closed || !span_equals(item, before) || !next_word(&rest, &value, &closed))
			continue;
		if (value.n && *value.p != '-' && *value.p != '|') {
			complete_value(value, word);
			return true;
		}
	}
	return false;
}

int command_complete(int argc, char **argv)
{
	const char *word = argc ? argv[argc - 1] : "", *before = argc > 2 ? argv[argc - 2] : "";
	const struct command *command;

	if (argc > 1) {
		command = command_find(argv[0]);
		if (command && command->doc &&
			(*before != '-' || !complete_value_of(command->arguments, before, word)))
			complete_arguments(command->arguments, word);
		return 0;
	}
	for (size_t i = 0; (command = command_at(i)); i++) {
		if (command->doc && begins_with(command->name, strlen(command->name), word))
			puts(command->name);
	}
	if (begins_with("--help", 6, word))
		puts("--help");
	if (begins_with("--version", 9, word))
		puts("--version");
	return 0;
}
