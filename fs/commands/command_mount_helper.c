/* SPDX-License-Identifier: MIT */
/* mount.memfs: what mount(8) calls for `mount -t memfs` and for lines of fstab. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs/commands/command.h"
#include "fs/options.h"
#include "schema/base/cleanup.h"

enum { MOUNT_EXIT_USAGE = 1, MOUNT_EXIT_FAILED = 32 }; /* mount(8), "exit status" */

/* What mount(8) and fstab have for all file systems and what is no question here: read by others, or so
 * anyway. */
static bool is_of_others(const char *option, size_t n)
{
	static const char *const names[] = { "defaults", "auto", "noauto", "nofail", "_netdev", "user",
		"nouser", "users", "owner", "group", "rw", "suid", "nosuid", "dev", "nodev", "exec", "noexec",
		"async", "sync", "dirsync", "atime", "noatime", "diratime", "nodiratime", "relatime",
		"norelatime", "strictatime", "nostrictatime", "lazytime", "nolazytime", "silent", "loud",
		"allow_other", "default_permissions" };
	static const char *const beginnings[] = { "x-", "X-", "comment=", "user=", "uhelper=", "helper=" };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (strlen(names[i]) == n && !memcmp(names[i], option, n))
			return true;
	}
	for (size_t i = 0; i < sizeof(beginnings) / sizeof(*beginnings); i++) {
		if (n >= strlen(beginnings[i]) && !memcmp(beginnings[i], option, strlen(beginnings[i])))
			return true;
	}
	return false;
}

/* Adds what is for memfs of a list as after -o; where `sloppy` only what memfs knows. 0 or -1 with a message.
 */
static int take_options(const char *list, bool sloppy, struct buf *ours)
{
	for (const char *at = list; *at;) {
		size_t n = strcspn(at, ",");
		if (n == 2 && !memcmp(at, "ro", 2)) {
			fprintf(stderr, "mount.memfs: memfs is written to by who may; there is no `ro`\n");
			return -1;
		}
		if (n == 7 && !memcmp(at, "remount", 7)) {
			fprintf(stderr, "mount.memfs: what can be changed is in DIR/local/config; "
					"for the rest umount and mount again\n");
			return -1;
		}
		if (n && !is_of_others(at, n) && (!sloppy || options_has(at, strcspn(at, "=,")))) {
			buf_puts(ours, ours->len ? "," : "");
			buf_put(ours, at, n);
		}
		at += n;
		at += *at == ',';
	}
	return 0;
}

/* Whether memfs takes the options. */
static int check(const char *list)
{
	struct options options = OPTIONS_INIT;
	struct err err = { 0 };
	int r = options_set_all(&options, list, &err);

	options_deinit(&options);
	if (r)
		fprintf(stderr, "mount.memfs: %s\n", err.reason);
	return r ? MOUNT_EXIT_USAGE : 0;
}

static int usage(void)
{
	fprintf(stderr,
		"usage: mount.memfs SOURCE DIR [-fnsv] [-o OPTION,...] (see mount(8) and memfs --help)\n");
	return MOUNT_EXIT_USAGE;
}

int command_mount_helper(int argc, char **argv)
{
	CLEANUP_BUF struct buf lists = BUF_INIT, options = BUF_INIT;
	bool fake = false, sloppy = false;
	const char *words[2];
	int n_words = 0, option;

	/* mount(8) puts the words first. */
	while ((option = getopt(argc, argv, "+fnsvo:t:")) != -1 || optind < argc) {
		switch (option) {
		case 'f':
			fake = true;
			break;
		case 's':
			sloppy = true;
			break;
		case 'o':
			buf_puts(&lists, optarg);
			buf_putc(&lists, ',');
			break;
		case 'n': /* there is no mtab */
		case 'v':
		case 't':
			break;
		case -1:
			if (n_words == 2)
				return usage();
			words[n_words++] = argv[optind++];
			break;
		default:
			return usage();
		}
	}
	buf_putc(&lists, 0);
	if (n_words != 2 || strpbrk(words[0], ",\\"))
		return usage();
	if (buf_error(&lists) || take_options(lists.data, sloppy, &options))
		return MOUNT_EXIT_USAGE;
	buf_printf(&options, "%ssource=%s", options.len ? "," : "", words[0]);
	buf_putc(&options, 0);
	if (buf_error(&options))
		return MOUNT_EXIT_FAILED;
	if (fake)
		return check(options.data);
	char flag[] = "-o", *mount_argv[] = { flag, options.data, (char *)(uintptr_t)words[1], NULL };
	int status = command_mount(3, mount_argv);
	return !status ? 0 : status == EXIT_USAGE ? MOUNT_EXIT_USAGE : MOUNT_EXIT_FAILED;
}
