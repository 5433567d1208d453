/* SPDX-License-Identifier: MIT */
/* The commands of commands.def. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct command {
	const char *name;
	const char *arguments;             /* for --help */
	const char *doc;                   /* NULL: not for people */
	int (*run)(int argc, char **argv); /* what follows the name; returns an exit status */
};

/* Exit statuses: 0 fine, 1 failed, 2 called wrongly. */
enum { EXIT_USAGE = 2 };

#define COMMAND(name, arguments, doc) int command_##name(int argc, char **argv);
#include "fs/commands/commands.def"

/* For completion in shells: says what the last of the words after `memfs` can become, as
 * fs/commands/complete.h has it. */
int command_complete(int argc, char **argv);

/* mount.memfs, with the name it was called by in argv[0]; returns an exit status of mount(8). */
int command_mount_helper(int argc, char **argv);

/* The command of that name; NULL where there is none. */
const struct command *command_find(const char *name);

/* Says on standard error how the command is called; returns EXIT_USAGE. */
int command_usage(const char *name);

/* The commands in their order, those that are not for people among them; NULL behind the last. */
const struct command *command_at(size_t i);

/* An argument of a command, as its help has it. */
struct command_argument {
	const char *command, *name, *doc;
};

/* The argument of number i of a command; NULL behind the last. */
const struct command_argument *command_argument_at(const struct command *command, size_t i);

/* Says on standard output how the command is called, with its arguments; returns an exit status. */
int command_help_of(const struct command *command);

/* Says on standard output what there is, or the page memfs(1); returns an exit status. */
int command_help(bool man);
