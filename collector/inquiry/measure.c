/* SPDX-License-Identifier: MIT */
#include "collector/inquiry/measure.h"

#include <errno.h>

#include "schema/base/clock.h"
#include "schema/proc/pid_smaps_rollup.h"

enum { MEASURE_AGE_NS = 1000000000 };

struct measurement {
	struct inquiry inquiry;
	struct process_values values;
	int64_t measured_ns;
};

static void give(struct control_call *call, const struct process_values *values, int64_t measured_ns)
{
	const struct control_measured measured = {
		.pss = values->value[PROCESS_PSS],
		.uss = values->value[PROCESS_USS],
		.dirty = values->value[PROCESS_DIRTY],
		.measured_ns = measured_ns,
	};
	control_call_answer(call, CONTROL_OK, 0, &measured, sizeof(measured));
}

static int refuse(struct err *err, int code)
{
	switch (code) {
	case ENODATA:
		return err_set(err, code,
			"this process has no memory of its own: a kernel thread, or one that ended");
	case EACCES:
	case EPERM:
		return err_set(
			err, code, "the collector may not read smaps_rollup of this process: run it as root");
	default:
		return err_set(err, code, "smaps_rollup cannot be read: %s", err_name(code));
	}
}

/* A thread has no smaps_rollup; of a leader that ended the kernel cannot say it. */
static int work(struct inquiry *inquiry, int dir, int living)
{
	struct measurement *it = (struct measurement *)inquiry;
	CLEANUP_BUF struct buf text = BUF_INIT;

	int r = proc_read(dir, "smaps_rollup", &text);
	if (r == PROC_GONE)
		return r;
	if (r == -ESRCH || (r == PROC_OK && !pid_smaps_rollup_parse(&it->values, text.data, text.len)))
		r = -ENODATA;
	it->measured_ns = clock_realtime_ns();
	return r ? refuse(&inquiry->err, -r) : PROC_OK;
}

static void learn(struct inquiry *inquiry)
{
	struct measurement *it = (struct measurement *)inquiry;
	sampler_measured(inquiry->inquiries->sampler, inquiry->pid, inquiry->start_ticks, &it->values,
		it->measured_ns);
}

static void answer(const struct inquiry *inquiry, struct control_call *call)
{
	const struct measurement *it = (const struct measurement *)inquiry;
	give(call, &it->values, it->measured_ns);
}

static const struct inquiry_kind measuring = {
	.size = sizeof(struct measurement),
	.work = work,
	.answer = answer,
	.learn = learn,
	.shared = true,
};

void measure_request(struct inquiries *inquiries, struct control_call *call)
{
	const struct process *process =
		call->pid < BOARD_PIDS ? process_find(&inquiries->sampler->table, (uint32_t)call->pid) : NULL;
	if (process && process->shown.start_ticks == call->start_ticks) {
		const struct board_process *shown = &process->shown;
		int64_t age_ns = clock_realtime_ns() - shown->measured_ns;
		if (shown->measured_ns && age_ns >= 0 && age_ns < MEASURE_AGE_NS &&
			metric_has(shown->values.present, PROCESS_PSS)) {
			give(call, &shown->values, shown->measured_ns);
			return;
		}
	}
	struct inquiry *inquiry = inquiries_begin(inquiries, &measuring, NULL, call);
	if (inquiry)
		inquiries_run(inquiries, inquiry);
}
