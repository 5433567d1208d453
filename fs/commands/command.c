/* SPDX-License-Identifier: MIT */
#include "fs/commands/command.h"

#include <stdio.h>
#include <string.h>

#include "fs/commands/manual.h"
#include "fs/options.h"
#include "fs/serve.h"

static const struct command commands[] = {
#define COMMAND(name, arguments, doc) { #name, arguments, doc, command_##name },
#include "fs/commands/commands.def"
	{ "serve", "", NULL, serve_main },
	{ "complete", "WORD...", NULL, command_complete },
};
enum { N_COMMANDS = sizeof(commands) / sizeof(*commands) };

static const struct command_argument arguments[] = {
#define ARGUMENT(command, name, doc) { #command, name, doc },
#include "fs/commands/commands.def"
};
enum { N_ARGUMENTS = sizeof(arguments) / sizeof(*arguments) };

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
	if (command && command->doc)
		fprintf(stderr, "(memfs %s --help says what they mean)\n", name);
	return EXIT_USAGE;
}

const struct command *command_at(size_t i)
{
	return i < N_COMMANDS ? &commands[i] : NULL;
}

const struct command_argument *command_argument_at(const struct command *command, size_t i)
{
	for (size_t at = 0; at < N_ARGUMENTS; at++) {
		if (!strcmp(arguments[at].command, command->name) && !i--)
			return &arguments[at];
	}
	return NULL;
}

static int say(const struct buf *text)
{
	return buf_error(text) || fwrite(text->data, 1, text->len, stdout) != text->len;
}

static void put_options(struct buf *out)
{
	buf_puts(out, "\noptions of mount, with what they are if not given:\n");
	options_help(out);
}

static void put_arguments(const struct command *command, struct buf *out)
{
	const struct command_argument *argument;
	size_t width = 0;

	for (size_t i = 0; (argument = command_argument_at(command, i)); i++)
		width = strlen(argument->name) > width ? strlen(argument->name) : width;
	for (size_t i = 0; (argument = command_argument_at(command, i)); i++)
		buf_printf(out, "  %-*s  %s\n", (int)width, argument->name, argument->doc);
}

int command_help_of(const struct command *command)
{
	CLEANUP_BUF struct buf text = BUF_INIT;

	buf_printf(&text, "usage: memfs %s %s\n\n%s\n\n", command->name, command->arguments, command->doc);
	put_arguments(command, &text);
	if (strstr(command->arguments, "OPTION"))
		put_options(&text);
	return say(&text);
}

static void put_help(struct buf *out)
{
	buf_puts(out, "usage: memfs COMMAND ...\n\nThe memory of machines, as files.\n\n");
	for (size_t i = 0; i < N_COMMANDS; i++) {
		if (commands[i].doc)
			buf_printf(out, "  memfs %s %s\n      %s\n", commands[i].name, commands[i].arguments,
				commands[i].doc);
	}
	put_options(out);
	buf_puts(out, "\n  memfs COMMAND --help, memfs --help, memfs --version; man memfs\n");
}

int command_help(bool man)
{
	CLEANUP_BUF struct buf text = BUF_INIT;

	if (man)
		manual_put_program(&text);
	else
		put_help(&text);
	return say(&text);
}
