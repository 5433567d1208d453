/* SPDX-License-Identifier: MIT */
/* memfs status, memfs tree. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs/commands/command.h"
#include "fs/fuse/fuse.h"
#include "fs/commands/manual.h"
#include "fs/nodes/nodes.h"
#include "fs/tree.h"
#include "schema/base/cleanup.h"

static int show(const char *dir)
{
	char path[PATH_MAX + 8], text[4096];
	ssize_t n;

	switch (fuse_mount_state(dir)) {
	case FUSE_NOT_MOUNTED:
		fprintf(stderr, "memfs: no memfs is mounted on %s\n", dir);
		return 1;
	case FUSE_DEAD:
		printf("%s\ndead: its server is gone (memfs umount, or mount again)\n", dir);
		return 1;
	case FUSE_MOUNTED:
		break;
	}
	snprintf(path, sizeof(path), "%s/status", dir);
	CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text));
	if (n < 0) {
		fprintf(stderr, "memfs: %s: %s\n", path, strerror(errno));
		return 1;
	}
	printf("%s\n%.*s", dir, (int)n, text);
	return 0;
}

/* Whether a mount is RUN/live, part of another: of a dead one the files beside it tell. */
static bool is_live_part(const char *dir)
{
	static const char suffix[] = "/live";
	char path[PATH_MAX + 8];
	size_t n = strlen(dir);

	if (fuse_mount_state(dir) == FUSE_MOUNTED) {
		snprintf(path, sizeof(path), "%s/status", dir);
		return access(path, F_OK) != 0;
	}
	if (n < sizeof(suffix) || strcmp(dir + n - (sizeof(suffix) - 1), suffix) != 0)
		return false;
	snprintf(path, sizeof(path), "%.*s/state", (int)(n - (sizeof(suffix) - 1)), dir);
	return !access(path, F_OK);
}

static int show_all(void)
{
	CLEANUP_BUF struct buf dirs = BUF_INIT;
	int status = 0, n = 0;

	if (fuse_list_mounts(&dirs)) {
		fprintf(stderr, "memfs: the list of mounts cannot be read\n");
		return 1;
	}
	for (const char *dir = dirs.data; dir < dirs.data + dirs.len; dir += strlen(dir) + 1) {
		if (is_live_part(dir))
			continue;
		status |= show(dir);
		n++;
	}
	if (!n) {
		fprintf(stderr, "memfs: nothing is mounted\n");
		return 1;
	}
	return status;
}

int command_status(int argc, char **argv)
{
	if (argc > 1 || (argc && *argv[0] == '-'))
		return command_usage("status");
	if (!argc)
		return show_all();
	CLEANUP_FREE char *dir = realpath(argv[0], NULL);
	return show(dir ? dir : argv[0]);
}

int command_tree(int argc, char **argv)
{
	CLEANUP_FREE struct tree *tree = calloc(1, sizeof(*tree));
	CLEANUP_BUF struct buf text = BUF_INIT;

	bool markdown = argc == 1 && !strcmp(argv[0], "--markdown"),
	     man = argc == 1 && !strcmp(argv[0], "--man");

	if (argc && !markdown && !man)
		return command_usage("tree");
	if (!tree || tree_init(tree, &root_node)) {
		fprintf(stderr, "memfs: a row of the tree breaks a rule\n");
		return 1;
	}
	if (markdown) {
		tree_markdown(tree, &text);
	} else if (man) {
		manual_put_tree(tree, &text);
	} else {
		for (uint16_t row = 1; row < tree->first_twin; row++) {
			tree_pattern(tree, row, &text);
			buf_printf(&text, "%s\t%s\n", tree->row[row].node->class == NODE_DIR ? "/" : "",
				tree->row[row].node->doc);
		}
	}
	if (buf_error(&text) || fwrite(text.data, 1, text.len, stdout) != text.len)
		return 1;
	return 0;
}
