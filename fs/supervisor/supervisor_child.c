/* SPDX-License-Identifier: MIT */
/* Starting a child with just the descriptors and rights that it needs. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fs/serve.h"
#include "fs/supervisor/supervisor.h"
#include "schema/base/cleanup.h"
#include "schema/base/clock.h"
#include "schema/base/log.h"

#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL /* Linux 6.9 */
#endif

enum { FDS_MAX = 8, SPARE_FD = 3 + FDS_MAX };

struct launch {
	int exe;
	char *const *argv;
	const int *fds; /* become 3, 4, ... */
	int n_fds;
	bool drop; /* to uid and gid, with no capability */
	uid_t uid;
	gid_t gid;
	int gate; /* a pipe: the child begins when it has been written down, and ends where that never happens
		   */
};

static void drop_privilege(const struct launch *launch)
{
	/* Files of other users are not ours to read; a core would hold what was served. */
	if (setgroups(0, NULL) || setresgid(launch->gid, launch->gid, launch->gid) ||
		setresuid(launch->uid, launch->uid, launch->uid))
		_exit(126);
}

/* In the child: nothing that allocates. */
static void become(const struct launch *launch)
{
	sigset_t none;
	char go;

	if (read(launch->gate, &go, 1) != 1)
		_exit(125);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setpgid(0, 0);
	/* First out of the way of the numbers they shall have. */
	int high[FDS_MAX];
	for (int i = 0; i < launch->n_fds; i++) {
		high[i] = fcntl(launch->fds[i], F_DUPFD_CLOEXEC, SPARE_FD);
		if (high[i] < 0)
			_exit(126);
	}
	int exe = fcntl(launch->exe, F_DUPFD_CLOEXEC, SPARE_FD);
	for (int i = 0; i < launch->n_fds; i++) {
		if (dup2(high[i], 3 + i) < 0)
			_exit(126);
	}
	syscall(SYS_close_range, 3 + (unsigned)launch->n_fds, ~0U, 4 /* CLOSE_RANGE_CLOEXEC */);
	if (launch->drop)
		drop_privilege(launch);
	syscall(SYS_execveat, exe, "", launch->argv, environ, AT_EMPTY_PATH);
	_exit(127);
}

static int watch(struct supervisor *supervisor, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };
	return epoll_ctl(supervisor->epoll, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

/* Starts it and watches for its end and its words on the link. */
static int start(struct supervisor *supervisor, struct child *child, struct launch *launch)
{
	int ends[2], r;

	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	CLEANUP_CLOSE int gate = ends[0], opener = ends[1];
	launch->gate = gate;
	pid_t pid = fork();
	if (pid < 0)
		return -errno;
	if (!pid) {
		close(opener);
		become(launch);
	}
	child->pid = pid;
	child->start_ticks = adopt_start_of(pid);
	child->ours = true;
	child->ready = false;
	child->start_at_ns = 0;
	child->started_ns = child->pinged_ns = clock_monotonic_ns();
	child->unanswered = 0;
	child->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (child->pidfd < 0)
		return -errno;
	adopt_record(supervisor);
	log_debug("started %s pid=%d", child->name, (int)pid);
	if (write(opener, "g", 1) != 1)
		return -errno;
	r = watch(supervisor, child->pidfd);
	return r ? r : watch(supervisor, child->link);
}

int child_watch_life(struct supervisor *supervisor, pid_t tid)
{
	close_fd(&supervisor->serve.life);
	supervisor->serve.life = (int)syscall(SYS_pidfd_open, tid, PIDFD_THREAD);
	return supervisor->serve.life < 0 ? -errno : watch(supervisor, supervisor->serve.life);
}

int child_start_serve(struct supervisor *supervisor)
{
	struct child *child = &supervisor->serve;
	CLEANUP_BUF struct buf words = BUF_INIT;
	char *argv[64] = { (char *)(uintptr_t) "memfs", (char *)(uintptr_t) "serve" };
	int ends[2], n = 2;

	options_put(&supervisor->options, &words);
	if (words.failed)
		return -ENOMEM;
	for (char *at = words.data; at < words.data + words.len && n < 63; at += strlen(at) + 1)
		argv[n++] = at;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
		return -errno;
	CLEANUP_CLOSE int theirs = ends[1];
	const int fds[] = {
		[SERVE_FD_MAIN - 3] = supervisor->main_fd,
		[SERVE_FD_LIVE - 3] = supervisor->live_fd >= 0 ? supervisor->live_fd : supervisor->init_fd,
		[SERVE_FD_BOARD - 3] = supervisor->board_read_fd,
		[SERVE_FD_KEEP - 3] = supervisor->keep_fd,
		[SERVE_FD_INIT - 3] = supervisor->init_fd,
		[SERVE_FD_LINK - 3] = theirs,
	};
	struct launch launch = { supervisor->self_exe, argv, fds, SERVE_FDS_END - 3, !geteuid(),
		supervisor->serve_uid, supervisor->serve_gid };
	child_forget(child);
	child->link = ends[0];
	return start(supervisor, child, &launch);
}

int child_start_collector(struct supervisor *supervisor)
{
	const struct options *options = &supervisor->options;
	struct child *child = &supervisor->collector;
	char board[16], control[16], ready[16], offers[16], holder[16], log_level[16], interval[16],
		freshness[16], uid[16];
	char *argv[32];
	int ends[2], n = 0;

	snprintf(board, sizeof(board), "%d", COLLECTOR_FD_BOARD);
	snprintf(control, sizeof(control), "%d", COLLECTOR_FD_CONTROL);
	snprintf(ready, sizeof(ready), "%d", COLLECTOR_FD_READY);
	snprintf(offers, sizeof(offers), "%d", supervisor->offers_fd < 0 ? -1 : COLLECTOR_FD_OFFERS);
	snprintf(holder, sizeof(holder), "%d", COLLECTOR_FD_HOLDER);
	snprintf(log_level, sizeof(log_level), "%u", options->log_level);
	snprintf(interval, sizeof(interval), "%u", options->interval_ms);
	snprintf(freshness, sizeof(freshness), "%u", options->freshness_ms);
	snprintf(uid, sizeof(uid), "%u", (unsigned)supervisor->serve_uid);
	const char *words[] = { "memfs-collector", "--board-fd", board, "--control-fd", control, "--ready-fd",
		ready, "--offers-fd", offers, "--holder-fd", holder, "--state", options->state, "--run",
		options->run, "--proc", options->proc, "--log-level", log_level, "--server-uid", uid };
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		argv[n++] = (char *)(uintptr_t)words[i];
	if (options->interval_ms) {
		argv[n++] = (char *)(uintptr_t) "--interval-ms";
		argv[n++] = interval;
	}
	if (options->freshness_ms) {
		argv[n++] = (char *)(uintptr_t) "--freshness-ms";
		argv[n++] = freshness;
	}
	if (options->sweep) {
		argv[n++] = (char *)(uintptr_t) "--sweep";
		argv[n++] = options->sweep;
	}
	argv[n] = NULL;
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK))
		return -errno;
	CLEANUP_CLOSE int ready_end = ends[0], theirs = ends[1], holder_end = -1;
	int r = hold_link(supervisor, &holder_end);
	if (r)
		return r;
	const int fds[] = {
		[COLLECTOR_FD_BOARD - 3] = supervisor->board_fd,
		[COLLECTOR_FD_CONTROL - 3] = supervisor->control_fd,
		[COLLECTOR_FD_READY - 3] = theirs,
		/* Where there is no such socket, something takes its place. */
		[COLLECTOR_FD_OFFERS - 3] = supervisor->offers_fd < 0 ? theirs : supervisor->offers_fd,
		[COLLECTOR_FD_HOLDER - 3] = holder_end,
		[COLLECTOR_FD_HOLDER_OTHER - 3] = supervisor->hold_fd,
	};
	struct launch launch = { supervisor->collector_exe, argv, fds, COLLECTOR_FDS_END - 3, false, 0, 0 };
	child_forget(child);
	child->link = steal_fd(&ready_end);
	r = start(supervisor, child, &launch);
	return r ? r : watch(supervisor, supervisor->hold_fd);
}

int child_adopt(struct child *child, pid_t pid)
{
	child->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (child->pidfd < 0)
		return -errno;
	child->pid = pid;
	child->start_ticks = adopt_start_of(pid);
	child->ours = false;
	child->ready = true;
	child->start_at_ns = 0;
	child->started_ns = clock_monotonic_ns();
	return 0;
}

void child_forget(struct child *child)
{
	close_fd(&child->pidfd);
	close_fd(&child->life);
	close_fd(&child->link);
	child->pid = 0;
	child->ready = false;
}
