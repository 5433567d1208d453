/* SPDX-License-Identifier: MIT */
#include "collector/args.h"

#include <errno.h>
#include <stdlib.h>

#include "schema/base/cleanup.h"
#include "schema/proc/pid_cmdline.h"
#include "schema/proc/pid_stat.h"

struct wanted {
	uint32_t pid;
	uint64_t start_ticks;
	char *args; /* NULL: it has none, or is gone */
};

struct reading {
	struct job job;
	struct args_reader *reader;
	size_t n;
	struct wanted wanted[];
};

static char *read_args(const struct proc_root *root, const struct wanted *wanted)
{
	CLEANUP_CLOSE int dir = -1;
	CLEANUP_BUF struct buf line = BUF_INIT;
	struct pid_stat stat;
	char text[REMAINS_ARGS_MAX];
	size_t len;

	/* The directory stays bound to one process: its start time now is its start time below. */
	if (proc_open_pid(root, wanted->pid, &dir) != PROC_OK ||
		proc_read_short(dir, "stat", text, sizeof(text), &len) != PROC_OK ||
		!pid_stat_parse(&stat, text, len) || stat.start_ticks != wanted->start_ticks ||
		proc_read_short(dir, "cmdline", text, sizeof(text), &len) != PROC_OK || len == 0)
		return NULL;
	pid_cmdline_put_args(&line, text, len);
	buf_putc(&line, '\0');
	return buf_error(&line) ? NULL : steal_ptr(line.data);
}

static void work(struct job *job)
{
	struct reading *reading = (struct reading *)job;

	for (size_t i = 0; i < reading->n; i++)
		reading->wanted[i].args = read_args(reading->reader->sampler->root, &reading->wanted[i]);
}

static void done(struct job *job)
{
	struct reading *reading = (struct reading *)job;

	reading->reader->busy = false;
	for (size_t i = 0; i < reading->n; i++) {
		struct wanted *wanted = &reading->wanted[i];
		sampler_take_args(reading->reader->sampler, wanted->pid, wanted->start_ticks, wanted->args);
	}
	free(reading);
}

void args_read_new(struct args_reader *reader)
{
	struct sampler *sampler = reader->sampler;

	if (reader->busy || sampler->argless.n == 0)
		return;
	struct reading *reading =
		calloc(1, sizeof(*reading) + sampler->argless.n * sizeof(reading->wanted[0]));
	if (!reading)
		return;
	reading->job = (struct job) { .work = work, .done = done };
	reading->reader = reader;
	for (size_t i = 0; i < sampler->argless.n; i++) {
		const struct process *process = process_find(&sampler->table, sampler->argless.pid[i]);
		if (process && !process->kernel_thread && !pid_stat_ended(process->shown.state))
			reading->wanted[reading->n++] = (struct wanted) { .pid = process->pid,
				.start_ticks = process->shown.start_ticks };
	}
	sampler->argless.n = 0;
	if (reading->n == 0) {
		free(reading);
		return;
	}
	reader->busy = true;
	jobs_run(reader->jobs, &reading->job);
}
