/* SPDX-License-Identifier: MIT */
/* What the kernel reports between ticks, and what people are told of starts. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/news.h"
#include "collector/sample/sampler.h"
#include "schema/base/clock.h"
#include "schema/proc/pid_stat.h"

void sampler_tell_start(struct sampler *sampler, struct process *process)
{
	if (process->start_told)
		return;
	process->start_told = true;
	news_push(sampler->board, NEWS_START, process->pid, process->shown.comm);
}

void sampler_tell_starts(struct sampler *sampler)
{
	for (size_t i = 0; i < sampler->fresh.n; i++) {
		struct process *process = process_find(&sampler->table, sampler->fresh.pid[i]);
		if (process)
			sampler_tell_start(sampler, process);
	}
	sampler->fresh.n = 0;
}

/*
 * Looks at a known process; buries it, and meets its successor, where it is gone. Where the report of its end
 * may still be on its way (`waits`), it has until the next tick.
 */
static void look(struct sampler *sampler, struct process *process, unsigned what, bool waits)
{
	uint32_t pid = process->pid;
	int r = sampler_look(sampler, process, what, NULL);
	if (r < 0)
		sampler->failures++;
	if (r != PROC_GONE)
		return;
	if (waits && sampler->trusts_births && !process->exit_told && !process->missed) {
		process->missed = true;
		return;
	}
	sampler_bury(sampler, process, NULL);
	if (sampler_adopt(sampler, pid) < 0)
		sampler->failures++;
}

void sampler_told_fork(struct sampler *sampler, uint32_t pid)
{
	struct process *process = process_find(&sampler->table, pid);
	if (process) /* a listing was quicker, or the pid is used again */
		look(sampler, process, LOOK_ALL, false);
	else if (sampler_adopt(sampler, pid) < 0)
		sampler->failures++;
}

void sampler_told_exec(struct sampler *sampler, uint32_t pid)
{
	struct process *process = process_find(&sampler->table, pid);
	if (!process) {
		sampler_told_fork(sampler, pid);
		process = process_find(&sampler->table, pid);
	} else {
		look(sampler, process, LOOK_ALL | LOOK_EXEC, true);
		process = process_find(&sampler->table, pid);
	}
	if (process)
		sampler_tell_start(sampler, process);
}

void sampler_told_changed(struct sampler *sampler, uint32_t pid)
{
	struct process *process = process_find(&sampler->table, pid);
	if (process)
		look(sampler, process, LOOK_ALL, true);
	else
		sampler_told_fork(sampler, pid);
}

bool sampler_told_exit(struct sampler *sampler, uint32_t pid, int wait_status)
{
	struct process *process = process_find(&sampler->table, pid);
	if (!process)
		return false;
	/* stat in any case: a sweep may have seen it without memory, and not ended yet. */
	int r = sampler_look(sampler, process, LOOK_STATM | LOOK_STAT, NULL);
	if (r == PROC_GONE) {
		sampler_bury(sampler, process, &wait_status);
		if (sampler_adopt(sampler, pid) < 0)
			sampler->failures++;
		return false;
	}
	if (r < 0)
		sampler->failures++;
	if (!pid_stat_ended(process->shown.state))
		return false;
	if (process->through_thread) {
		/* Other threads live on; or all are ending, one after the other. */
		process->leader_ended = true;
		process->leader_ended_ns = clock_monotonic_ns();
		process->leader_status = wait_status;
		return true;
	}
	sampler_tell_start(sampler, process);
	sampler_tell_exit(sampler, process, &wait_status);
	return true;
}

/* When a report of the kernel was made, as the wall clock has it. */
static int64_t epoch_of(uint64_t monotonic_ns)
{
	return clock_realtime_ns() - (clock_monotonic_ns() - (int64_t)monotonic_ns);
}

static bool take_event(struct sampler *sampler, const struct connector_event *event)
{
	struct unseen unseen;

	switch (event->kind) {
	case CONNECTOR_FORK: {
		sampler_told_fork(sampler, event->pid);
		const struct process *parent = process_find(&sampler->table, event->parent);
		if (!process_find(&sampler->table, event->pid))
			unseen_fork(&sampler->unseen, event, parent ? &parent->shown : NULL);
		break;
	}
	case CONNECTOR_EXEC:
		sampler_told_exec(sampler, event->pid);
		unseen_exec(&sampler->unseen, event->pid);
		break;
	case CONNECTOR_CHANGED:
		sampler_told_changed(sampler, event->pid);
		unseen_changed(&sampler->unseen, event);
		break;
	case CONNECTOR_EXIT: {
		bool was_unseen = unseen_take(&sampler->unseen, event->pid, &unseen);
		if (process_find(&sampler->table, event->pid))
			return sampler_told_exit(sampler, event->pid, event->wait_status);
		if (was_unseen)
			sampler_end_unseen(sampler, &unseen, event->wait_status);
		break;
	}
	case CONNECTOR_LISTENING:
	case CONNECTOR_REFUSED:
		break;
	}
	return false;
}

bool sampler_told(struct sampler *sampler, const struct connector_event *event)
{
	sampler->told_ns = epoch_of(event->time_ns);
	bool dying = take_event(sampler, event);
	sampler->told_ns = 0;
	return dying;
}

bool sampler_reaped(struct sampler *sampler, uint32_t pid)
{
	struct process *process = process_find(&sampler->table, pid);
	if (!process)
		return true;
	uint64_t start_ticks = process->shown.start_ticks;
	look(sampler, process, LOOK_STATM, false);
	process = process_find(&sampler->table, pid);
	if (!process || process->shown.start_ticks != start_ticks || !pid_stat_ended(process->shown.state))
		return true;
	if (!process->through_thread) {
		sampler_tell_start(sampler, process);
		sampler_tell_exit(sampler, process, NULL);
	}
	return false;
}

void sampler_take_args(struct sampler *sampler, uint32_t pid, uint64_t start_ticks, char *args)
{
	struct process *process = process_find(&sampler->table, pid);
	if (!process || process->shown.start_ticks != start_ticks || process->exit_told) {
		free(args);
		return;
	}
	free(process->args);
	process->args = args;
}

bool sampler_measured(struct sampler *sampler, uint32_t pid, uint64_t start_ticks,
	const struct process_values *measured, int64_t measured_ns)
{
	struct process *process = process_find(&sampler->table, pid);
	/* Asked for sooner than a sweep met it. */
	if (!process || process->shown.start_ticks != start_ticks) {
		sampler_told_fork(sampler, pid);
		process = process_find(&sampler->table, pid);
	}
	if (!process || process->shown.start_ticks != start_ticks)
		return false;
	for (unsigned id = 0; id < process_metrics.n; id++)
		if (metric_has(measured->present & sampler->measured_metrics, id))
			process_values_set(
				&process->shown.values, (enum process_metric)id, measured->value[id]);
	process->shown.measured_ns = measured_ns;
	board_write_process(sampler->board, &process->shown);
	return true;
}
