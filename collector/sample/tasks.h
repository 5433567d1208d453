/* SPDX-License-Identifier: MIT */
/*
 * The door to libbpf: programs of ours that the kernel runs over all its processes and threads, so that a
 * pass costs a few system calls, whatever their number. It takes CAP_BPF and CAP_PERFMON (or root, before 5.8
 * had them) and a kernel with BTF; a build without clang, bpftool or libbpf has none.
 *
 * The walk (tasks_walk.bpf.c, Linux 6.12) goes along the kernel's list of processes and tells of those that
 * are new, changed, or gone since the pass before. The iterator (tasks_iterator.bpf.c, 5.8) looks up one pid
 * after the other, and tells of all.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "collector/sample/tasks_record.h"
#include "schema/base/err.h"

struct tasks;
enum tasks_way { TASKS_WALK, TASKS_ITERATOR, N_TASKS_WAYS }; /* best first */

/* Loads the program. 0, or -errno with the reason. Takes some 20 ms and, meanwhile, some 15 MiB. */
int tasks_open(enum tasks_way way, struct tasks **ret_tasks, struct err *err);
void tasks_free(struct tasks *tasks);

/* Whether a pass tells of every task; else of what is new, changed or gone since the last one that was read
 * to its end. */
bool tasks_tell_all(const struct tasks *tasks);

/* Begins a pass over all tasks. anew: it tells of every one, whatever was told before. 0 or -errno. */
int tasks_begin(struct tasks *tasks, bool anew);

/*
 * The next records of the pass, whole ones, each of task_record_size; valid until the next call. A length of
 * 0 is the end. 0 or -errno (-EPROTO: what came is no such record; -E2BIG: too many processes to walk along).
 */
int tasks_read(struct tasks *tasks, const char **ret_records, size_t *ret_len);

/* The length of a record by its kind; 0 where there is no such kind. */
static inline size_t task_record_size(const struct task_thread *record)
{
	if (record->kind == TASK_RECORD_PROCESS)
		return sizeof(struct task_process);
	return record->kind == TASK_RECORD_THREAD || record->kind == TASK_RECORD_GONE
		       ? sizeof(struct task_thread)
		       : 0;
}
