/* SPDX-License-Identifier: MIT */
/*
 * The task iterator (Linux 5.8): one read(2) of its descriptor tells of all tasks of the reader's pid
 * namespace. Built by clang into a skeleton for tasks_iterator.c.
 */
#include "collector/sample/tasks_kernel.inc"

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
	__u64 session_id;
	__u64 seq_num;
} KERNEL;

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

SEC("iter/task")
int tell_task(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct seq_file *seq = ctx->meta->seq;

	if (ctx->meta->seq_num == 0)
		reader_level = find_reader_level();
	if (!task)
		return 0;
	if (task->pid != task->tgid) {
		struct task_thread thread;
		fill_thread(&thread, task, TASK_RECORD_THREAD);
		bpf_seq_write(seq, &thread, sizeof(thread));
		return 0;
	}
	struct task_process process = { 0 };
	fill_process(&process, task);
	bpf_seq_write(seq, &process, sizeof(process));
	return 0;
}

/* The helpers above are given to programs under the GPL alone. */
const char tasks_license[] SEC("license") = "Dual MIT/GPL";
