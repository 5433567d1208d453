/* SPDX-License-Identifier: MIT */
/* What the kernel reports between ticks, and what people are told of starts and ends. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "collector/news.h"
#include "collector/sample/sampler.h"
#include "schema/base/clock.h"

void sampler_tell_start(struct sampler *sampler, struct process *process)
{
	if (process->start_told)
		return;
	process->start_told = true;
	news_push(sampler->board, NEWS_START, process->pid, process->shown.comm);
}

/* The words of an exit: who, and how where that is known. */
static void exit_text(char text[static BOARD_NEWS_TEXT], const char *comm, const int *ended)
{
	if (ended && WIFEXITED(*ended))
		snprintf(text, BOARD_NEWS_TEXT, "%s code %d", comm, WEXITSTATUS(*ended));
	else if (ended)
		snprintf(text, BOARD_NEWS_TEXT, "%s signal %d", comm, WTERMSIG(*ended));
	else
		snprintf(text, BOARD_NEWS_TEXT, "%s", comm);
}

void sampler_tell_exit(struct sampler *sampler, struct process *process, const int *ended)
{
	char text[BOARD_NEWS_TEXT];

	if (process->exit_told)
		return;
	process->exit_told = true;
	exit_text(text, process->shown.comm, ended);
	news_push(sampler->board, NEWS_EXIT, process->pid, text);
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

/* Looks at a known process; buries it, and meets its successor, where it is gone. */
static void look(struct sampler *sampler, struct process *process, unsigned what)
{
	uint32_t pid = process->pid;
	int r = sampler_look(sampler, process, what, NULL);
	if (r < 0)
		sampler->failures++;
	if (r != PROC_GONE)
		return;
	sampler_bury(sampler, process, NULL);
	if (sampler_adopt(sampler, pid) < 0)
		sampler->failures++;
}

void sampler_told_fork(struct sampler *sampler, uint32_t pid)
{
	struct process *process = process_find(&sampler->table, pid);
	if (process) /* a listing was quicker, or the pid is used again */
		look(sampler, process, LOOK_ALL);
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
		look(sampler, process, LOOK_ALL | LOOK_EXEC);
		process = process_find(&sampler->table, pid);
	}
	if (process)
		sampler_tell_start(sampler, process);
}

void sampler_told_changed(struct sampler *sampler, uint32_t pid)
{
	sampler_told_fork(sampler, pid);
}

bool sampler_told_exit(struct sampler *sampler, uint32_t pid, int wait_status)
{
	struct process *process = process_find(&sampler->table, pid);
	if (!process)
		return false;
	int r = sampler_look(sampler, process, process->kernel_thread ? LOOK_STAT : LOOK_STATM, NULL);
	if (r == PROC_GONE) {
		sampler_bury(sampler, process, &wait_status);
		if (sampler_adopt(sampler, pid) < 0)
			sampler->failures++;
		return false;
	}
	if (r < 0)
		sampler->failures++;
	if (process->shown.state != 'Z' || process->through_thread)
		return false; /* other threads live on */
	sampler_tell_start(sampler, process);
	sampler_tell_exit(sampler, process, &wait_status);
	return true;
}

bool sampler_reaped(struct sampler *sampler, uint32_t pid)
{
	struct process *process = process_find(&sampler->table, pid);
	if (!process)
		return true;
	uint64_t start_ticks = process->shown.start_ticks;
	look(sampler, process, LOOK_STATM);
	process = process_find(&sampler->table, pid);
	return !process || process->shown.start_ticks != start_ticks || process->shown.state != 'Z';
}

bool sampler_measured(struct sampler *sampler, uint32_t pid, uint64_t start_ticks,
	const struct process_values *measured, int64_t measured_ns)
{
	struct process *process = process_find(&sampler->table, pid);
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
