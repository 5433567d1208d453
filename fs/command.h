/* SPDX-License-Identifier: MIT */
/* The commands of commands.def. */
#pragma once

struct command {
	const char *name;
	const char *arguments;             /* for --help */
	const char *doc;                   /* NULL: not for people */
	int (*run)(int argc, char **argv); /* what follows the name; returns an exit status */
};

/* Exit statuses: 0 fine, 1 failed, 2 called wrongly. */
enum { EXIT_USAGE = 2 };

#define COMMAND(name, arguments, doc) int command_##name(int argc, char **argv);
#include "fs/commands.def"
#undef COMMAND

/* The command of that name; NULL where there is none. */
const struct command *command_find(const char *name);

/* Says on standard error how the command is called; returns EXIT_USAGE. */
int command_usage(const char *name);

/* Says on standard output what there is. */
void command_help(void);
