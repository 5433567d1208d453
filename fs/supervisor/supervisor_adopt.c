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
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fs/fuse/fuse.h"
#include "fs/fuse/keep.h"
#include "fs/serve.h"
#include "fs/supervisor/supervisor.h"
#include "schema/base/cleanup.h"
#include "schema/base/clock.h"
#include "schema/base/kv.h"
#include "schema/base/log.h"
#include "schema/base/num.h"
#include "schema/proc/pid_stat.h"
#include "schema/proc/pid_status.h"
#include "schema/proc/root.h"

#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL /* Linux 6.9 */
#endif

enum { STOP_MS = 10000, BEGIN_MS = 1000, POLL_MS = 2, RECORD_BYTES = 4 * PATH_MAX };

/* Whose processes those that are written down can be. */
struct owners {
	uid_t own, server;
};

struct remains {
	struct lingering
		serve[LINGERING_MAX + 1]; /* of which something is left; the last one started first */
	unsigned n_serves;
	struct lingering supervisor, collector; /* pid 0: none that lives */
	bool same_mount, same_collector;        /* as these options want them */
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

/*
 * Whether a process is a memfs of those owners, by its program or its name: the record may be of another
 * boot, or somebody else's.
 */
static bool is_ours(pid_t pid, const struct owners *owners)
{
	struct pid_status status = { .uid = UINT32_MAX };
	struct proc_root root;
	CLEANUP_CLOSE int dir = -1;
	char text[4096], path[PATH_MAX] = "";
	struct pid_stat stat = { 0 };
	size_t len;

	if (proc_root_init(&root, "/"))
		return false;
	if (!proc_open_pid(&root, (uint32_t)pid, &dir)) {
		if (!proc_read_short(dir, "status", text, sizeof(text), &len))
			pid_status_parse(&status, text, len);
		if (!proc_read_short(dir, "stat", text, sizeof(text), &len))
			pid_stat_parse(&stat, text, len);
		/* Of one that is a zombie, or not for us to look into, there is the name. */
		ssize_t n = readlinkat(dir, "exe", path, sizeof(path) - 1);
		path[n > 0 ? n : 0] = 0;
	}
	proc_root_deinit(&root);
	const char *slash = strrchr(path, '/'), *program = slash ? slash + 1 : path;
	return (status.uid == owners->own || status.uid == owners->server) &&
	       (!strncmp(program, "memfs", 5) || !strncmp(stat.comm, "memfs", 5));
}

/* To no other process than the one that was written down, whoever has its number now. */
static void signal_process(const struct lingering *process, int signal)
{
	CLEANUP_CLOSE int pidfd = (int)syscall(SYS_pidfd_open, process->pid, 0);

	if (pidfd >= 0 && living_thread(process->pid, process->start_ticks))
		syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0);
}

/* What the mount must have in common to be gone on with, and what the collector. */
static void put_mount_key(const struct options *options, struct buf *out)
{
	buf_printf(out, "%s %s %s %d", options->dir, options->node, options->proc, options->single);
}

static void put_collector_key(const struct options *options, struct buf *out)
{
	buf_printf(out, "%s %s %u %u %s", options->state, options->proc, options->interval_ms,
		options->freshness_ms, options->sweep ? options->sweep : "any");
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

/* The process that was written down; false where nothing of it is left. */
static bool read_process(struct span value, const struct owners *owners, struct lingering *ret)
{
	struct span pid_word, start_word;
	uint64_t pid, start;

	if (!span_word(&value, &pid_word) || !span_word(&value, &start_word) ||
		!num_parse_whole(pid_word.p, pid_word.n, &pid) ||
		!num_parse_whole(start_word.p, start_word.n, &start) || !pid || !start || pid > INT_MAX ||
		!living_thread((pid_t)pid, start))
		return false;
	if (!is_ours((pid_t)pid, owners)) {
		log_warning("pid=%d was written down as a memfs and is none of ours: left alone", (int)pid);
		return false;
	}
	*ret = (struct lingering) { (pid_t)pid, start };
	return true;
}

/* The directory that is the first word of a mount's key; of one with a newline its first line. */
static bool is_mount_of(struct span key, const char *dir)
{
	size_t n = strcspn(dir, "\n");
	return key.n >= n && !memcmp(key.p, dir, n) && (key.n == n || key.p[n] == ' ');
}

/* options: with what the record is compared; NULL: dir alone. False where nothing was written down. */
static bool read_remains(int state_fd, const struct owners *owners, const struct options *options,
	const char *dir, struct remains *ret)
{
	char bytes[RECORD_BYTES];
	CLEANUP_BUF struct buf mount = BUF_INIT, collector = BUF_INIT;
	struct span key, value;

	ssize_t n = pread(state_fd, bytes, sizeof(bytes), 0);
	if (n <= 0)
		return false;
	if (options) {
		put_mount_key(options, &mount);
		put_collector_key(options, &collector);
	}
	buf_putc(&mount, 0);
	buf_putc(&collector, 0);
	*ret = (struct remains) { 0 };
	for (struct kv_cursor cursor = kv_begin(bytes, (size_t)n); kv_next(&cursor, &key, &value);) {
		if (span_equals(key, "serve") || span_equals(key, "lingering")) {
			if (ret->n_serves <= LINGERING_MAX &&
				read_process(value, owners, &ret->serve[ret->n_serves]))
				ret->n_serves++;
		} else if (span_equals(key, "collector")) {
			read_process(value, owners, &ret->collector);
		} else if (span_equals(key, "supervisor")) {
			read_process(value, owners, &ret->supervisor);
		} else if (span_equals(key, "mount")) {
			ret->same_mount = options ? span_equals(value, mount.data) : is_mount_of(value, dir);
		} else if (span_equals(key, "collected")) {
			ret->same_collector = options && span_equals(value, collector.data);
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
static void stop(const struct lingering *process, int signal)
{
	signal_process(process, signal);
	/* One that somebody stopped hears nothing. */
	signal_process(process, SIGCONT);
	for (int waited = 0; adopt_start_of(process->pid) == process->start_ticks && waited < 2 * STOP_MS;
		waited += POLL_MS) {
		if (waited >= STOP_MS)
			signal_process(process, SIGKILL);
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
		!keep_fits(supervisor->keep_fd) || supervisor->init_fd < 0 || supervisor->board_fd < 0 ||
		!fuse_is_mounted(supervisor->options.dir)) {
		close_fd(&supervisor->main_fd);
		close_fd(&supervisor->live_fd);
		close_fd(&supervisor->keep_fd);
		close_fd(&supervisor->init_fd);
	} else {
		log_info("going on with the mount on %s", supervisor->options.dir);
	}
}

static void adopt_collector(struct supervisor *supervisor, const struct lingering *collector)
{
	CLEANUP_CLOSE int pidfd = (int)syscall(SYS_pidfd_open, collector->pid, 0);

	if (pidfd < 0)
		return;
	if (!has_begun(collector->pid, "memfs-collector")) {
		stop(collector, SIGKILL);
		return;
	}
	supervisor->board_fd = copy_fd(pidfd, COLLECTOR_FD_BOARD);
	supervisor->control_fd = copy_fd(pidfd, COLLECTOR_FD_CONTROL);
	supervisor->hold_fd = copy_fd(pidfd, COLLECTOR_FD_HOLDER_OTHER);
	supervisor->offers_fd = copy_fd(pidfd, COLLECTOR_FD_OFFERS);
	if (supervisor->board_fd < 0 || supervisor->control_fd < 0 || supervisor->hold_fd < 0 ||
		child_adopt(&supervisor->collector, collector->pid)) {
		close_fd(&supervisor->board_fd);
		close_fd(&supervisor->control_fd);
		close_fd(&supervisor->hold_fd);
		close_fd(&supervisor->offers_fd);
		stop(collector, SIGTERM);
	} else {
		log_info("going on with collector pid=%d", (int)collector->pid);
	}
}

/* Ends the collector unless it is gone on with, and every serve: their connection is ours now, or dead with
 * them. */
static void stop_remains(const struct remains *remains, bool collector)
{
	if (collector && remains->collector.pid)
		stop(&remains->collector, SIGTERM);
	for (unsigned i = 0; i < remains->n_serves; i++)
		stop(&remains->serve[i], SIGKILL);
}

void adopt_find(struct supervisor *supervisor)
{
	const struct owners owners = { geteuid(), supervisor->serve_uid };
	struct remains remains;

	if (!read_remains(supervisor->state_fd, &owners, &supervisor->options, NULL, &remains))
		return;
	supervisor->left_mount = remains.same_mount;
	log_debug("found serves=%u collector=%d same_mount=%d same_collector=%d", remains.n_serves,
		(int)remains.collector.pid, remains.same_mount, remains.same_collector);
	if (remains.collector.pid && !adopt_start_of(remains.collector.pid))
		remains.collector.pid = 0;
	if (remains.collector.pid && remains.same_collector)
		adopt_collector(supervisor, &remains.collector);
	for (unsigned i = 0; i < remains.n_serves && remains.same_mount && supervisor->main_fd < 0; i++)
		adopt_mount(supervisor, &remains.serve[i]);
	stop_remains(&remains, !remains.same_collector);
}

pid_t adopt_find_orphan(int run_fd, const char *dir)
{
	struct owners owners = { geteuid(), geteuid() };
	struct remains remains;
	CLEANUP_CLOSE int state = openat(run_fd, "state", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	return state >= 0 && read_remains(state, &owners, NULL, dir, &remains) && remains.same_mount
		       ? remains.supervisor.pid
		       : 0;
}

/* A run directory that can be believed: its owner's alone. Stores whose. */
static int open_run(const char *run, struct owners *ret_owners)
{
	CLEANUP_CLOSE int fd = open(run, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	gid_t gid;

	if (fd < 0 || fstat(fd, &st) || (st.st_mode & (S_IWGRP | S_IWOTH)) ||
		(geteuid() && st.st_uid != geteuid()))
		return -1;
	*ret_owners = (struct owners) { st.st_uid, st.st_uid };
	if (!st.st_uid)
		place_find_server(&ret_owners->server, &gid);
	return steal_fd(&fd);
}

/* The lock of a supervisor that is dead: -1 where it can be had by nobody. */
static int lock_orphan(int run_fd)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	CLEANUP_CLOSE int fd = openat(run_fd, "lock", O_RDWR | O_NOFOLLOW | O_CLOEXEC);

	/* A child that the dead one was just starting has it until it sees so. */
	for (int waited = 0; fd >= 0 && fcntl(fd, F_OFD_SETLK, &lock); waited += POLL_MS) {
		if (waited >= BEGIN_MS)
			return -1;
		poll(NULL, 0, POLL_MS);
	}
	return steal_fd(&fd);
}

void adopt_end(const char *run, const char *dir)
{
	struct owners owners;
	struct remains remains;
	CLEANUP_CLOSE int run_fd = open_run(run, &owners);
	CLEANUP_CLOSE int state =
		run_fd < 0 ? -1 : openat(run_fd, "state", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	/* What is mounted on dir may be anybody's, and lead here. */
	if (state < 0 || !read_remains(state, &owners, NULL, dir, &remains) || !remains.same_mount)
		return;
	if (remains.supervisor.pid) {
		signal_process(&remains.supervisor, SIGTERM);
		return;
	}
	CLEANUP_CLOSE int lock = lock_orphan(run_fd);
	if (lock < 0)
		return;
	stop_remains(&remains, true);
	CLEANUP_FREE char *live = NULL;
	if (asprintf(&live, "%s/live", run) < 0)
		live = NULL;
	else if (fuse_is_mounted(live))
		fuse_unmount_door(live, true);
	place_clean(run, run_fd);
}
