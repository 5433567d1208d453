/* SPDX-License-Identifier: MIT */
/* Ends: what a process had last, how it ended, and what people are told of it. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "collector/news.h"
#include "collector/sample/sampler.h"
#include "schema/base/clock.h"

static const int64_t second_ns = 1000000000;

static int64_t now_or_told(const struct sampler *sampler)
{
	return sampler->told_ns ? sampler->told_ns : clock_realtime_ns();
}

void sampler_keep_ending(struct sampler *sampler, struct process *process,
	const struct process_values *before, char state, uint32_t threads)
{
	const struct board_process *shown = &process->shown;
	bool had = before->present & sampler->memory_metrics,
	     has = shown->values.present & sampler->memory_metrics;

	if (has && process->ending) { /* other threads live on */
		free(process->ending);
		process->ending = NULL;
	}
	if (has || !had || process->ending)
		return;
	struct remains *ending = calloc(1, sizeof(*ending));
	if (!ending) {
		sampler->failures++;
		return;
	}
	ending->last = *shown;
	ending->last.state = state;
	ending->last.threads = threads;
	for (unsigned id = 0; id < process_metrics.n; id++)
		if (metric_has(before->present & sampler->memory_metrics, id))
			process_values_set(&ending->last.values, (enum process_metric)id, before->value[id]);
	ending->end_ns = now_or_told(sampler);
	process->ending = ending;
}

/* The kernel's OOM killer ends with SIGKILL, like others; its log tells it from them. */
static struct end_reason find_reason(
	struct sampler *sampler, uint32_t pid, int64_t start_ns, int64_t end_ns, const int *wait_status)
{
	struct end_reason reason = { END_UNKNOWN, 0, false };

	if (wait_status)
		reason = end_reason_of(*wait_status);
	if (reason.kind == END_EXIT || (reason.kind == END_SIGNAL && reason.number != SIGKILL))
		return reason;
	kmsg_drain(&sampler->kmsg);
	if (kmsg_killed(&sampler->kmsg, pid, start_ns, end_ns))
		reason = (struct end_reason) { END_OOM, 0, false };
	return reason;
}

/* The words of an exit: who, and how. */
static void push_exit(struct sampler *sampler, const struct remains *remains)
{
	char array[BOARD_NEWS_TEXT];
	struct buf text = { .data = array, .cap = sizeof(array) - 1, .fixed = true };

	buf_puts(&text, remains->last.comm);
	buf_putc(&text, ' ');
	end_reason_put(&text, remains->reason);
	array[text.len] = 0;
	news_push(sampler->board, NEWS_EXIT, remains->last.pid, array);
}

void sampler_tell_exit(struct sampler *sampler, struct process *process, const int *ended)
{
	if (process->exit_told)
		return;
	process->exit_told = true;

	struct remains remains = { .last = process->shown, .end_ns = now_or_told(sampler) };
	if (process->ending)
		remains = *process->ending;
	if (!ended && process->has_wait_status)
		ended = &process->wait_status;
	else if (!ended && process->leader_ended)
		ended = &process->leader_status;
	remains.args = process->args;
	process->args = NULL;
	remains.sampled = remains.has_comm = remains.has_owner = true;
	remains.reason = find_reason(sampler, process->pid, remains.last.start_ns, remains.end_ns, ended);
	push_exit(sampler, &remains);
	remains_add(&sampler->remains, &remains);
}

void sampler_end_unseen(struct sampler *sampler, const struct unseen *unseen, int wait_status)
{
	struct timespec now;
	struct remains remains = {
		.last = {
			.pid = unseen->pid, .ppid = unseen->ppid, .uid = unseen->uid, .gid = unseen->gid,
		},
		.end_ns = now_or_told(sampler),
		.has_comm = unseen->has_comm,
		.has_owner = unseen->has_owner,
	};
	struct board_process *last = &remains.last;

	/* Start times count sleep of the machine, events do not. */
	clock_gettime(CLOCK_BOOTTIME, &now);
	int64_t start_ns =
		(int64_t)unseen->start_ns + now.tv_sec * second_ns + now.tv_nsec - clock_monotonic_ns();
	last->start_ticks = (uint64_t)start_ns / ((uint64_t)second_ns / sampler->ticks_per_second);
	last->start_ns = sampler->boot_ns + start_ns;
	memcpy(last->comm, unseen->comm, sizeof(last->comm));
	remains.reason = find_reason(sampler, unseen->pid, last->start_ns, remains.end_ns, &wait_status);
	remains_add(&sampler->remains, &remains);
}
