/* SPDX-License-Identifier: MIT */
/*
 * memfs: the memory of machines, as files.
 *
 *   commands/             what people call: rows in commands.def, made into help, manual pages and completion
 *   options.c             what they can say with it
 *   supervisor/           `memfs mount`: holds the mount, keeps the others running
 *   serve.c               `memfs serve`: answers the mount
 *   node.h, tree*.c       a mounted file is a row of a table; lookup, listing, documentation over all tables
 *   nodes/                the tables, laid out as the mount is
 *   view.c, ask.c         what rows see: the kernel, the board, history, the collector
 *   control_client.c, control_link.c   the channel to the collector
 *   render.c              the forms of mounted text
 *   names.c, refusals.c   what people choose, and why a write was refused
 *   plot/                 series over time, and stacks, as SVG
 *   fuse/                 the FUSE door, the only caller of libfuse, and what outlives a serve
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs/commands/command.h"

/* Started without them, what is opened next would take their numbers: a pipe, a lock, the mount. */
static void open_standard_fds(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", O_RDWR) != fd)
			_exit(EXIT_FAILURE);
	}
}

/* mount(8) calls a link of this name. */
static bool is_mount_helper(const char *path)
{
	const char *slash = strrchr(path, '/');
	return !strcmp(slash ? slash + 1 : path, "mount.memfs");
}

static bool is_help(const char *word)
{
	return !strcmp(word, "--help") || !strcmp(word, "-h");
}

/* `-h` could be the value of an option elsewhere. */
static bool asks_for_help(int argc, char **argv)
{
	for (int i = 0; i < argc; i++) {
		if (!strcmp(argv[i], "--help"))
			return true;
	}
	return argc && is_help(argv[0]);
}

int main(int argc, char **argv)
{
	const struct command *command = argc >= 2 ? command_find(argv[1]) : NULL;

	open_standard_fds();
	if (argc && is_mount_helper(argv[0]))
		return command_mount_helper(argc, argv);
	if (argc >= 2 && is_help(argv[1]))
		return command_help(argc >= 3 && !strcmp(argv[2], "--man"));
	if (argc >= 2 && !strcmp(argv[1], "--version")) {
		printf("memfs %s\n", MEMFS_VERSION);
		return 0;
	}
	if (command && command->doc && asks_for_help(argc - 2, argv + 2))
		return command_help_of(command);
	if (command)
		return command->run(argc - 2, argv + 2);
	if (argc >= 2)
		fprintf(stderr, "memfs: there is no command `%s`\n", argv[1]);
	fprintf(stderr, "usage: memfs COMMAND ... (see memfs --help)\n");
	return EXIT_USAGE;
}
