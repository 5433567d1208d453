/* SPDX-License-Identifier: MIT */
/*
 * After a supervisor was killed its children go on: serve serves, the collector collects. The next supervisor
 * finds them by RUN/state, takes copies of their descriptors (pidfd_getfd), and goes on with the same mount
 * and the same board: no reader notices.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fs/fuse.h"
#include "fs/serve.h"
#include "fs/supervisor.h"
#include "schema/base/cleanup.h"
#include "schema/base/clock.h"
#include "schema/base/kv.h"
#include "schema/base/log.h"
#include "schema/base/num.h"
#include "schema/proc/pid_stat.h"
#include "schema/proc/root.h"

#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL /* Linux 6.9 */
#endif

enum { STOP_MS = 10000, BEGIN_MS = 1000, POLL_MS = 2, RECORD_BYTES = 4 * PATH_MAX };

struct remains {
	struct lingering
		serve[LINGERING_MAX + 1]; /* of which something is left; the last one started first */
	unsigned n_serves;
	pid_t collector; /* 0: none that lives */
	uint64_t collector_start;
	bool same_mount, same_collector; /* as these options want them */
};

uint64_t adopt_start_of(pid_t pid)
{
	struct proc_root root;
	struct pid_stat stat = { 0 };
	CLEANUP_CLOSE int dir = -1;
	char text[1024];
	size_t len;

	if (pid <= 0 || proc_root_init(&root, "/"))
		return 0;
	if (!proc_open_pid(&root, (uint32_t)pid, &dir) &&
		!proc_read_short(dir, "stat", text, sizeof(text), &len))
		pid_stat_parse(&stat, text, len);
	proc_root_deinit(&root);
	return stat.state == 'Z' ? 0 : stat.start_ticks;
}

/*
 * A thread of a process that has its descriptors still: of one that was killed it may be the one that waits
 * in the kernel for a request, and with it the connection can be rescued. 0 where there is none.
 */
static pid_t living_thread(pid_t pid, uint64_t start)
{
	CLEANUP_CLOSEDIR DIR *tasks = NULL;
	struct proc_root root;
	const struct dirent *entry;
	char path[32];
	pid_t found = 0;

	if (adopt_start_of(pid) == start)
		return pid;
	if (proc_root_init(&root, "/"))
		return 0;
	snprintf(path, sizeof(path), "%d/task", (int)pid);
	int fd = openat(root.proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0 && !(tasks = fdopendir(fd)))
		close(fd);
	while (tasks && !found && (entry = readdir(tasks))) {
		char file[300], text[1024];
		size_t len;
		struct pid_stat stat;
		snprintf(file, sizeof(file), "%s/stat", entry->d_name);
		if (*entry->d_name == '.' || proc_read_short(dirfd(tasks), file, text, sizeof(text), &len) ||
			!pid_stat_parse(&stat, text, len))
			continue;
		/* The leader tells whether it is the process that was written down. */
		if ((pid_t)stat.pid == pid && stat.start_ticks != start)
			break;
		if (stat.state != 'Z' && stat.state != 'X')
			found = (pid_t)stat.pid;
	}
	proc_root_deinit(&root);
	return found;
}

/* What the mount must have in common to be gone on with, and what the collector. */
static void put_mount_key(const struct options *options, struct buf *out)
{
	buf_printf(out, "%s %s %s %d", options->dir, options->node, options->proc, options->single);
}

static void put_collector_key(const struct options *options, struct buf *out)
{
	buf_printf(out, "%s %s %s", options->state, options->proc, options->sweep ? options->sweep : "any");
}

/*
 * One write(2) of constant length into one file: whole even when we are killed in the middle, and without a
 * rename that would wait for a disk.
 */
void adopt_record(const struct supervisor *supervisor)
{
	char record[RECORD_BYTES];
	struct buf text = BUF_FIXED(record);

	buf_printf(
		&text, "supervisor %d %llu\n", (int)getpid(), (unsigned long long)adopt_start_of(getpid()));
	buf_printf(&text, "serve %d %llu\n", (int)supervisor->serve.pid,
		(unsigned long long)supervisor->serve.start_ticks);
	buf_printf(&text, "collector %d %llu\n", (int)supervisor->collector.pid,
		(unsigned long long)supervisor->collector.start_ticks);
	for (unsigned i = 0; i < supervisor->n_lingering; i++)
		buf_printf(&text, "lingering %d %llu\n", (int)supervisor->lingering[i].pid,
			(unsigned long long)supervisor->lingering[i].start_ticks);
	buf_puts(&text, "mount ");
	put_mount_key(&supervisor->options, &text);
	buf_puts(&text, "\ncollected ");
	put_collector_key(&supervisor->options, &text);
	buf_putc(&text, '\n');
	while (!text.failed && text.len < sizeof(record))
		buf_putc(&text, '\n');
	if (text.failed || pwrite(supervisor->state_fd, record, sizeof(record), 0) != sizeof(record))
		log_warning("%s/state cannot be written: %s", supervisor->options.run, strerror(errno));
}

/* The process that was written down; 0 where nothing of it is left. */
static pid_t read_process(struct span value, uint64_t *ret_start)
{
	struct span pid_word, start_word;
	uint64_t pid, start;

	if (!span_word(&value, &pid_word) || !span_word(&value, &start_word) ||
		!num_parse_whole(pid_word.p, pid_word.n, &pid) ||
		!num_parse_whole(start_word.p, start_word.n, &start) || !pid || !start || pid > INT_MAX ||
		!living_thread((pid_t)pid, start))
		return 0;
	*ret_start = start;
	return (pid_t)pid;
}

void adopt_end_supervisor(const char *run)
{
	char path[PATH_MAX], bytes[RECORD_BYTES];
	struct span key, value;

	snprintf(path, sizeof(path), "%s/state", run);
	CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, bytes, sizeof(bytes));
	for (struct kv_cursor cursor = kv_begin(bytes, n > 0 ? (size_t)n : 0);
		kv_next(&cursor, &key, &value);) {
		uint64_t start;
		pid_t pid = span_equals(key, "supervisor") ? read_process(value, &start) : 0;
		if (pid)
			kill(pid, SIGTERM);
	}
}

static bool read_remains(const struct supervisor *supervisor, struct remains *ret)
{
	const struct options *options = &supervisor->options;
	char bytes[RECORD_BYTES];
	CLEANUP_BUF struct buf mount = BUF_INIT, collector = BUF_INIT;
	struct span key, value;

	ssize_t n = pread(supervisor->state_fd, bytes, sizeof(bytes), 0);
	if (n <= 0)
		return false;
	put_mount_key(options, &mount);
	put_collector_key(options, &collector);
	buf_putc(&mount, 0);
	buf_putc(&collector, 0);
	*ret = (struct remains) { 0 };
	for (struct kv_cursor cursor = kv_begin(bytes, (size_t)n); kv_next(&cursor, &key, &value);) {
		if (span_equals(key, "serve") || span_equals(key, "lingering")) {
			struct lingering *serve = &ret->serve[ret->n_serves];
			if (ret->n_serves <= LINGERING_MAX &&
				(serve->pid = read_process(value, &serve->start_ticks)))
				ret->n_serves++;
		} else if (span_equals(key, "collector")) {
			ret->collector = read_process(value, &ret->collector_start);
		} else if (span_equals(key, "mount")) {
			ret->same_mount = span_equals(value, mount.data);
		} else if (span_equals(key, "collected")) {
			ret->same_collector = span_equals(value, collector.data);
		}
	}
	return true;
}

/*
 * Whether a child has become what it was started for: it gives itself its name when its descriptors are where
 * they belong. One that was started just before the supervisor died needs a moment.
 */
static bool has_begun(pid_t pid, const char *name)
{
	struct proc_root root;
	bool begun = false;

	if (proc_root_init(&root, "/"))
		return false;
	for (int waited = 0; !begun && waited < BEGIN_MS; waited += POLL_MS) {
		CLEANUP_CLOSE int dir = -1;
		char comm[32];
		size_t len;
		if (proc_open_pid(&root, (uint32_t)pid, &dir) ||
			proc_read_short(dir, "comm", comm, sizeof(comm), &len))
			break;
		begun = len == strlen(name) + 1 && !memcmp(comm, name, len - 1);
		if (!begun)
			poll(NULL, 0, POLL_MS);
	}
	proc_root_deinit(&root);
	return begun;
}

/*
 * Ends a process and waits until it runs no more. What lingers of a serve in the kernel is not waited for: it
 * goes when the next one answers what it waits for.
 */
static void stop(pid_t pid, int signal)
{
	kill(pid, signal);
	for (int waited = 0; adopt_start_of(pid); waited += POLL_MS) {
		if (waited >= STOP_MS)
			kill(pid, SIGKILL);
		poll(NULL, 0, POLL_MS);
	}
}

static int copy_fd(int pidfd, int fd)
{
	int copy = (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);
	return copy < 0 ? -1 : copy;
}

/* The board can be written through the collector's descriptor; serve's cannot, so its memory is opened anew.
 */
static int writable_board(pid_t serve)
{
	struct proc_root root;
	char path[64];
	int fd;

	if (proc_root_init(&root, "/"))
		return -1;
	snprintf(path, sizeof(path), "%d/fd/%d", (int)serve, SERVE_FD_BOARD);
	fd = openat(root.proc, path, O_RDWR | O_CLOEXEC);
	proc_root_deinit(&root);
	return fd;
}

static bool is_fuse(int fd)
{
	struct stat st;
	return fd >= 0 && !fstat(fd, &st) && S_ISCHR(st.st_mode);
}

static void adopt_mount(struct supervisor *supervisor, const struct lingering *serve)
{
	pid_t thread = living_thread(serve->pid, serve->start_ticks);
	CLEANUP_CLOSE int pidfd =
		(int)syscall(SYS_pidfd_open, thread, thread == serve->pid ? 0 : PIDFD_THREAD);
	bool single = supervisor->options.single;

	if (pidfd < 0 || (thread == serve->pid && !has_begun(thread, "memfs-serve")))
		return;
	supervisor->main_fd = copy_fd(pidfd, SERVE_FD_MAIN);
	supervisor->live_fd = single ? -1 : copy_fd(pidfd, SERVE_FD_LIVE);
	supervisor->keep_fd = copy_fd(pidfd, SERVE_FD_KEEP);
	supervisor->init_fd = copy_fd(pidfd, SERVE_FD_INIT);
	if (supervisor->board_fd < 0)
		supervisor->board_fd = writable_board(thread);
	if (!is_fuse(supervisor->main_fd) || (!single && !is_fuse(supervisor->live_fd)) ||
		supervisor->keep_fd < 0 || supervisor->init_fd < 0 || supervisor->board_fd < 0 ||
		!fuse_is_mounted(supervisor->options.dir)) {
		close_fd(&supervisor->main_fd);
		close_fd(&supervisor->live_fd);
		close_fd(&supervisor->keep_fd);
		close_fd(&supervisor->init_fd);
	} else {
		log_info("going on with the mount on %s", supervisor->options.dir);
	}
}

static void adopt_collector(struct supervisor *supervisor, const struct remains *remains)
{
	CLEANUP_CLOSE int pidfd = (int)syscall(SYS_pidfd_open, remains->collector, 0);

	if (pidfd < 0)
		return;
	if (!has_begun(remains->collector, "memfs-collector")) {
		stop(remains->collector, SIGKILL);
		return;
	}
	supervisor->board_fd = copy_fd(pidfd, COLLECTOR_FD_BOARD);
	supervisor->control_fd = copy_fd(pidfd, COLLECTOR_FD_CONTROL);
	if (supervisor->board_fd < 0 || supervisor->control_fd < 0 ||
		child_adopt(&supervisor->collector, remains->collector)) {
		close_fd(&supervisor->board_fd);
		close_fd(&supervisor->control_fd);
		stop(remains->collector, SIGTERM);
	} else {
		log_info("going on with collector pid=%d", (int)remains->collector);
	}
}

void adopt_find(struct supervisor *supervisor)
{
	struct remains remains;

	if (!read_remains(supervisor, &remains))
		return;
	supervisor->left_mount = remains.same_mount;
	log_debug("found serves=%u collector=%d same_mount=%d same_collector=%d", remains.n_serves,
		(int)remains.collector, remains.same_mount, remains.same_collector);
	if (remains.collector && !adopt_start_of(remains.collector))
		remains.collector = 0;
	if (remains.collector && remains.same_collector)
		adopt_collector(supervisor, &remains);
	else if (remains.collector)
		stop(remains.collector, SIGTERM);
	for (unsigned i = 0; i < remains.n_serves && remains.same_mount && supervisor->main_fd < 0; i++)
		adopt_mount(supervisor, &remains.serve[i]);
	/* Their connection is ours now, or dead with them. */
	for (unsigned i = 0; i < remains.n_serves; i++)
		stop(remains.serve[i].pid, SIGKILL);
}
