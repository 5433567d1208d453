/* SPDX-License-Identifier: MIT */
/*
 * memfs: the memory of machines, as files.
 *
 *   main.c, command_*.c   what people call
 *   supervisor*.c         `memfs mount`: holds the mount, keeps the others running
 *   serve.c               `memfs serve`: answers the mount
 *   node.h, tree*.c       a mounted file is a row of a table; lookup, listing, documentation over all tables
 *   nodes/                the tables, laid out as the mount is
 *   view.c, ask.c         what rows see: the kernel, the board, history, the collector
 *   render.c              the forms of mounted text
 *   snapshot.c opens.c names.c refusals.c keep.c   what outlives a serve
 *   fuse*.c               the FUSE door, the only caller of libfuse
 */
#include <stdio.h>
#include <string.h>

#include "fs/command.h"
#include "fs/options.h"
#include "fs/serve.h"

static const struct command commands[] = {
	{ "mount", "[-f] [-o OPTION,...] DIR",
		"mount the tree on DIR; returns when it answers (-f: stays in the foreground)",
		command_mount },
	{ "umount", "DIR", "unmount it and end what serves it", command_umount },
	{ "status", "[DIR]", "the health of one mount, or of all", command_status },
	{ "tree", "[--markdown]", "every path with its class, unit and meaning", command_tree },
	{ "serve", "", NULL, serve_main },
};
enum { N_COMMANDS = sizeof(commands) / sizeof(*commands) };

static void print_help(void)
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

int main(int argc, char **argv)
{
	if (argc >= 2 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
		print_help();
		return 0;
	}
	if (argc >= 2 && !strcmp(argv[1], "--version")) {
		printf("memfs %s\n", MEMFS_VERSION);
		return 0;
	}
	for (size_t i = 0; argc >= 2 && i < N_COMMANDS; i++) {
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].run(argc - 2, argv + 2);
	}
	if (argc >= 2)
		fprintf(stderr, "memfs: there is no command `%s`\n", argv[1]);
	fprintf(stderr, "usage: memfs COMMAND ... (see memfs --help)\n");
	return EXIT_USAGE;
}
