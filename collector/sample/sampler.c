/* SPDX-License-Identifier: MIT */
/* A tick: the sweep over all processes, listings, and what it tells history. */
#include "collector/sample/sampler.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/sample/sweep.h"
#include "collector/sample/system.h"
#include "schema/base/clock.h"

static const int64_t second_ns = 1000000000;

static uint64_t metrics_of(enum metric_source source)
{
	uint64_t bits = 0;
	for (unsigned id = 0; id < process_metrics.n; id++)
		if (process_metrics.rows[id].source == source)
			bits |= UINT64_C(1) << id;
	return bits;
}

/* Brings the table to what /proc has. */
static int list(struct sampler *sampler)
{
	struct process_table *table = &sampler->table;
	int r = proc_list_pids(sampler->root, &sampler->pids);
	if (r < 0)
		return r;
	sampler->listing++;
	for (size_t i = 0; i < sampler->pids.n; i++) {
		struct process *process = process_find(table, sampler->pids.pid[i]);
		if (process)
			process->listed = sampler->listing;
		else if (sampler_adopt(sampler, sampler->pids.pid[i]) < 0)
			sampler->failures++;
	}
	for (size_t i = 0; i < table->n; i++) {
		struct process *process = table->live[i];
		/* One that the sweep missed has until the next tick. */
		if (process->listed == sampler->listing || process->missed)
			continue;
		if (process->kernel_thread) /* no sweep looks for it */
			sweep_note_gone(sampler, process->pid);
		else
			sweep_note_ended(sampler, process);
	}
	sweep_bury_gone(sampler);
	sampler->listed_ns = clock_monotonic_ns();
	return 0;
}

/* The walk failed: the iterator may do. */
static void give_up_tasks(struct sampler *sampler)
{
	bool walked = sampler->tasks_way == TASKS_WALK;
	struct err err;

	sampler_stop_tasks(sampler);
	if (walked)
		(void)sampler_start_tasks(sampler, TASKS_ITERATOR, &err);
}

void sampler_tick(struct sampler *sampler)
{
	int64_t now_ns = clock_monotonic_ns();
	sampler_tell_starts(sampler);
	sampler_sample_system(sampler);
	if (sampler->tasks) {
		int r = sweep_tasks(sampler);
		if (r == 0)
			return;
		sampler->tasks_error = r;
		give_up_tasks(sampler);
		if (sampler->tasks && sweep_tasks(sampler) == 0)
			return;
		sampler_stop_tasks(sampler);
	}
	sweep_files(sampler);
	if (!sampler->trusts_births || !sampler->listed_ns ||
		now_ns - sampler->listed_ns >= SAMPLER_LIST_S * second_ns)
		if (list(sampler) < 0)
			sampler->failures++;
}

void sampler_list_soon(struct sampler *sampler)
{
	sampler->listed_ns = 0;
}

static void entry_of(struct history_entry *entry, struct process *process)
{
	const struct board_process *shown = &process->shown;
	*entry = (struct history_entry) {
		.pid = shown->pid,
		.uid = shown->uid,
		.start_ticks = shown->start_ticks,
		.start_s = shown->start_ns / second_ns,
		.born = process->born,
		.renamed = process->renamed,
		.values = shown->values,
	};
	memcpy(entry->comm, shown->comm, sizeof(entry->comm));
}

struct history_tick *sampler_history(struct sampler *sampler)
{
	struct process_table *table = &sampler->table;
	size_t n = sampler->n_ended;
	struct history_tick *tick = history_tick_new(n + sampler->changes.n);
	if (!tick) {
		sampler->failures++;
		return NULL;
	}
	tick->time_ns = sampler->system.sampled_ns;
	tick->system = sampler->system.values;
	if (sampler->n_ended)
		memcpy(tick->entry, sampler->ended, sampler->n_ended * sizeof(*sampler->ended));
	sampler->n_ended = 0;
	for (size_t i = 0; i < sampler->changes.n; i++) {
		/* Of a pid that was used again meanwhile the second mention is of nobody new. */
		struct process *process = process_find(table, sampler->changes.pid[i]);
		if (!process || !process->noted)
			continue;
		entry_of(&tick->entry[n++], process);
		process->noted = process->changed = process->born = process->renamed = false;
	}
	sampler->changes.n = 0;
	tick->n = n;
	return tick;
}

/* What the board of a predecessor has and /proc has not. */
static void clear_vanished(struct sampler *sampler)
{
	struct board_process was;
	for (uint32_t pid = board_next_pid(sampler->board, 0); pid;
		pid = board_next_pid(sampler->board, pid + 1)) {
		if (process_find(&sampler->table, pid) ||
			board_read_process(sampler->board, pid, &was) != BOARD_FOUND)
			continue;
		board_clear_process(sampler->board, pid);
		board_push_event(sampler->board, (struct board_event) { BOARD_DEATH, pid, was.start_ticks });
		struct process ended = { .pid = pid, .shown = was };
		sampler_tell_exit(sampler, &ended, NULL);
	}
}

int sampler_init(struct sampler *sampler, const struct proc_root *root, struct board *board, size_t kept_max,
	const struct board_health *predecessor)
{
	*sampler = (struct sampler) {
		.root = root,
		.board = board,
		/* A captured tree has no process to be bound to: there identity is asked for each time. */
		.kept_max = root->real ? kept_max : 0,
		.page_bytes = (uint64_t)sysconf(_SC_PAGESIZE),
		.ticks_per_second = (uint64_t)sysconf(_SC_CLK_TCK),
		.quiet = predecessor->generation == 0,
		.measured_metrics = metrics_of(METRIC_SOURCE_MEASURED),
		.round_ns = clock_monotonic_ns(),
	};
	sampler->memory_metrics = sampler->measured_metrics | metrics_of(METRIC_SOURCE_PID_STATM) |
				  metrics_of(METRIC_SOURCE_PID_STATUS);
	for (unsigned i = 0; i < N_PROCESS_RATES; i++)
		sampler->rate_metric[i] = metric_rate_metric(&process_metrics, i);
	sampler->boot_ns = system_boot_ns(root, predecessor->boot_ns);
	(void)kmsg_open(&sampler->kmsg, root); /* without it nobody is said to have died of OOM */
	int r = process_table_init(&sampler->table);
	if (r == 0)
		r = cgroups_init(&sampler->cgroups, board);
	if (r == 0)
		r = list(sampler);
	if (r < 0) {
		sampler_deinit(sampler);
		return r;
	}
	clear_vanished(sampler);
	sampler->quiet = false;
	return 0;
}

void sampler_deinit(struct sampler *sampler)
{
	sampler_stop_tasks(sampler);
	process_table_deinit(&sampler->table);
	cgroups_deinit(&sampler->cgroups);
	proc_pids_deinit(&sampler->pids);
	buf_deinit(&sampler->text);
	pid_list_deinit(&sampler->gone);
	pid_list_deinit(&sampler->changes);
	pid_list_deinit(&sampler->missing);
	pid_list_deinit(&sampler->fresh);
	pid_list_deinit(&sampler->unplaced);
	pid_list_deinit(&sampler->newcomers);
	pid_list_deinit(&sampler->work);
	pid_list_deinit(&sampler->argless);
	free(sampler->ended);
	remains_deinit(&sampler->remains);
	unseen_deinit(&sampler->unseen);
	kmsg_close(&sampler->kmsg);
	*sampler = (struct sampler) { 0 };
}

enum board_sweep sampler_sweep(const struct sampler *sampler)
{
	if (!sampler->tasks)
		return BOARD_SWEEP_PORTABLE;
	return sampler->tasks_way == TASKS_WALK ? BOARD_SWEEP_BPF : BOARD_SWEEP_BPF_ITERATOR;
}
