/* SPDX-License-Identifier: MIT */
/*
 * What tasks.bpf.c writes and tasks.c reads: a record a task, in the kernel's own words. Included by both, so
 * it takes nothing but fixed-width integers. Pids are those of the reader's pid namespace.
 */
#pragma once

#include <stdint.h>

enum {
	TASK_RECORD_THREAD = 1,
	TASK_RECORD_PROCESS = 2,
	TASK_RECORD_GONE = 3,
	TASK_RECORD_COMM = 16,
	TASK_RECORD_COUNTERS = 4,
};

/* A thread that leads no group, or all of them together; a process that is no more, with its tgid alone; also
 * the beginning of a process's record, for the thread that does. */
struct task_thread {
	uint32_t kind; /* TASK_RECORD_*; the length of the record follows from it */
	uint32_t tgid;
	uint64_t runtime_ns; /* on a processor: who did not run changed nothing by itself */
	uint64_t minor_faults, major_faults;
};

struct task_process {
	struct task_thread leader;
	uint32_t ppid;
	uint32_t threads;
	uint32_t uid, gid;      /* real */
	uint32_t state;         /* __state | exit_state */
	uint32_t kernel_thread; /* 0 or 1 */
	char comm[TASK_RECORD_COMM];
	uint64_t start_ns;                               /* CLOCK_BOOTTIME, of the first time namespace */
	uint64_t cgroups;                                /* another number: moved in some hierarchy */
	uint64_t ended_minor_faults, ended_major_faults; /* of threads that are no more */
	/* From here: of the memory, all 0 where there is none. */
	uint64_t exec_id; /* how many programs it ran */
	uint64_t size_pages, data_pages, stack_pages, exec_pages;
	int64_t counter_pages[TASK_RECORD_COUNTERS]; /* MM_FILEPAGES and on, without what processors hold back
						      */
};

/* Shared by the walk's program and its reader. */
enum { TASK_WALK_RECORDS = 1 << 20, TASK_WALK_MOST = 1 << 16 /* processes */ };

struct task_walk {
	uint32_t capacity; /* entries there is room for; set by the reader */
	uint32_t room;     /* bytes of records there is room for; the same */
	uint32_t n;        /* entries in use; the reader sets 0 to be told of all */
	uint32_t at, n_kept;
	uint32_t len;  /* of records */
	uint32_t more; /* there was not enough room for all that changed: the next walk has the rest */
	uint32_t full; /* there are more processes than entries */
	char records[TASK_WALK_RECORDS];
};
