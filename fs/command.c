/* SPDX-License-Identifier: MIT */
#include "fs/command.h"

#include <stdio.h>
#include <string.h>

#include "fs/manual.h"
#include "fs/options.h"
#include "fs/serve.h"

static const struct command commands[] = {
#define COMMAND(name, arguments, doc) { #name, arguments, doc, command_##name },
#include "fs/commands.def"
#undef COMMAND
	{ "serve", "", NULL, serve_main },
	{ "complete", "WORD...", NULL, command_complete },
};
enum { N_COMMANDS = sizeof(commands) / sizeof(*commands) };

const struct command *command_find(const char *name)
{
	for (size_t i = 0; i < N_COMMANDS; i++) {
		if (!strcmp(name, commands[i].name))
			return &commands[i];
	}
	return NULL;
}

int command_usage(const char *name)
{
	const struct command *command = command_find(name);

	fprintf(stderr, "usage: memfs %s %s\n", name, command ? command->arguments : "");
	return EXIT_USAGE;
}

const struct command *command_at(size_t i)
{
	return i < N_COMMANDS ? &commands[i] : NULL;
}

static void put_help(struct buf *out)
{
	buf_puts(out, "usage: memfs COMMAND ...\n\nThe memory of machines, as files.\n\n");
	for (size_t i = 0; i < N_COMMANDS; i++) {
		if (commands[i].doc)
			buf_printf(out, "  memfs %s %s\n      %s\n", commands[i].name, commands[i].arguments,
				commands[i].doc);
	}
	buf_puts(out, "\noptions of mount, with what they are if not given:\n");
	options_help(out);
	buf_puts(out, "\n  memfs --help, memfs --version\n");
}

int command_help(bool man)
{
	CLEANUP_BUF struct buf text = BUF_INIT;

	if (man)
		manual_put_program(&text);
	else
		put_help(&text);
	return buf_error(&text) || fwrite(text.data, 1, text.len, stdout) != text.len;
}
