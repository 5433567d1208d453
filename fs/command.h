/* SPDX-License-Identifier: MIT */
/* What the program `memfs` can be told: one row a command, each in command_NAME.c. */
#pragma once

struct command {
	const char *name;
	const char *arguments;             /* for --help */
	const char *doc;                   /* NULL: not for people */
	int (*run)(int argc, char **argv); /* what follows the name; returns an exit status */
};

/* Exit statuses, as in sysexits: 0 fine, 1 failed, 2 called wrongly. */
enum { EXIT_USAGE = 2 };

int command_mount(int argc, char **argv);
int command_umount(int argc, char **argv);
int command_status(int argc, char **argv);
int command_tree(int argc, char **argv);
