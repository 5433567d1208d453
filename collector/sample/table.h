/* SPDX-License-Identifier: MIT */
/*
 * The table of processes: what is remembered of each between two ticks. By pid it is an array with a pointer
 * for every possible pid (32 MiB of address space, of which only the touched pages exist), in order a dense
 * array that a sweep walks.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/remains.h"
#include "collector/sample/rates.h"
#include "collector/sample/tasks_record.h"
#include "schema/board.h"

enum {
	PROCESS_STATM_MAX = 64
}; /* five columns of up to 10 digits; what is longer counts as changed each tick */

/* What a sweep by tasks found new about a process. */
enum process_moved {
	MOVED_RAN = 1,
	MOVED_MEMORY = 2,
	MOVED_EXEC = 4,
	MOVED_OWNER = 8,
	MOVED_STAT = 16, /* something that stat says */
	MOVED_CGROUP = 32,
	MOVED_ALL = 63,
};

/* What the task iterator told of a process. */
struct process_told {
	struct task_process process; /* start_ns 0: nothing yet */
	uint32_t pass;               /* the last that had it */
	uint32_t others_pass;        /* the last that had other threads of it */
	struct task_thread others;   /* their sums */
	struct task_thread others_were;
};

/* What an unchanged process needs stands first: two cache lines. Times are of CLOCK_MONOTONIC unless said. */
struct process {
	int statm_fd; /* kept; -1: none is kept */
	uint32_t pid;
	uint32_t index;  /* in table.live */
	uint32_t listed; /* number of the last listing of /proc that had it */
	bool kernel_thread;
	bool through_thread; /* statm_fd is a thread's: the leader ended */
	bool changed;        /* since the last tick given to history */
	bool born, renamed;  /* the same */
	bool noted;          /* sampler.changes has it, for one of the three */
	bool start_told;     /* in the news */
	bool exit_told;
	bool missed;     /* gone at the last tick, its end not reported yet */
	bool cgroup_due; /* may have moved: sampler.unplaced has it */
	uint8_t moved;   /* of enum process_moved, while a sweep by tasks is at work */
	uint8_t statm_len;
	char statm[PROCESS_STATM_MAX];
	int64_t watch_until_ns;
	int64_t sample_ns;        /* of the last sample, whatever it read */
	struct rate_track *track; /* NULL while nothing changed for longer than every window */

	int64_t stat_ns;        /* stat was last read */
	int64_t status_ns;      /* status was last read */
	int64_t cgroup_ns;      /* cgroup was last read */
	int64_t still_since_ns; /* the values with rates last changed; at first the birth of this record */
	struct growth_track *growth; /* of collector/alerts/growth.h; NULL while it is too small to matter */
	struct remains *ending; /* what it had before its memory went; NULL while it has some, or never had */
	char *args;             /* escaped line; NULL where it has none, or it was not read yet */
	bool has_wait_status;   /* its stat, read as a zombie, says how it ended */
	bool leader_ended; /* was reported, with other threads still there; how, is how all of it ended, */
	int64_t leader_ended_ns; /* unless they live on */
	int wait_status, leader_status;
	uint32_t work_pass; /* the last sweep by tasks that had work with it */
	struct process_told told __attribute__((aligned(64)));
	struct board_process shown; /* what the board says; also the newest sample */
} __attribute__((aligned(64)));
_Static_assert(offsetof(struct process, stat_ns) <= 128, "an unchanged process takes two cache lines");

struct process_table {
	struct process **by_pid; /* BOARD_PIDS of them */
	struct process **live;
	/* When the rates of each of them, still as it is, change for age alone. Beside it, for a sweep that
	 * is told who changed looks at nobody else. */
	int64_t *due_ns;
	size_t n, cap;
	size_t cursor; /* live[0 .. cursor) had their turn in this round */
};

int process_table_init(struct process_table *table); /* 0 or -ENOMEM */
void process_table_deinit(struct process_table *table);

static inline struct process *process_find(const struct process_table *table, uint32_t pid)
{
	return pid < BOARD_PIDS ? table->by_pid[pid] : NULL;
}

/* A new record, zero but for pid, index and statm_fd; the table's. NULL without memory; pid must not be there
 * yet. */
struct process *process_add(struct process_table *table, uint32_t pid);

/* When the rates of a process are due. */
static inline int64_t *process_due_ns(const struct process_table *table, const struct process *process)
{
	return &table->due_ns[process->index];
}

/* Closes and frees. Those that still wait for their turn in the round keep waiting. */
void process_remove(struct process_table *table, struct process *process);
