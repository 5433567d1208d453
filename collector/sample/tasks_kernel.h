/* SPDX-License-Identifier: MIT */
/*
 * What the programs of tasks_*.bpf.c know of the kernel. Its structs are declared with the fields that are
 * used alone; where those are is found when a program is loaded (CO-RE), so that one build serves all kernels
 * since 5.8. What moved or was renamed meanwhile has a flavour of its own, NAME___flavour.
 */
#pragma once

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef int __s32;
typedef long long __s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <stdbool.h>

#include "collector/sample/tasks_record.h"

#define KERNEL __attribute__((preserve_access_index))

struct css_set;
struct pid_namespace;

struct upid {
	int nr;
} KERNEL;

struct pid {
	unsigned int level;
	struct upid numbers[1];
} KERNEL;

struct sched_entity {
	__u64 sum_exec_runtime;
} KERNEL;

typedef struct {
	unsigned int val;
} KERNEL kuid_t;

typedef struct {
	unsigned int val;
} KERNEL kgid_t;

struct cred {
	kuid_t uid;
	kgid_t gid;
} KERNEL;

struct signal_struct {
	int nr_threads;
	unsigned long min_flt, maj_flt;
} KERNEL;

struct mm_struct {
	unsigned long total_vm, data_vm, stack_vm, exec_vm;
} KERNEL;

/* Since 6.2 a counter that each processor adds to apart. */
struct percpu_counter {
	__s64 count;
} KERNEL;

struct mm_struct___percpu {
	struct percpu_counter rss_stat[TASK_RECORD_COUNTERS];
} KERNEL;

/* Before, one for all, which each thread added to apart. */
typedef struct {
	__s64 counter;
} KERNEL atomic64_t;

struct mm_rss_stat {
	atomic64_t count[TASK_RECORD_COUNTERS];
} KERNEL;

struct mm_struct___atomic {
	struct mm_rss_stat rss_stat;
} KERNEL;

struct task_struct {
	unsigned int flags;
	int exit_state;
	unsigned int __state;
	int pid, tgid;
	struct task_struct *real_parent, *group_leader;
	struct pid *thread_pid;
	__u64 start_boottime;
	__u64 self_exec_id;
	unsigned long min_flt, maj_flt;
	const struct cred *real_cred;
	char comm[TASK_RECORD_COMM];
	struct signal_struct *signal;
	struct css_set *cgroups; /* not without CONFIG_CGROUPS */
	struct mm_struct *mm;
	struct sched_entity se;
} KERNEL;

/* Before 5.14. */
struct task_struct___volatile {
	volatile long state;
} KERNEL;

enum { KERNEL_THREAD = 0x00200000 }; /* PF_KTHREAD */

/* How deep the reader's pid namespace is; asked at the first task of a sweep. */
unsigned int reader_level;

static inline __u32 find_reader_level(void)
{
	struct task_struct *reader = (struct task_struct *)bpf_get_current_task();
	return BPF_CORE_READ(reader, thread_pid, level);
}

/* The id of a task as the reader's namespace has it; 0 where it has none. */
static inline __u32 id_of(struct task_struct *task)
{
	__u32 level = reader_level;
	if (level == 0)
		return (__u32)task->pid;
	struct pid *pid = task->thread_pid;
	int nr = 0;
	if (!pid || pid->level < level)
		return 0;
	bpf_probe_read_kernel(&nr, sizeof(nr),
		(char *)&pid->numbers[0] + (__u64)level * bpf_core_type_size(struct upid) +
			bpf_core_field_offset(struct upid, nr));
	return (__u32)nr;
}

static inline __u32 group_of(struct task_struct *task)
{
	return reader_level == 0 ? (__u32)task->tgid : id_of(task->group_leader);
}

static inline __u32 state_of(struct task_struct *task)
{
	if (bpf_core_field_exists(task->__state))
		return task->__state | (__u32)task->exit_state;
	return (__u32)((struct task_struct___volatile *)task)->state | (__u32)task->exit_state;
}

/* Of each kind of page. */
static inline void count_memory(int64_t counter_pages[TASK_RECORD_COUNTERS], struct mm_struct *mm)
{
	struct mm_struct___percpu *percpu = (struct mm_struct___percpu *)mm;
	struct mm_struct___atomic *atomic = (struct mm_struct___atomic *)mm;

	if (bpf_core_field_exists(atomic->rss_stat.count)) {
		counter_pages[0] = atomic->rss_stat.count[0].counter;
		counter_pages[1] = atomic->rss_stat.count[1].counter;
		counter_pages[2] = atomic->rss_stat.count[2].counter;
		counter_pages[3] = atomic->rss_stat.count[3].counter;
	} else {
		counter_pages[0] = percpu->rss_stat[0].count;
		counter_pages[1] = percpu->rss_stat[1].count;
		counter_pages[2] = percpu->rss_stat[2].count;
		counter_pages[3] = percpu->rss_stat[3].count;
	}
}

static inline __u32 is_kernel_thread(struct task_struct *task)
{
	return (task->flags & KERNEL_THREAD) != 0;
}

/* Where a process is in all hierarchies is one object, and it has its new one before it leaves the old one:
 * only several moves between two passes can end at the same address. */
static inline __u64 cgroups_of(struct task_struct *task)
{
	__u64 address = 0;
	if (bpf_core_field_exists(task->cgroups))
		bpf_core_read(&address, sizeof(address), &task->cgroups);
	return address;
}

static inline void fill_thread(struct task_thread *thread, struct task_struct *task, __u32 kind)
{
	thread->kind = kind;
	thread->tgid = group_of(task);
	thread->runtime_ns = task->se.sum_exec_runtime;
	thread->minor_faults = task->min_flt;
	thread->major_faults = task->maj_flt;
}

static inline void fill_process(struct task_process *process, struct task_struct *task)
{
	struct signal_struct *signal = task->signal;
	const struct cred *cred = task->real_cred;
	struct mm_struct *mm = task->mm;

	fill_thread(&process->leader, task, TASK_RECORD_PROCESS);
	process->ppid = group_of(task->real_parent);
	process->threads = (__u32)signal->nr_threads;
	process->uid = cred->uid.val;
	process->gid = cred->gid.val;
	process->state = state_of(task);
	process->kernel_thread = is_kernel_thread(task);
	__builtin_memcpy(process->comm, task->comm, sizeof(process->comm));
	process->start_ns = task->start_boottime;
	process->cgroups = cgroups_of(task);
	process->ended_minor_faults = signal->min_flt;
	process->ended_major_faults = signal->maj_flt;
	if (mm && !process->kernel_thread) {
		process->exec_id = task->self_exec_id;
		process->size_pages = mm->total_vm;
		process->data_pages = mm->data_vm;
		process->stack_pages = mm->stack_vm;
		process->exec_pages = mm->exec_vm;
		count_memory(process->counter_pages, mm);
	}
}
