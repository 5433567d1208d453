/* SPDX-License-Identifier: MIT */
#include "fs/supervisor/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fs/fuse/fuse.h"
#include "fs/supervisor/notify.h"
#include "fs/serve.h"
#include "schema/base/cleanup.h"
#include "schema/base/clock.h"
#include "schema/base/log.h"

#define MS INT64_C(1000000)

enum {
	PING_MS = 1000,
	STUCK_PINGS = 4,   /* a serve that has answered none of so many is replaced */
	FREE_FAILURES = 3, /* ends before it was ready that do not delay the next start */
	BACKOFF_MS = 10,   /* doubles with each end before it was ready */
	BACKOFF_MAX_MS = 2000,
	STOP_MS = 10000,    /* for the collector to put its history in order */
	FIRST_FAILURES = 5, /* at the start: then it is no use */
};

/* "+", or the reason why not. */
static void tell(struct supervisor *supervisor, const char *text)
{
	char status[ERR_REASON_MAX + 16];

	if (supervisor->ready_is_manager) {
		snprintf(status, sizeof(status), *text == '+' ? "READY=1" : "STATUS=%s", text);
		text = status;
	}
	if (supervisor->ready >= 0 && write(supervisor->ready, text, strlen(text)) < 0) {
		/* Nobody waits any more. */
	}
	close_fd(&supervisor->ready);
}

static void set_timer(struct supervisor *supervisor)
{
	int64_t now = clock_monotonic_ns(), wait = PING_MS * MS;
	const struct child *children[] = { &supervisor->serve, &supervisor->collector };

	for (size_t i = 0; i < 2; i++) {
		if (children[i]->start_at_ns && children[i]->start_at_ns - now < wait)
			wait = children[i]->start_at_ns - now;
	}
	if (wait < MS)
		wait = MS;
	struct itimerspec timer = { .it_value = { wait / 1000000000, wait % 1000000000 } };
	timerfd_settime(supervisor->timer, 0, &timer, NULL);
}

static int start_child(struct supervisor *supervisor, struct child *child)
{
	int r = child == &supervisor->serve ? child_start_serve(supervisor)
					    : child_start_collector(supervisor);

	if (r) {
		log_error("cannot start %s: %s", child->name, strerror(-r));
		child->start_at_ns = clock_monotonic_ns() + BACKOFF_MAX_MS * MS;
	}
	return r;
}

/* The exit status where it is known already, -1 else. */
static int exit_status_of(const struct child *child)
{
	siginfo_t info = { 0 };

	if (!child->ours || waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG) ||
		info.si_pid != child->pid)
		return -1;
	return info.si_code == CLD_EXITED ? info.si_status : -1;
}

static void fail(struct supervisor *supervisor, const char *reason)
{
	log_error("%s", reason);
	tell(supervisor, reason);
	supervisor->stopping = true;
	supervisor->exit_status = 1;
}

static void child_ended(struct supervisor *supervisor, struct child *child)
{
	int status = exit_status_of(child);
	bool was_ready = child->ready;
	int64_t now = clock_monotonic_ns();

	log_info("%s pid=%d ended status=%d", child->name, (int)child->pid, status);
	if (child == &supervisor->serve && status < 0 && supervisor->n_lingering < LINGERING_MAX)
		supervisor->lingering[supervisor->n_lingering++] =
			(struct lingering) { child->pid, child->start_ticks };
	child_forget(child);
	if (child == &supervisor->collector && status == COLLECTOR_EXIT_IN_USE && supervisor->ready >= 0) {
		fail(supervisor,
			"the state directory is in use by another collector (give each mount its own state=)");
		return;
	}
	child->failures = was_ready ? 0 : child->failures + 1;
	if (supervisor->ready >= 0 && child->failures == FIRST_FAILURES) {
		fail(supervisor, child == &supervisor->serve ? "serve does not start"
							     : "the collector does not start");
		return;
	}
	/* At once where it had been well: readers wait. */
	int64_t wait = 0;
	for (unsigned i = FREE_FAILURES; i < child->failures && wait < BACKOFF_MAX_MS * MS; i++)
		wait = wait ? 2 * wait : BACKOFF_MS * MS;
	if (wait)
		child->start_at_ns = now + wait;
	else if (!supervisor->stopping && !supervisor->remount)
		start_child(supervisor, child);
}

static void mount_anew(struct supervisor *supervisor)
{
	struct err err = { 0 };

	supervisor->remount = false;
	log_warning("this kernel cannot hand the connection on: mounting anew");
	place_unmount(supervisor);
	if (place_mount(supervisor, &err))
		fail(supervisor, err.reason);
	else
		start_child(supervisor, &supervisor->serve);
}

static void announce_ready(struct supervisor *supervisor)
{
	if (supervisor->ready >= 0 && supervisor->serve.ready && supervisor->collector.ready)
		tell(supervisor, "+");
}

static void on_link(struct supervisor *supervisor)
{
	struct serve_message message;

	ssize_t n = recv(supervisor->serve.link, &message, sizeof(message), MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n != sizeof(message)) {
		epoll_ctl(supervisor->epoll, EPOLL_CTL_DEL, supervisor->serve.link, NULL);
		return;
	}
	supervisor->serve.unanswered = 0;
	switch (message.kind) {
	case SERVE_LIFE:
		child_watch_life(supervisor, message.tid);
		break;
	case SERVE_READY:
		supervisor->serve.ready = true;
		break;
	case SERVE_UNMOUNTED:
		supervisor->stopping = supervisor->unmounted = true;
		break;
	case SERVE_REMOUNT:
		supervisor->remount = true;
		break;
	}
}

static void on_collector_pipe(struct supervisor *supervisor)
{
	char byte;

	if (read(supervisor->collector.link, &byte, 1) == 1)
		supervisor->collector.ready = true;
	else if (errno == EAGAIN)
		return;
	close_fd(&supervisor->collector.link);
}

static void on_timer(struct supervisor *supervisor)
{
	struct child *serve = &supervisor->serve, *children[] = { serve, &supervisor->collector };
	int64_t now = clock_monotonic_ns();
	uint64_t ticks;
	const struct serve_message ping = { .kind = SERVE_PING };

	if (read(supervisor->timer, &ticks, sizeof(ticks)) < 0) {
		/* Set anew meanwhile. */
	}
	for (size_t i = 0; i < 2; i++) {
		if (!children[i]->pid && children[i]->start_at_ns && now >= children[i]->start_at_ns &&
			!supervisor->stopping)
			start_child(supervisor, children[i]);
	}
	if (!serve->pid || now - serve->pinged_ns < PING_MS * MS)
		return;
	/* Pings are counted, not time: in a pause of the whole machine, or of the supervisor, nobody could
	 * answer. */
	if (serve->unanswered >= STUCK_PINGS) {
		log_error("serve pid=%d has not answered %u pings: replacing it", (int)serve->pid,
			serve->unanswered);
		kill(serve->pid, SIGKILL);
		child_ended(supervisor, serve);
		return;
	}
	send(serve->link, &ping, sizeof(ping), MSG_DONTWAIT | MSG_NOSIGNAL);
	serve->pinged_ns = now;
	serve->unanswered++;
}

static void forget_lingering(struct supervisor *supervisor, pid_t pid)
{
	for (unsigned i = 0; i < supervisor->n_lingering; i++) {
		if (supervisor->lingering[i].pid == pid)
			supervisor->lingering[i--] = supervisor->lingering[--supervisor->n_lingering];
	}
}

static void on_signal(struct supervisor *supervisor)
{
	struct signalfd_siginfo info;

	if (read(supervisor->signals, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo != SIGCHLD) {
		supervisor->stopping = true;
		return;
	}
	/* Children whose end was told by their pidfd, and those that were stuck and are gone at last. */
	for (;;) {
		siginfo_t child = { 0 };
		if (waitid(P_ALL, 0, &child, WEXITED | WNOHANG | WNOWAIT) || !child.si_pid)
			return;
		if (child.si_pid == supervisor->serve.pid || child.si_pid == supervisor->collector.pid)
			return;
		waitpid(child.si_pid, NULL, WNOHANG);
		forget_lingering(supervisor, child.si_pid);
	}
}

static void dispatch(struct supervisor *supervisor, int fd)
{
	if (fd == supervisor->serve.link)
		on_link(supervisor);
	else if (fd == supervisor->collector.link)
		on_collector_pipe(supervisor);
	else if (fd == supervisor->hold_fd)
		hold_take(supervisor);
	else if (fd == supervisor->timer)
		on_timer(supervisor);
	else if (fd == supervisor->signals)
		on_signal(supervisor);
}

/* A child that was started since the events came may have the number of a descriptor that they name. */
static bool is_readable(int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	return poll(&poll_fd, 1, 0) == 1;
}

/* Ends of children come after their last words. */
static void dispatch_ends(struct supervisor *supervisor, int fd)
{
	if (supervisor->stopping || !is_readable(fd))
		return;
	if (fd >= 0 && (fd == supervisor->serve.pidfd || fd == supervisor->serve.life))
		child_ended(supervisor, &supervisor->serve);
	else if (fd == supervisor->collector.pidfd)
		child_ended(supervisor, &supervisor->collector);
}

static void loop(struct supervisor *supervisor)
{
	while (!supervisor->stopping) {
		struct epoll_event events[8];
		set_timer(supervisor);
		int n = epoll_wait(supervisor->epoll, events, 8, -1);
		for (int i = 0; i < n; i++)
			dispatch(supervisor, events[i].data.fd);
		for (int i = 0; i < n; i++)
			dispatch_ends(supervisor, events[i].data.fd);
		if (supervisor->remount && !supervisor->stopping)
			mount_anew(supervisor);
		announce_ready(supervisor);
	}
}

static int watch(struct supervisor *supervisor, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };
	return fd < 0 || epoll_ctl(supervisor->epoll, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

static int init_loop(struct supervisor *supervisor)
{
	sigset_t signals;
	int r;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGCHLD);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	supervisor->epoll = epoll_create1(EPOLL_CLOEXEC);
	supervisor->signals = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	supervisor->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (supervisor->epoll < 0)
		return -errno;
	r = watch(supervisor, supervisor->signals);
	return r ? r : watch(supervisor, supervisor->timer);
}

static void stop_child(struct child *child, int signal, int timeout_ms)
{
	struct pollfd poll_fd = { .fd = child->pidfd, .events = POLLIN };

	if (!child->pid)
		return;
	/* Through its descriptor: one that is not ours to reap may have left its pid to another. */
	syscall(SYS_pidfd_send_signal, child->pidfd, signal, NULL, 0);
	/* One that somebody stopped hears nothing. */
	syscall(SYS_pidfd_send_signal, child->pidfd, SIGCONT, NULL, 0);
	if (poll(&poll_fd, 1, timeout_ms) != 1) {
		syscall(SYS_pidfd_send_signal, child->pidfd, SIGKILL, NULL, 0);
		poll(&poll_fd, 1, timeout_ms);
	}
	if (child->ours)
		waitpid(child->pid, NULL, WNOHANG);
	child_forget(child);
}

static void end(struct supervisor *supervisor)
{
	/* Unmounted first: who reads gets an end instead of waiting for a serve that does not come back. */
	place_unmount(supervisor);
	stop_child(&supervisor->serve, SIGKILL, STOP_MS);
	stop_child(&supervisor->collector, SIGTERM, STOP_MS);
	place_clean(supervisor->options.run, supervisor->run_fd);
}

static int begin(struct supervisor *supervisor, struct err *err)
{
	int r = init_loop(supervisor);

	if (!r)
		r = hold_init(supervisor);
	if (r)
		return err_set(err, -r, "cannot set up the loop: %s", strerror(-r));
	r = place_prepare(supervisor, err);
	if (r)
		return r;
	adopt_find(supervisor);
	if ((r = place_share(supervisor, err)) ||
		(supervisor->main_fd < 0 && (r = place_mount(supervisor, err))))
		return r;
	if (supervisor->collector.pid) {
		r = watch(supervisor, supervisor->collector.pidfd);
		if (!r)
			r = watch(supervisor, supervisor->hold_fd);
		hold_ask_again(supervisor);
	} else {
		r = start_child(supervisor, &supervisor->collector);
	}
	if (!r)
		r = start_child(supervisor, &supervisor->serve);
	return r ? err_set(err, -r, "cannot start: %s", strerror(-r)) : 0;
}

int supervise(const struct options *options, int ready_fd)
{
	struct supervisor *supervisor = calloc(1, sizeof(*supervisor));
	struct err err = { 0 };
	int status;

	if (!supervisor)
		return 1;
	prctl(PR_SET_NAME, "memfs");
	*supervisor = (struct supervisor) {
		.options = *options,
		.self_exe = -1,
		.collector_exe = -1,
		.run_fd = -1,
		.lock = -1,
		.state_fd = -1,
		.main_fd = -1,
		.live_fd = -1,
		.init_fd = -1,
		.keep_fd = -1,
		.board_fd = -1,
		.board_read_fd = -1,
		.control_fd = -1,
		.offers_fd = -1,
		.hold_fd = -1,
		.serve = CHILD_INIT("serve"),
		.collector = CHILD_INIT("collector"),
		.epoll = -1,
		.signals = -1,
		.timer = -1,
		.ready = ready_fd >= 0 ? ready_fd : notify_open(),
		.ready_is_manager = ready_fd < 0,
	};
	if (begin(supervisor, &err)) {
		log_error("%s", err.reason);
		tell(supervisor, err.reason);
		supervisor->exit_status = 1;
		/* A run directory that another one has is not ours to clean. */
		if (supervisor->lock >= 0)
			end(supervisor);
	} else {
		loop(supervisor);
		end(supervisor);
	}
	status = supervisor->exit_status;
	if (supervisor->options.id != options->id)
		free(supervisor->options.id);
	hold_deinit(supervisor);
	free(supervisor);
	return status;
}
