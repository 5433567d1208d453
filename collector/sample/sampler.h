/* SPDX-License-Identifier: MIT */
/*
 * The sampler: keeps the table of processes equal to /proc and the board equal to the table. Once per tick it
 * sweeps; between ticks it is told of births, changes and deaths where the kernel reports them. All in one
 * thread.
 *
 * Where the kernel runs programs for us, a sweep asks one of those first (tasks.h). Else it is cheapest
 * first: the statm of every process that has memory, through a descriptor kept open; only where its
 * text differs from the last one are status and stat read as well. Each process's stat is read every 10 s
 * anyway, for state and faults, or once a minute where no number moved for one. The cgroup, whose changes
 * nobody reports, is read at the tick after birth, exec and a change of the name, for that is when processes
 * are put where they belong, else every SAMPLER_CGROUP_S to twice that, or that minute; or where a program in
 * the kernel saw the move. A kept descriptor belongs to one process for ever: ESRCH from it means death, and
 * a pid used again cannot be taken for its predecessor.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/connector.h"
#include "collector/history/history.h"
#include "collector/kmsg.h"
#include "collector/remains.h"
#include "collector/sample/cgroups.h"
#include "collector/sample/pid_list.h"
#include "collector/sample/table.h"
#include "collector/sample/tasks.h"
#include "collector/sample/unseen.h"
#include "schema/base/buf.h"
#include "schema/board.h"
#include "schema/metrics.h"
#include "schema/proc/pid_stat.h"
#include "schema/proc/root.h"

enum { SAMPLER_LIST_S = 5, SAMPLER_CGROUP_S = 10, SAMPLER_FD_SPARE = 128 };

struct sampler {
	const struct proc_root *root;
	struct board *board;
	struct process_table table;
	struct proc_pids pids; /* scratch of a listing */
	struct buf text;       /* scratch for a file that is longer than usual */
	struct cgroups cgroups;
	uint64_t page_bytes;
	uint64_t ticks_per_second;
	int64_t boot_ns;         /* epoch */
	size_t kept, kept_max;   /* descriptors */
	uint32_t listing;        /* number of the last listing */
	int64_t listed_ns;       /* its time; 0: one is due */
	int64_t round_ns;        /* when the last turns of the round-robin were given */
	bool trusts_births;      /* the kernel reports births and deaths: listings may be rare */
	bool quiet;              /* the first listing of a new board: starts are no news */
	uint64_t failures;       /* reads and allocations that should have worked */
	uint64_t memory_metrics; /* bits of those that a process without memory lacks */
	uint64_t measured_metrics;
	unsigned rate_metric[N_PROCESS_RATES]; /* ids */
	struct rate_track system_track;
	int64_t system_since_ns;
	struct board_system system;
	struct pid_list gone, missing;   /* scratch of a sweep */
	struct pid_list changes;         /* whom history does not have yet as they are */
	struct pid_list fresh;           /* whose start is not in the news yet */
	struct pid_list argless;         /* whose command line is new since it was last asked for */
	struct pid_list unplaced;        /* whose cgroup is to be read at the next tick */
	struct tasks *tasks;             /* NULL: sweeps are by files */
	enum tasks_way tasks_way;        /* of those */
	bool tasks_anew;                 /* the next pass has to tell of all */
	int tasks_error;                 /* -errno of a way that failed and was given up */
	uint32_t pass;                   /* number of the last sweep by tasks */
	int64_t pass_ns;                 /* its beginning */
	struct pid_list newcomers, work; /* scratch of it */
	struct history_entry *ended;     /* since the last tick given to history */
	size_t n_ended, cap_ended;
	struct remains_batch remains; /* of those, and of whom only the kernel told; the loop takes them */
	struct kmsg kmsg;
	struct unseen_table unseen;
	int64_t told_ns; /* epoch: when what is being told of happened; 0: nothing is */
};

/*
 * The root and the board stay the caller's. kept_max bounds the descriptors kept open. predecessor is what
 * board_take_over gave. Ends with a first listing: processes of the board that are the same ones keep what
 * was measured, those that are gone are taken off it. 0 or -errno.
 */
int sampler_init(struct sampler *sampler, const struct proc_root *root, struct board *board, size_t kept_max,
	const struct board_health *predecessor);
void sampler_deinit(struct sampler *sampler);

/* How it sweeps. */
enum board_sweep sampler_sweep(const struct sampler *sampler);

/*
 * From now on sweeps are by a program in the kernel, in the first of the ways from `best` on of which a pass
 * has proved that it tells of this process what /proc does. 0, or -errno with the reason: sweeps stay by
 * files. A better way that was passed over has its reason in err, too.
 */
int sampler_start_tasks(struct sampler *sampler, enum tasks_way best, struct err *err);
void sampler_stop_tasks(struct sampler *sampler);

/* One tick: system, sweep, a listing where one is due, the board. */
void sampler_tick(struct sampler *sampler);

/* Makes the next tick list /proc, whatever is trusted. */
void sampler_list_soon(struct sampler *sampler);

/* What happened since the last call, for the recorder; NULL without memory (it is then told next time). */
struct history_tick *sampler_history(struct sampler *sampler);

/* --- sampler_one.c: one process --- */

enum look { LOOK_STATM = 1, LOOK_STAT = 2, LOOK_STATUS = 4, LOOK_ALL = 7, LOOK_EXEC = 8 };

/* A pid that may be new: a first sample, the board, BOARD_BIRTH. PROC_OK, PROC_GONE, or -errno. */
int sampler_adopt(struct sampler *sampler, uint32_t pid);

/*
 * Reads of a process what `what` says and brings the board up to date; stat and status are read where statm
 * changed. LOOK_EXEC: it runs a new program. `given` is what stat would say, where that is known; else NULL.
 * PROC_GONE: the process is no more (the caller calls sampler_bury), or -errno.
 */
int sampler_look(
	struct sampler *sampler, struct process *process, unsigned what, const struct pid_stat *given);

/* Takes a process off the table and the board. The news says how it ended where ended is known (a wait
 * status). */
void sampler_bury(struct sampler *sampler, struct process *process, const int *ended);

/* --- sampler_cgroup.c --- */

/* Has the cgroup of a process read at the next tick; kernel threads are in none. */
void sampler_expect_move(struct sampler *sampler, struct process *process);

/* Reads in which cgroup a process is. Of one that is gone nothing changes: the sweep finds that out. */
void sampler_look_at_cgroup(struct sampler *sampler, struct process *process);

/* --- sampler_rates.c --- */

/*
 * After a sample at now_ns (CLOCK_MONOTONIC): `before` are the values of the sample before it, whose faults
 * were read at stat_ns_before. True where shown.rate is new.
 */
bool sampler_update_rates(struct sampler *sampler, struct process *process,
	const struct process_values *before, int64_t stat_ns_before, int64_t now_ns);

/* --- sampler_ended.c --- */

/*
 * After a sample: keeps what a process had before, where it has no memory now. Of `before` all that the
 * sample changed is given.
 */
void sampler_keep_ending(struct sampler *sampler, struct process *process,
	const struct process_values *before, char state, uint32_t threads);

/* Tells of an end and keeps what remains, once. `ended` as in sampler_bury. */
void sampler_tell_exit(struct sampler *sampler, struct process *process, const int *ended);

/* The same for one that ended before anything but its birth was known; no news. */
void sampler_end_unseen(struct sampler *sampler, const struct unseen *unseen, int wait_status);

/* --- sampler_told.c: what the kernel's proc connector reports; unknown pids are harmless --- */

/* Takes in an event: all of the below. True as sampler_told_exit. */
bool sampler_told(struct sampler *sampler, const struct connector_event *event);

void sampler_told_fork(struct sampler *sampler, uint32_t pid);
void sampler_told_exec(struct sampler *sampler, uint32_t pid);
void sampler_told_changed(struct sampler *sampler, uint32_t pid); /* comm, uid or gid */

/* The leader ended. True where it, or another thread, is still there: ask sampler_reaped later. */
bool sampler_told_exit(struct sampler *sampler, uint32_t pid, int wait_status);

/* Whether a process that was reported as ended is off the table by now; tells of the end of its last thread.
 */
bool sampler_reaped(struct sampler *sampler, uint32_t pid);

/* News of starts, held back until exec gave the process its name, or a tick passed. */
void sampler_tell_starts(struct sampler *sampler);
void sampler_tell_start(struct sampler *sampler, struct process *process);

/* The command line of (pid, start_ticks), from malloc, which is taken over; NULL: it has none. */
void sampler_take_args(struct sampler *sampler, uint32_t pid, uint64_t start_ticks, char *args);

/* pss, uss, dirty of (pid, start_ticks) as measured; false where that process is no more. */
bool sampler_measured(struct sampler *sampler, uint32_t pid, uint64_t start_ticks,
	const struct process_values *measured, int64_t measured_ns);
