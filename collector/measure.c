/* SPDX-License-Identifier: MIT */
#include "collector/measure.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "schema/base/cleanup.h"
#include "schema/base/clock.h"
#include "schema/base/err.h"
#include "schema/proc/pid_smaps_rollup.h"
#include "schema/proc/pid_stat.h"

enum { MEASURE_AGE_NS = 1000000000 };

struct measurement {
	struct job job;
	struct measure *measure;
	struct measurement *next;
	uint32_t pid;
	uint64_t start_ticks;
	/* The loop's, as is next; the rest is the worker's until done. */
	struct control_call **calls;
	size_t n_calls;
	uint32_t owner;
	bool running;
	int outcome; /* PROC_OK, PROC_GONE or -errno */
	struct process_values values;
	int64_t measured_ns;
};

static void answer(struct control_call *call, const struct process_values *values, int64_t measured_ns)
{
	const struct control_measured measured = {
		.pss = values->value[PROCESS_PSS],
		.uss = values->value[PROCESS_USS],
		.dirty = values->value[PROCESS_DIRTY],
		.measured_ns = measured_ns,
	};
	control_call_answer(call, CONTROL_OK, 0, &measured, sizeof(measured));
}

static void refuse(struct control_call *call, int code)
{
	char text[ERR_REASON_MAX];
	struct buf reason = BUF_FIXED(text);
	switch (code) {
	case ENODATA:
		buf_puts(
			&reason, "this process has no memory of its own: a kernel thread, or one that ended");
		break;
	case EACCES:
	case EPERM:
		buf_puts(&reason, "the collector may not read smaps_rollup of this process: run it as root");
		break;
	default:
		buf_printf(&reason, "smaps_rollup cannot be read: %s", err_name(code));
	}
	control_call_answer(call, CONTROL_ERROR, code, reason.data, reason.len);
}

static int read_rollup(struct measurement *it)
{
	CLEANUP_CLOSE int dir = -1;
	CLEANUP_CLOSE int living = -1;
	CLEANUP_BUF struct buf text = BUF_INIT;
	struct pid_stat stat;
	char line[1024];
	size_t len;

	int r = proc_open_pid(it->measure->sampler->root, it->pid, &dir);
	if (r == PROC_OK)
		r = proc_read_short(dir, "stat", line, sizeof(line), &len);
	if (r != PROC_OK)
		return r;
	/* The directory stays bound to one process: its start time now is its start time below. */
	if (!pid_stat_parse(&stat, line, len) || stat.start_ticks != it->start_ticks)
		return PROC_GONE;
	r = proc_open_living_thread(dir, &living);
	if (r == PROC_GONE) /* a zombie */
		return -ENODATA;
	if (r < 0)
		return r;
	/* A thread has no smaps_rollup; of a leader that ended the kernel cannot say it. */
	r = proc_read(dir, "smaps_rollup", &text);
	if (r == -ESRCH)
		return -ENODATA;
	if (r != PROC_OK)
		return r;
	return pid_smaps_rollup_parse(&it->values, text.data, text.len) ? PROC_OK : -ENODATA;
}

static void work(struct job *job)
{
	struct measurement *it = (struct measurement *)job;
	it->outcome = read_rollup(it);
	it->measured_ns = clock_realtime_ns();
}

/* Gives the oldest that waits for one of the owner's workers to it, where there is one. */
static void run_next(struct measure *measure, uint32_t owner)
{
	struct measurement *next = NULL;
	unsigned n = 0;
	for (struct measurement *it = measure->first; it; it = it->next) {
		if (it->owner != owner)
			continue;
		n += it->running;
		if (!it->running)
			next = it;
	}
	if (!next || n >= MEASURE_WORKERS_OF_ONE)
		return;
	next->running = true;
	measure->n_running++;
	jobs_run(measure->jobs, &next->job);
}

static void unlink_it(struct measure *measure, struct measurement *it)
{
	struct measurement **link = &measure->first;
	while (*link != it)
		link = &(*link)->next;
	*link = it->next;
}

static void done(struct job *job)
{
	struct measurement *it = (struct measurement *)job;
	struct measure *measure = it->measure;
	uint32_t owner = it->owner;
	unlink_it(measure, it);
	measure->n_running--;

	if (it->outcome == PROC_OK)
		sampler_measured(measure->sampler, it->pid, it->start_ticks, &it->values, it->measured_ns);
	for (size_t i = 0; i < it->n_calls; i++) {
		if (it->outcome == PROC_OK)
			answer(it->calls[i], &it->values, it->measured_ns);
		else if (it->outcome == PROC_GONE)
			control_call_answer(it->calls[i], CONTROL_GONE, 0, NULL, 0);
		else
			refuse(it->calls[i], -it->outcome);
	}
	free(it->calls);
	free(it);
	run_next(measure, owner);
}

static bool join(struct measurement *it, struct control_call *call)
{
	struct control_call **grown = reallocarray(it->calls, it->n_calls + 1, sizeof(struct control_call *));
	if (!grown)
		return false;
	it->calls = grown;
	it->calls[it->n_calls++] = call;
	return true;
}

void measure_request(struct measure *measure, struct control_call *call)
{
	if (call->pid == 0 || call->pid >= BOARD_PIDS) {
		control_call_answer(call, CONTROL_GONE, 0, NULL, 0);
		return;
	}
	uint32_t pid = (uint32_t)call->pid;
	const struct process *process = process_find(&measure->sampler->table, pid);
	if (process && process->shown.start_ticks == call->start_ticks) {
		const struct board_process *shown = &process->shown;
		int64_t age_ns = clock_realtime_ns() - shown->measured_ns;
		if (shown->measured_ns && age_ns >= 0 && age_ns < MEASURE_AGE_NS &&
			metric_has(shown->values.present, PROCESS_PSS)) {
			answer(call, &shown->values, shown->measured_ns);
			return;
		}
	}
	for (struct measurement *it = measure->first; it; it = it->next) {
		if (it->pid != pid || it->start_ticks != call->start_ticks)
			continue;
		if (!join(it, call))
			refuse(call, ENOMEM);
		return;
	}
	struct measurement *it = calloc(1, sizeof(*it));
	if (!it || !join(it, call)) {
		free(it);
		refuse(call, ENOMEM);
		return;
	}
	it->job = (struct job) { .work = work, .done = done };
	it->outcome = -ECANCELED; /* unless the worker gets to it */
	it->measure = measure;
	it->pid = pid;
	it->start_ticks = call->start_ticks;
	/* One so young that no sweep has seen it is nobody's. */
	it->owner = process ? process->shown.uid : UINT32_MAX;
	it->next = measure->first;
	measure->first = it;
	run_next(measure, it->owner);
}

void measure_tidy(struct measure *measure)
{
	struct measurement *next;
	for (struct measurement *it = measure->first; it; it = next) {
		size_t kept = 0;
		next = it->next;
		for (size_t i = 0; i < it->n_calls; i++) {
			if (control_call_cancelled(it->calls[i]))
				refuse(it->calls[i], ECANCELED);
			else
				it->calls[kept++] = it->calls[i];
		}
		it->n_calls = kept;
		if (kept || it->running)
			continue;
		unlink_it(measure, it);
		free(it->calls);
		free(it);
	}
}
