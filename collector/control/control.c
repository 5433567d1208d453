/* SPDX-License-Identifier: MIT */
#include "collector/control/control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/alerts/alert_rule.h"
#include "collector/leaks/leak_files.h"
#include "collector/inquiry/measure.h"
#include "collector/inquiry/pid_files.h"
#include "collector/symbols/skip.h"
#include "collector/symbols/suppress.h"

const struct note_kind control_note_kind[N_NOTES] = {
	[NOTE_ALERTS] = { alert_rule_line, .named = true },
	[NOTE_TAGS] = { note_tag, .named = true },
	[NOTE_LEAKS_SKIP] = { skip_line },
	[NOTE_LEAKS_SUPPRESS] = { suppress_line },
};

/* A write of config or of a note. One at a time: each begins with what the one before it left. */
struct kept_write {
	struct job job;
	struct control *control;
	struct kept_write *next;
	struct control_call *call;
	struct settings stored, in_force; /* of CONTROL_OP_CONFIG */
	enum note id;                     /* of the others */
	struct note_text note;
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

static void write_begin(struct control *control);

static bool is_config(const struct kept_write *it)
{
	return it->call->op == CONTROL_OP_CONFIG;
}

/* The database may wait for a disk: not the loop's business. */
static void write_work(struct job *job)
{
	struct kept_write *it = (struct kept_write *)job;
	struct recorder *recorder = it->control->recorder;

	if (!recorder)
		it->outcome = 0;
	else if (is_config(it))
		it->outcome = recorder_save_settings(recorder, &it->stored, &it->err);
	else
		it->outcome = recorder_save_note(recorder, it->id, &it->note, &it->err);
}

static void take_first(struct control *control)
{
	control->first = control->first->next;
	if (!control->first)
		control->last = &control->first;
}

static void put_in_force(struct control *control, const struct kept_write *it)
{
	if (is_config(it)) {
		control->stored = it->stored;
		control->in_force = it->in_force;
		control->changed(control->ctx, &control->in_force);
	} else {
		control->notes[it->id] = it->note;
		control->note_changed(control->ctx, it->id, &control->notes[it->id]);
	}
}

static void write_done(struct job *job)
{
	struct kept_write *it = (struct kept_write *)job;
	struct control *control = it->control;
	take_first(control);

	if (it->outcome < 0) {
		refuse(it->call, -it->outcome, it->err.code ? it->err.reason : "it cannot be stored");
	} else {
		put_in_force(control, it);
		control_call_answer(it->call, CONTROL_OK, 0, NULL, 0);
	}
	free(it);
	write_begin(control);
}

/* What an option of the mount fixes can be written as it is: `cat config >config` is nobody's mistake. */
static int keep_fixed(struct kept_write *it)
{
	const struct settings *fixed = &it->control->fixed;

	for (int i = 0; i < N_SETTINGS; i++) {
		if (!fixed->value[i])
			continue;
		if (it->in_force.value[i] != fixed->value[i])
			return err_set(&it->err, EBUSY,
				"%s is fixed at %llu by an option of this mount: mount without it to set it",
				setting_rows[i].name, (unsigned long long)fixed->value[i]);
		it->stored.value[i] = it->control->stored.value[i];
	}
	return 0;
}

static int parse(struct control *control, struct kept_write *it)
{
	const struct span text = it->call->payload;

	if (!is_config(it)) {
		it->note = control->notes[it->id];
		return note_apply(&it->note, &control_note_kind[it->id], text.p, text.n, &it->err);
	}
	it->stored = control->stored;
	it->in_force = control->in_force;
	int r = settings_parse(&it->in_force, text.p, text.n, &it->err);
	if (r == 0)
		r = settings_parse(&it->stored, text.p, text.n, &it->err);
	return r ? r : keep_fixed(it);
}

/* Gives the first in line to a worker; those that make no sense are refused on the way. */
static void write_begin(struct control *control)
{
	while (control->first) {
		struct kept_write *it = control->first;
		int r = parse(control, it);
		if (r == 0) {
			jobs_run(control->jobs, &it->job);
			return;
		}
		take_first(control);
		refuse(it->call, -r, it->err.reason);
		free(it);
	}
}

static void write_request(struct control *control, struct control_call *call, enum note id)
{
	if (call->uid != 0 && call->uid != geteuid()) {
		refuse(call, EPERM, "it is written by root, or by the user who runs memfs");
		return;
	}
	struct kept_write *it = calloc(1, sizeof(*it));
	if (!it) {
		refuse(call, ENOMEM, "no memory");
		return;
	}
	it->job = (struct job) { .work = write_work, .done = write_done };
	it->outcome = -ECANCELED; /* unless the worker gets to it */
	it->control = control;
	it->call = call;
	it->id = id;
	bool alone = !control->first;
	*control->last = it;
	control->last = &it->next;
	if (alone)
		write_begin(control);
}

void control_handle(void *ctx, struct control_call *call)
{
	struct control *control = ctx;
	switch (call->op) {
	case CONTROL_OP_MEASURE:
		measure_request(control->inquiries, call);
		break;
	case CONTROL_OP_FILE:
		if (call->payload.n > sizeof(LEAK_FILES) - 1 &&
			!memcmp(call->payload.p, LEAK_FILES, sizeof(LEAK_FILES) - 1))
			leak_files_request(control->leaks, control->inquiries, call);
		else
			pid_files_request(control->inquiries, call);
		break;
	case CONTROL_OP_LEAK_TRACE:
		leaks_set_trace(control->leaks, control->inquiries, call);
		break;
	case CONTROL_OP_LEAK_MIN_AGE:
		leaks_set_min_age(control->leaks, control->inquiries, call);
		break;
	case CONTROL_OP_LEAK_COUNT:
		leaks_count_soon(control->leaks, call);
		break;
	case CONTROL_OP_LEAKS:
		leaks_answer_all(control->leaks, call);
		break;
	case CONTROL_OP_LEAKS_OF:
		leaks_answer_group(control->leaks, call);
		break;
	case CONTROL_OP_RESET_PEAK:
		pid_files_reset_peak(control->inquiries, call);
		break;
	case CONTROL_OP_CONFIG:
		write_request(control, call, N_NOTES);
		break;
	default:
		if (control_note(call->op) < N_NOTES)
			write_request(control, call, control_note(call->op));
		else
			refuse(call, EOPNOTSUPP, "this collector does not know the operation");
	}
}
