/* SPDX-License-Identifier: MIT */
/*
 * The supervisor: mounts, holds the descriptors that must outlive any child, starts the others and starts
 * them again. Small: it parses nothing that a stranger wrote and knows no network.
 *
 * supervisor.c         its life: start, loop, end
 * supervisor_child.c   starting a child with just what it may have
 * supervisor_adopt.c   what a supervisor that was killed left behind
 * supervisor_hold.c    what programs record, held for the next collector
 * supervisor_place.c   directories, sockets, mounts
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "fs/options.h"
#include "schema/base/buf.h"
#include "schema/base/err.h"

/* The collector's inherited descriptors. */
enum collector_fd {
	COLLECTOR_FD_BOARD = 3,
	COLLECTOR_FD_CONTROL,
	COLLECTOR_FD_READY,
	COLLECTOR_FD_OFFERS,
	COLLECTOR_FD_HOLDER,
	COLLECTOR_FD_HOLDER_OTHER, /* the supervisor's end of the same, for its successor to copy */
	COLLECTOR_FDS_END
};
enum { COLLECTOR_EXIT_IN_USE = 3 }; /* another one has the state directory */

struct child {
	const char *name;
	pid_t pid;            /* 0: none */
	uint64_t start_ticks; /* of the pid: tells its users apart */
	int pidfd;            /* readable when it has ended */
	int life; /* serve: the same, sooner: readable when it was killed, though it lingers in the kernel */
	int link; /* serve: messages; collector: the pipe that says it is ready */
	int64_t started_ns;  /* CLOCK_MONOTONIC */
	int64_t pinged_ns;   /* serve: when it was last asked whether it is well */
	unsigned unanswered; /* serve: how often, since its last word */
	unsigned failures;   /* ends in a row before it was ready */
	int64_t start_at_ns; /* when to start the next; 0: runs */
	bool ready;
	bool ours; /* a child of this process, to be reaped */
};
#define CHILD_INIT(text) ((struct child) { .name = (text), .pidfd = -1, .life = -1, .link = -1 })

/* Serves that were killed and are not wholly gone: one of them may be the last to have the connection. */
enum { LINGERING_MAX = 16 };
struct lingering {
	pid_t pid;
	uint64_t start_ticks;
};

struct supervisor {
	struct options options;
	char live_dir[4096];
	uid_t serve_uid; /* whom serve runs as */
	gid_t serve_gid;
	int self_exe, collector_exe; /* O_PATH: a package upgrade under us changes nothing */
	int run_fd;                  /* the run directory, checked (fs/supervisor/own_dir.h) */
	int lock;                    /* of the run directory */
	int state_fd;                /* RUN/state */
	int main_fd, live_fd, init_fd, keep_fd, board_fd, board_read_fd, control_fd;
	int offers_fd; /* shim.sock; -1 where it cannot be had */
	int hold_fd;   /* our end of the link on which the collector has us hold shadow regions */
	struct holdings *holdings;
	struct child serve, collector;
	struct lingering lingering[LINGERING_MAX];
	unsigned n_lingering;
	int epoll, signals, timer, ready; /* ready: to whoever waits for the mount; -1 told */
	bool ready_is_manager;            /* that is a service manager, which has words of its own */
	bool left_mount; /* a predecessor in this run directory had the same mount: it may be dying still */
	bool stopping, unmounted, remount;
	int exit_status;
};

/*
 * Runs until the mount ends. ready_fd: gets one byte when the tree answers, or the reason of a failure; -1:
 * the service manager is told, where there is one. Returns an exit status.
 */
int supervise(const struct options *options, int ready_fd);

/* --- supervisor_child.c --- */
int child_start_serve(struct supervisor *supervisor);
int child_start_collector(struct supervisor *supervisor);
/* Watches a thread of serve, whose end is serve's. */
int child_watch_life(struct supervisor *supervisor, pid_t tid);
/* Watches a process that another supervisor started. */
int child_adopt(struct child *child, pid_t pid);
void child_forget(struct child *child);

/* --- supervisor_place.c --- */
int place_prepare(struct supervisor *supervisor, struct err *err); /* directories, lock, id, programs */
int place_share(struct supervisor *supervisor, struct err *err);   /* board, sockets: those not adopted */
int place_mount(struct supervisor *supervisor, struct err *err);   /* both sessions, anew */
void place_unmount(struct supervisor *supervisor);
void place_clean(const char *run, int run_fd); /* what would be left in the run directory */
/* Whom serve runs as under root: memfs, or nobody. 0, or -ENOENT where there is neither. */
int place_find_server(uid_t *ret_uid, gid_t *ret_gid);

/* --- supervisor_hold.c --- */
struct holdings;
int hold_init(struct supervisor *supervisor); /* 0 or -ENOMEM */
void hold_deinit(struct supervisor *supervisor);
/* A link for a new collector, who gets the other end; what is left on the former one is taken in. 0 or
 * -errno. */
int hold_link(struct supervisor *supervisor, int *ret_theirs);
/* Takes in what the collector has to say. */
void hold_take(struct supervisor *supervisor);
/* Has an adopted collector give all that it has. */
void hold_ask_again(struct supervisor *supervisor);

/* --- supervisor_adopt.c --- */

/* When a process started, in the kernel's ticks; 0 where it runs no more. */
uint64_t adopt_start_of(pid_t pid);

/* Writes RUN/state, so that the next supervisor finds this one's children. */
void adopt_record(const struct supervisor *supervisor);

/*
 * Ends what has the run directory of the mount that was on dir: asks its supervisor, for where another mount
 * namespace has a copy of the mount the kernel does not end the connection; or, where that was killed, ends
 * its children and tidies up. Nothing where the directory is somebody else's or of another mount.
 */
void adopt_end(const char *run, const char *dir);

/* The supervisor that had its mount on dir, by the record of a run directory; 0 where there is none. */
pid_t adopt_find_orphan(int run_fd, const char *dir);

/*
 * Takes over what a dead supervisor left running: the mount with its descriptors, the collector with the
 * board. What does not fit these options is ended first.
 */
void adopt_find(struct supervisor *supervisor);
