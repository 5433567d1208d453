/* SPDX-License-Identifier: MIT */
#include "fs/command.h"

#include <stdio.h>
#include <string.h>

#include "fs/options.h"
#include "fs/serve.h"

static const struct command commands[] = {
#define COMMAND(name, arguments, doc) { #name, arguments, doc, command_##name },
#include "fs/commands.def"
#undef COMMAND
	{ "serve", "", NULL, serve_main },
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

void command_help(void)
{
	struct buf options = BUF_INIT;

	options_help(&options);
	printf("usage: memfs COMMAND ...\n\nThe memory of machines, as files.\n\n");
	for (size_t i = 0; i < N_COMMANDS; i++) {
		if (commands[i].doc)
			printf("  memfs %s %s\n      %s\n", commands[i].name, commands[i].arguments,
				commands[i].doc);
	}
	printf("\noptions of mount, with what they are if not given:\n%.*s\n  memfs --help, memfs --version\n",
		(int)options.len, options.data ? options.data : "");
	buf_deinit(&options);
}
