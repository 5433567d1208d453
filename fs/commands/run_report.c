/* SPDX-License-Identifier: MIT */
#include "fs/commands/run_report.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fs/fuse/fuse.h"
#include "schema/base/buf.h"
#include "schema/base/cleanup.h"
#include "schema/base/kv.h"
#include "schema/base/num.h"

enum { PATIENCE_MS = 10000, POLL_MS = 50, PLACES_MAX = 20 };

static int read_file(const char *dir, const char *name, struct buf *out)
{
	char path[PATH_MAX];
	CLEANUP_CLOSE int fd = -1;
	ssize_t n;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	do {
		char *room = buf_reserve(out, 65536);
		if (!room)
			return -ENOMEM;
		n = read(fd, room, 65536);
		if (n > 0)
			out->len += (size_t)n;
	} while (n > 0 || (n < 0 && errno == EINTR));
	return n < 0 ? -errno : 0;
}

/* The latest of those that had the pid. */
static int find_remains(const char *mount, pid_t pid, char *ret_dir, size_t cap)
{
	char pattern[PATH_MAX + 64];
	glob_t found;
	int r = -ENOENT;

	snprintf(pattern, sizeof(pattern), "%s/local/ended/%d-*", mount, (int)pid);
	if (glob(pattern, 0, NULL, &found))
		return r;
	for (size_t i = found.gl_pathc; i-- > 0 && r;) {
		CLEANUP_BUF struct buf stat = BUF_INIT;
		snprintf(ret_dir, cap, "%s/leaks", found.gl_pathv[i]);
		r = read_file(ret_dir, "stat", &stat);
	}
	globfree(&found);
	return r;
}

static int find_in_mounts(pid_t pid, char *ret_dir, size_t cap)
{
	CLEANUP_BUF struct buf mounts = BUF_INIT;

	if (fuse_list_mounts(&mounts))
		return -ENOENT;
	for (const char *mount = mounts.data; mount < mounts.data + mounts.len; mount += strlen(mount) + 1) {
		if (!find_remains(mount, pid, ret_dir, cap))
			return 0;
	}
	return -ENOENT;
}

static struct span value_of(const struct buf *stat, const char *name)
{
	struct span key, value;

	for (struct kv_cursor cursor = kv_begin(stat->data, stat->len); kv_next(&cursor, &key, &value);) {
		if (span_equals(key, name))
			return value;
	}
	return (struct span) { "-", 1 };
}

/* One write(2), so that it stands together beside what others print. */
static void print(pid_t pid, const struct buf *stat, const struct buf *callers)
{
	CLEANUP_BUF struct buf text = BUF_INIT;
	struct span bytes = value_of(stat, "live_bytes"), blocks = value_of(stat, "live_blocks"),
		    lost = value_of(stat, "lost"), rest = { callers->data, callers->len }, line;
	unsigned n = 0;

	buf_printf(&text, "memfs: pid %d ended with %.*s bytes in %.*s blocks not freed", (int)pid,
		(int)bytes.n, bytes.p, (int)blocks.n, blocks.p);
	if (!span_equals(lost, "0") && !span_equals(lost, "-"))
		buf_printf(&text, ", %.*s not on record", (int)lost.n, lost.p);
	buf_putc(&text, '\n');
	for (; n <= PLACES_MAX && span_line(&rest, &line); n++)
		buf_printf(&text, "%.*s\n", (int)line.n, line.p);
	if (rest.n)
		buf_puts(&text, "...\n");
	if (!text.failed && write(STDERR_FILENO, text.data, text.len) < 0) {
		/* Nobody reads it. */
	}
}

int run_report(pid_t pid)
{
	CLEANUP_BUF struct buf stat = BUF_INIT, callers = BUF_INIT;
	char dir[PATH_MAX];
	int r = find_in_mounts(pid, dir, sizeof(dir));

	for (int waited = 0; r && waited < PATIENCE_MS; waited += POLL_MS) {
		poll(NULL, 0, POLL_MS);
		r = find_in_mounts(pid, dir, sizeof(dir));
	}
	if (!r)
		r = read_file(dir, "stat", &stat);
	if (!r)
		r = read_file(dir, "callers", &callers);
	if (r) {
		fprintf(stderr, "memfs: no memfs has a report on pid %d\n", (int)pid);
		return -ENOENT;
	}
	print(pid, &stat, &callers);
	return 0;
}
