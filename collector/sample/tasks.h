/* SPDX-License-Identifier: MIT */
/*
 * The door to libbpf: the task iterator of tasks.bpf.c, which tells of every process and thread with a few
 * dozen system calls, whatever their number. It takes CAP_BPF and CAP_PERFMON (or root, before 5.8 had them)
 * and a kernel with BTF; a build without clang, bpftool or libbpf has none.
 */
#pragma once

#include <stddef.h>

#include "collector/sample/tasks_record.h"
#include "schema/base/err.h"

struct tasks;

/* Loads the program. 0, or -errno with the reason. Takes some 20 ms and, meanwhile, some 15 MiB. */
int tasks_open(struct tasks **ret_tasks, struct err *err);
void tasks_free(struct tasks *tasks);

/* Begins a pass over all tasks, from the smallest pid. 0 or -errno. */
int tasks_begin(struct tasks *tasks);

/*
 * The next records of the pass, whole ones, each of task_record_size; valid until the next call. A length of
 * 0 is the end. 0 or -errno (-EPROTO: what came is no such record).
 */
int tasks_read(struct tasks *tasks, const char **ret_records, size_t *ret_len);

/* The length of a record by its kind; 0 where there is no such kind. */
static inline size_t task_record_size(const struct task_thread *record)
{
	if (record->kind == TASK_RECORD_PROCESS)
		return sizeof(struct task_process);
	return record->kind == TASK_RECORD_THREAD ? sizeof(struct task_thread) : 0;
}
