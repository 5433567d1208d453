/* SPDX-License-Identifier: MIT */
/*
 * What handlers of rows see: the kernel's files, the board, history, the collector. One per serve, passed
 * down; its members are set before the first request and thread-safe or constant after.
 */
#pragma once

#include <pthread.h>
#include <stdint.h>

#include "fs/cgroup_files.h"
#include "fs/node.h"
#include "fs/tree.h"
#include "schema/base/cleanup.h"
#include "schema/board.h"
#include "schema/proc/pid_stat.h"
#include "schema/proc/root.h"

struct names;
struct refusals;
struct control_client;
struct store;
struct groups;
struct ended_names;
struct nudges;

struct view {
	const struct tree *tree;
	struct proc_root root;
	const struct board *board;
	struct names *names;
	struct refusals *refusals;
	struct control_client *control;

	char node_name[65]; /* as in the mount */
	char host_name[65];
	char node_id[37];
	const char *mount_dir; /* absolute */
	const char *live_dir;  /* absolute: the live session; NULL in a single one */
	const char *state_dir;
	atomic_bool live_lost; /* somebody unmounted the live session alone */
	_Atomic unsigned freshness_ms;
	uint32_t pid_max;
	int64_t boot_ns; /* epoch time of the boot: start times count from it */

	pthread_mutex_t store_lock; /* of store */
	struct store *store;        /* NULL until first asked, and while there is none */
	struct groups *groups;
	struct cgroup_mounts cgroup_mounts;
	struct ended_names *ended_names; /* of nodes/ended.c */
	struct nudges *nudges;           /* NULL where nobody is asked */
	pthread_mutex_t pids_lock;       /* of pids, the listing of /proc while no collector lists for us */
	struct proc_pids pids;
};

/* How old the board is: nanoseconds since the last tick; INT64_MAX before the first. */
int64_t view_board_age_ns(struct view *view);

/* Whether the collector ticks: the board is younger than three intervals and two seconds. */
bool view_collector_runs(struct view *view);

/* A process held open: what is read through it is that process's, never a later one's. */
struct process {
	int dir;
	int numbers; /* where its memory can be read: the same, or a living thread's where the leader ended
			first */
	struct pid_stat stat;
};
#define PROCESS_INIT    ((struct process) { .dir = -1, .numbers = -1 })
#define CLEANUP_PROCESS CLEANUP(view_close_process)

/* Opens a place's process and checks that it is that process still. 0, -ESRCH, -errno. */
int view_open_process(struct view *view, const struct place *place, struct process *ret);
void view_close_process(struct process *process);

/* The start time of the process that has the pid now; 0, -ENOENT, -errno. */
int view_find_process(struct view *view, uint32_t pid, uint32_t *ret_start_ticks);

/* The smallest pid > after: the collector's, or /proc's own listing (made anew where after is 0) while none
 * runs. 0: none. */
uint32_t view_next_pid(struct view *view, uint32_t after);

/* The board's record of a place's process; false where it has none, or that of another user of the pid. */
bool view_board_process(struct view *view, const struct place *place, struct board_process *ret);

/*
 * Lends the history, one reader at a time, in one snapshot: NULL where there is none. What is lent is given
 * back by view_return_store, also NULL.
 */
struct store *view_borrow_store(struct view *view);
void view_return_store(struct view *view, struct store *store);
