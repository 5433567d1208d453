/* SPDX-License-Identifier: MIT */
#include "collector/control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/measure.h"
#include "collector/pid_files.h"

/* A write of config. One at a time: each begins with what the one before it left. */
struct config_write {
	struct job job;
	struct control *control;
	struct config_write *next;
	struct control_call *call;
	struct settings stored, in_force;
	struct err err;
	int outcome;
};

void control_init(struct control *control)
{
	control->first = NULL;
	control->last = &control->first;
}

static void refuse(struct control_call *call, int code, const char *reason)
{
	control_call_answer(call, CONTROL_ERROR, code, reason, strlen(reason));
}

static void config_begin(struct control *control);

/* The database may wait for a disk: not the loop's business. */
static void config_work(struct job *job)
{
	struct config_write *it = (struct config_write *)job;
	it->outcome = it->control->recorder
			      ? recorder_save_settings(it->control->recorder, &it->stored, &it->err)
			      : 0;
}

static void config_done(struct job *job)
{
	struct config_write *it = (struct config_write *)job;
	struct control *control = it->control;
	control->first = it->next;
	if (!control->first)
		control->last = &control->first;

	if (it->outcome < 0) {
		refuse(it->call, -it->outcome,
			it->err.code ? it->err.reason : "the settings cannot be stored");
	} else {
		control->stored = it->stored;
		control->in_force = it->in_force;
		control->changed(control->ctx, &control->in_force);
		control_call_answer(it->call, CONTROL_OK, 0, NULL, 0);
	}
	free(it);
	config_begin(control);
}

/* Gives the first in line to a worker; those that make no sense are refused on the way. */
static void config_begin(struct control *control)
{
	while (control->first) {
		struct config_write *it = control->first;
		it->stored = control->stored;
		it->in_force = control->in_force;
		const struct span text = it->call->payload;
		int r = settings_parse(&it->in_force, text.p, text.n, &it->err);
		if (r == 0)
			r = settings_parse(&it->stored, text.p, text.n, &it->err);
		if (r == 0) {
			jobs_run(control->jobs, &it->job);
			return;
		}
		control->first = it->next;
		if (!control->first)
			control->last = &control->first;
		refuse(it->call, -r, it->err.reason);
		free(it);
	}
}

static void config_request(struct control *control, struct control_call *call)
{
	if (call->uid != 0 && call->uid != geteuid()) {
		refuse(call, EPERM, "config is written by root, or by the user who runs memfs");
		return;
	}
	struct config_write *it = calloc(1, sizeof(*it));
	if (!it) {
		refuse(call, ENOMEM, "no memory");
		return;
	}
	it->job = (struct job) { .work = config_work, .done = config_done };
	it->outcome = -ECANCELED; /* unless the worker gets to it */
	it->control = control;
	it->call = call;
	bool alone = !control->first;
	*control->last = it;
	control->last = &it->next;
	if (alone)
		config_begin(control);
}

void control_handle(void *ctx, struct control_call *call)
{
	struct control *control = ctx;
	switch (call->op) {
	case CONTROL_OP_MEASURE:
		measure_request(control->inquiries, call);
		break;
	case CONTROL_OP_FILE:
		pid_files_request(control->inquiries, call);
		break;
	case CONTROL_OP_RESET_PEAK:
		pid_files_reset_peak(control->inquiries, call);
		break;
	case CONTROL_OP_CONFIG:
		config_request(control, call);
		break;
	default:
		refuse(call, EOPNOTSUPP, "this collector does not know the operation");
	}
}
