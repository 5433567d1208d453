/* SPDX-License-Identifier: MIT */
/* The sweep over all processes, listings, and what a tick tells history. */
#include "collector/sample/sampler.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/sample/system.h"
#include "schema/base/clock.h"

enum { ROUND_S = 9, STATUS_S = 60, CLOCK_EVERY = 64 };
static const int64_t second_ns = 1000000000;

static uint64_t metrics_of(enum metric_source source)
{
	uint64_t bits = 0;
	for (unsigned id = 0; id < process_metrics.n; id++)
		if (process_metrics.rows[id].source == source)
			bits |= UINT64_C(1) << id;
	return bits;
}

static void note_gone(struct sampler *sampler, uint32_t pid)
{
	if (sampler->n_gone == sampler->cap_gone) {
		size_t cap = sampler->cap_gone ? sampler->cap_gone * 2 : 256;
		uint32_t *grown = reallocarray(sampler->gone, cap, sizeof(*grown));
		if (!grown) { /* the next tick finds it again */
			sampler->failures++;
			return;
		}
		sampler->gone = grown;
		sampler->cap_gone = cap;
	}
	sampler->gone[sampler->n_gone++] = pid;
}

/*
 * A process that no read finds. Where the kernel reports ends, its report may be a moment behind and says how
 * it ended: it has until the next tick.
 */
static void note_ended(struct sampler *sampler, struct process *process)
{
	if (sampler->trusts_births && !process->exit_told && !process->missed)
		process->missed = true;
	else
		note_gone(sampler, process->pid);
}

static void look(struct sampler *sampler, struct process *process, unsigned what)
{
	int r = sampler_look(sampler, process, what);
	if (r == PROC_GONE)
		note_ended(sampler, process);
	else if (r < 0)
		sampler->failures++;
}

static void bury_gone(struct sampler *sampler)
{
	for (size_t i = 0; i < sampler->n_gone; i++) {
		uint32_t pid = sampler->gone[i];
		struct process *process = process_find(&sampler->table, pid);
		if (!process) /* noted twice */
			continue;
		sampler_bury(sampler, process, NULL);
		if (sampler_adopt(sampler, pid) < 0)
			sampler->failures++;
	}
	sampler->n_gone = 0;
}

/* Each process that has memory: its statm, and more only where that moved. The times of 64 are taken at once.
 */
static void sweep(struct sampler *sampler)
{
	struct process_table *table = &sampler->table;
	int64_t now_ns = 0, epoch_ns = 0;
	char text[PROCESS_STATM_MAX];

	for (size_t i = 0; i < table->n; i++) {
		struct process *process = table->live[i];
		/* Between two ticks they left the caches; while the kernel answers for this one the next
		 * arrive. */
		if (i + 1 < table->n) {
			__builtin_prefetch(table->live[i + 1]);
			__builtin_prefetch((const char *)table->live[i + 1] + 64);
		}
		if (i % CLOCK_EVERY == 0) {
			now_ns = clock_monotonic_ns();
			epoch_ns = clock_realtime_ns();
		}
		if (process->cgroup_due)
			sampler_look_at_cgroup(sampler, process);
		if (process->statm_fd < 0) {
			if (!process->kernel_thread)
				look(sampler, process, LOOK_STATM | LOOK_STAT);
			else if (now_ns >= process->rates_due_ns || now_ns < process->watch_until_ns)
				look(sampler, process, LOOK_STAT);
			continue;
		}
		ssize_t n = pread(process->statm_fd, text, sizeof(text), 0);
		if (n < 0 && errno == ESRCH) {
			note_ended(sampler, process);
			continue;
		}
		if (n != process->statm_len || n == PROCESS_STATM_MAX ||
			memcmp(text, process->statm, (size_t)n) != 0) {
			look(sampler, process, LOOK_ALL);
		} else if (now_ns < process->watch_until_ns) {
			look(sampler, process, LOOK_STAT);
		} else if (now_ns >= process->rates_due_ns) {
			look(sampler, process, 0);
		} else {
			process->sample_ns = now_ns;
			board_touch_process(sampler->board, process->pid, epoch_ns);
		}
	}
	bury_gone(sampler);
}

/* Gives their turn to as many processes as makes a whole round in ROUND_S, whatever the interval between
 * ticks. */
static void turns(struct sampler *sampler)
{
	struct process_table *table = &sampler->table;
	int64_t now_ns = clock_monotonic_ns();
	int64_t elapsed_ns = now_ns - sampler->round_ns;
	if (elapsed_ns > ROUND_S * second_ns)
		elapsed_ns = ROUND_S * second_ns;
	size_t due = (size_t)((double)table->n * (double)elapsed_ns / (double)(ROUND_S * second_ns));
	if (due == 0 && table->n)
		return; /* time gathers until it is worth one */
	sampler->round_ns = now_ns;

	for (size_t i = 0; i < due; i++) {
		if (table->cursor >= table->n)
			table->cursor = 0;
		struct process *process = table->live[table->cursor++];
		if (!process->kernel_thread && now_ns - process->cgroup_ns >= SAMPLER_CGROUP_S * second_ns)
			sampler_look_at_cgroup(sampler, process);
		if (now_ns - process->status_ns >= STATUS_S * second_ns)
			look(sampler, process, LOOK_ALL);
		else if (now_ns - process->stat_ns >= second_ns)
			look(sampler, process, LOOK_STAT);
	}
	bury_gone(sampler);
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
		if (process->listed != sampler->listing && !process->missed)
			note_gone(sampler, process->pid);
	}
	bury_gone(sampler);
	sampler->listed_ns = clock_monotonic_ns();
	return 0;
}

void sampler_tick(struct sampler *sampler)
{
	int64_t now_ns = clock_monotonic_ns();
	sampler_tell_starts(sampler);
	sampler_sample_system(sampler);
	sweep(sampler);
	cgroups_settle(&sampler->cgroups);
	turns(sampler);
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
	for (size_t i = 0; i < table->n; i++)
		n += table->live[i]->changed || table->live[i]->born || table->live[i]->renamed;

	struct history_tick *tick = history_tick_new(n);
	if (!tick) {
		sampler->failures++;
		return NULL;
	}
	tick->time_ns = sampler->system.sampled_ns;
	tick->system = sampler->system.values;
	tick->n = n;
	if (sampler->n_ended)
		memcpy(tick->entry, sampler->ended, sampler->n_ended * sizeof(*sampler->ended));
	n = sampler->n_ended;
	sampler->n_ended = 0;
	for (size_t i = 0; i < table->n; i++) {
		struct process *process = table->live[i];
		if (!process->changed && !process->born && !process->renamed)
			continue;
		entry_of(&tick->entry[n++], process);
		process->changed = process->born = process->renamed = false;
	}
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
	process_table_deinit(&sampler->table);
	cgroups_deinit(&sampler->cgroups);
	proc_pids_deinit(&sampler->pids);
	buf_deinit(&sampler->text);
	free(sampler->gone);
	free(sampler->fresh);
	free(sampler->ended);
	*sampler = (struct sampler) { 0 };
}
