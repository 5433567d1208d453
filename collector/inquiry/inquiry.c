/* SPDX-License-Identifier: MIT */
#include "collector/inquiry/inquiry.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "schema/base/cleanup.h"
#include "schema/base/clock.h"
#include "schema/proc/pid_stat.h"

static void refuse(struct control_call *call, int code, const char *reason)
{
	control_call_answer(call, CONTROL_ERROR, code, reason, strlen(reason));
}

static void answer(const struct inquiry *inquiry, struct control_call *call)
{
	if (inquiry->outcome == PROC_OK)
		inquiry->kind->answer(inquiry, call);
	else if (inquiry->outcome == PROC_GONE)
		control_call_answer(call, CONTROL_GONE, 0, NULL, 0);
	else
		refuse(call, -inquiry->outcome,
			inquiry->err.code ? inquiry->err.reason : err_name(-inquiry->outcome));
}

/* The directory stays bound to one process: its start time here is its start time in all that follows. */
static int look_into(struct inquiry *inquiry)
{
	CLEANUP_CLOSE int dir = -1;
	CLEANUP_CLOSE int living = -1;
	struct pid_stat stat;
	char line[1024];
	size_t len;

	int r = proc_open_pid(inquiry->inquiries->sampler->root, inquiry->pid, &dir);
	if (r == PROC_OK)
		r = proc_read_short(dir, "stat", line, sizeof(line), &len);
	if (r != PROC_OK)
		return r;
	if (!pid_stat_parse(&stat, line, len) || stat.start_ticks != inquiry->start_ticks)
		return PROC_GONE;
	r = proc_open_living_thread(dir, &living);
	if (r == PROC_GONE) /* a zombie */
		return err_set(&inquiry->err, ENODATA, "the process has ended and has no memory any more");
	return r ? r : inquiry->kind->work(inquiry, dir, living);
}

static void work(struct job *job)
{
	struct inquiry *inquiry = (struct inquiry *)job;
	inquiry->outcome = look_into(inquiry);
}

static void free_inquiry(struct inquiry *inquiry)
{
	if (inquiry->kind->deinit)
		inquiry->kind->deinit(inquiry);
	free(inquiry->calls);
	free(inquiry);
}

static void drop(struct inquiries *inquiries, struct inquiry *inquiry)
{
	struct inquiry **link = &inquiries->first;
	while (*link != inquiry)
		link = &(*link)->next;
	*link = inquiry->next;
	inquiries->n_kept -= inquiry->state == INQUIRY_KEPT;
	free_inquiry(inquiry);
}

/* Gives the oldest that waits for one of the owner's workers to it, where there is one. */
static void run_next(struct inquiries *inquiries, uint32_t owner)
{
	struct inquiry *next = NULL;
	unsigned n = 0;
	for (struct inquiry *it = inquiries->first; it; it = it->next) {
		if (it->owner != owner)
			continue;
		n += it->state == INQUIRY_RUNS;
		if (it->state == INQUIRY_WAITS)
			next = it;
	}
	if (!next || n >= INQUIRY_WORKERS_OF_ONE)
		return;
	next->state = INQUIRY_RUNS;
	inquiries->n_running++;
	jobs_run(inquiries->jobs, &next->job);
}

/* Keeps an answer for those who ask again soon; of too many the one given first goes. */
static void keep(struct inquiries *inquiries, struct inquiry *inquiry)
{
	struct inquiry *oldest = NULL;
	if (inquiries->n_kept == INQUIRIES_KEPT) {
		for (struct inquiry *it = inquiries->first; it; it = it->next)
			if (it->state == INQUIRY_KEPT && (!oldest || it->done_ns < oldest->done_ns))
				oldest = it;
		drop(inquiries, oldest);
	}
	inquiry->state = INQUIRY_KEPT;
	inquiry->n_calls = 0;
	inquiry->done_ns = clock_monotonic_ns();
	inquiries->n_kept++;
}

static void done(struct job *job)
{
	struct inquiry *inquiry = (struct inquiry *)job;
	struct inquiries *inquiries = inquiry->inquiries;
	uint32_t owner = inquiry->owner;
	inquiries->n_running--;

	if (inquiry->outcome == PROC_OK && inquiry->kind->learn)
		inquiry->kind->learn(inquiry);
	for (size_t i = 0; i < inquiry->n_calls; i++)
		answer(inquiry, inquiry->calls[i]);
	if (inquiry->outcome == PROC_OK && inquiry->kind->keep_ns)
		keep(inquiries, inquiry);
	else
		drop(inquiries, inquiry);
	run_next(inquiries, owner);
}

static bool join(struct inquiry *inquiry, struct control_call *call)
{
	struct control_call **grown =
		reallocarray(inquiry->calls, inquiry->n_calls + 1, sizeof(struct control_call *));
	if (!grown)
		return false;
	inquiry->calls = grown;
	inquiry->calls[inquiry->n_calls++] = call;
	return true;
}

static struct inquiry *find(struct inquiries *inquiries, const struct inquiry_kind *kind, const void *subject,
	const struct control_call *call)
{
	for (struct inquiry *it = inquiries->first; it; it = it->next)
		if (it->kind == kind && it->subject == subject && it->pid == call->pid &&
			it->start_ticks == call->start_ticks)
			return it;
	return NULL;
}

struct inquiry *inquiries_begin(struct inquiries *inquiries, const struct inquiry_kind *kind,
	const void *subject, struct control_call *call)
{
	if (call->pid == 0 || call->pid >= BOARD_PIDS) {
		control_call_answer(call, CONTROL_GONE, 0, NULL, 0);
		return NULL;
	}
	struct inquiry *same = kind->shared ? find(inquiries, kind, subject, call) : NULL;
	if (same && same->state == INQUIRY_KEPT && clock_monotonic_ns() - same->done_ns > kind->keep_ns) {
		drop(inquiries, same);
		same = NULL;
	}
	if (same) {
		if (same->state == INQUIRY_KEPT)
			answer(same, call);
		else if (!join(same, call))
			refuse(call, ENOMEM, "no memory");
		return NULL;
	}
	struct inquiry *inquiry = calloc(1, kind->size);
	if (!inquiry || !join(inquiry, call)) {
		free(inquiry);
		refuse(call, ENOMEM, "no memory");
		return NULL;
	}
	uint32_t pid = (uint32_t)call->pid;
	const struct process *process = process_find(&inquiries->sampler->table, pid);
	if (!process) { /* so young that no sweep has seen it: whose it is decides whose share it takes */
		sampler_told_fork(inquiries->sampler, pid);
		process = process_find(&inquiries->sampler->table, pid);
	}
	inquiry->job = (struct job) { .work = work, .done = done };
	inquiry->kind = kind;
	inquiry->inquiries = inquiries;
	inquiry->subject = subject;
	inquiry->pid = pid;
	inquiry->start_ticks = call->start_ticks;
	inquiry->outcome = -ECANCELED; /* unless a worker gets to it */
	inquiry->owner = process ? process->shown.uid : UINT32_MAX;
	return inquiry;
}

void inquiries_run(struct inquiries *inquiries, struct inquiry *inquiry)
{
	inquiry->next = inquiries->first;
	inquiries->first = inquiry;
	run_next(inquiries, inquiry->owner);
}

void inquiries_tidy(struct inquiries *inquiries)
{
	struct inquiry *next;
	int64_t now_ns = inquiries->n_kept ? clock_monotonic_ns() : 0;
	for (struct inquiry *it = inquiries->first; it; it = next) {
		size_t kept = 0;
		next = it->next;
		for (size_t i = 0; i < it->n_calls; i++) {
			if (!(it->kind->streams && it->state == INQUIRY_RUNS) &&
				control_call_cancelled(it->calls[i]))
				refuse(it->calls[i], ECANCELED, "nobody waits for the answer");
			else
				it->calls[kept++] = it->calls[i];
		}
		it->n_calls = kept;
		if ((it->state == INQUIRY_WAITS && !kept) ||
			(it->state == INQUIRY_KEPT && now_ns - it->done_ns > it->kind->keep_ns))
			drop(inquiries, it);
	}
}

void inquiries_deinit(struct inquiries *inquiries)
{
	while (inquiries->first)
		drop(inquiries, inquiries->first);
}
