/* SPDX-License-Identifier: MIT */
#include "collector/sample/sweep.h"

void sweep_note_gone(struct sampler *sampler, uint32_t pid)
{
	if (!pid_list_add(&sampler->gone, pid)) /* the next tick finds it again */
		sampler->failures++;
}

void sweep_note_ended(struct sampler *sampler, struct process *process)
{
	if (sampler->trusts_births && !process->exit_told && !process->missed)
		process->missed = true;
	else
		sweep_note_gone(sampler, process->pid);
}

void sweep_look(struct sampler *sampler, struct process *process, unsigned what, const struct pid_stat *given)
{
	int r = sampler_look(sampler, process, what, given);
	if (r == PROC_GONE)
		sweep_note_ended(sampler, process);
	else if (r < 0)
		sampler->failures++;
}

void sweep_bury_gone(struct sampler *sampler)
{
	for (size_t i = 0; i < sampler->gone.n; i++) {
		uint32_t pid = sampler->gone.pid[i];
		struct process *process = process_find(&sampler->table, pid);
		if (!process) /* noted twice */
			continue;
		sampler_bury(sampler, process, NULL);
		if (sampler_adopt(sampler, pid) < 0)
			sampler->failures++;
	}
	sampler->gone.n = 0;
}

void sweep_place(struct sampler *sampler)
{
	for (size_t i = 0; i < sampler->unplaced.n; i++) {
		struct process *process = process_find(&sampler->table, sampler->unplaced.pid[i]);
		if (process && process->cgroup_due)
			sampler_look_at_cgroup(sampler, process);
	}
	sampler->unplaced.n = 0;
	cgroups_settle(&sampler->cgroups);
}

size_t sweep_turns_due(struct sampler *sampler, int64_t now_ns, unsigned round_s)
{
	const int64_t round_ns = (int64_t)round_s * 1000000000;
	int64_t elapsed_ns = now_ns - sampler->round_ns;
	if (elapsed_ns > round_ns)
		elapsed_ns = round_ns;
	size_t n = sampler->table.n;
	size_t due = (size_t)((double)n * (double)elapsed_ns / (double)round_ns);
	if (due || !n)
		sampler->round_ns = now_ns;
	return due;
}

struct process *sweep_next_turn(struct sampler *sampler)
{
	struct process_table *table = &sampler->table;
	if (table->cursor >= table->n)
		table->cursor = 0;
	return table->live[table->cursor++];
}
