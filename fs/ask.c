/* SPDX-License-Identifier: MIT */
#include "fs/ask.h"

#include <string.h>

#include "fs/control_client.h"

enum { MEASURE_MS = 30000, WRITE_MS = 30000 };

#define CLEANUP_REPLY __attribute__((cleanup(control_reply_deinit)))

/* What the collector's answer means to the caller, with its words where it gave any. */
static int answer_error(const struct control_reply *reply, struct err *err)
{
	switch (reply->status) {
	case CONTROL_OK:
		return 0;
	case CONTROL_NOT_FOUND:
		return err_set(err, ENOENT, "no such object");
	case CONTROL_GONE:
		return err_set(err, ESRCH, "the process has ended");
	case CONTROL_ERROR:
		break;
	}
	return err_set(err, reply->error > 0 ? reply->error : EIO, "%.*s", (int)reply->bytes.len,
		reply->bytes.data ? reply->bytes.data : "");
}

int ask_measure(struct view *view, const struct process *process, const struct caller *caller,
	struct control_measured *ret)
{
	return ask_measure_within(
		view, process->stat.pid, process->stat.start_ticks, caller, MEASURE_MS, ret);
}

int ask_measure_within(struct view *view, uint32_t pid, uint64_t start_ticks, const struct caller *caller,
	int timeout_ms, struct control_measured *ret)
{
	CLEANUP_REPLY struct control_reply reply = CONTROL_REPLY_INIT;
	struct control_ask ask = {
		.op = CONTROL_OP_MEASURE,
		.uid = caller->uid,
		.tgid = (uint32_t)caller->pid,
		.pid = pid,
		.start_ticks = start_ticks,
		.idempotent = true,
	};
	int r = control_client_call(view->control, &ask, &reply, timeout_ms, NULL);

	if (!r)
		r = answer_error(&reply, NULL);
	if (!r && reply.bytes.len != sizeof(*ret))
		r = -EPROTO;
	if (!r)
		memcpy(ret, reply.bytes.data, sizeof(*ret));
	return r;
}

struct gathering {
	struct buf *out;
	size_t before; /* bytes that out had */
};

/* Begins again after a lost connection. */
static int gather(void *ctx, const void *bytes, size_t len, uint64_t offset, uint64_t total)
{
	struct gathering *gathering = ctx;

	if (!offset)
		gathering->out->len = gathering->before;
	if (!offset && !buf_reserve(gathering->out, total))
		return -ENOMEM;
	buf_put(gathering->out, bytes, len);
	return buf_error(gathering->out);
}

/* Fills in what every table is gathered by, asks, and leaves `out` as it was where that fails. */
static int ask_bytes(struct view *view, struct control_ask *ask, const struct caller *caller, struct buf *out)
{
	CLEANUP_REPLY struct control_reply reply = CONTROL_REPLY_INIT;
	struct gathering gathering = { out, out->len };

	ask->uid = caller->uid;
	ask->tgid = (uint32_t)caller->pid;
	ask->idempotent = true;
	ask->visit = gather;
	ask->visit_ctx = &gathering;
	int r = control_client_call(view->control, ask, &reply, MEASURE_MS, NULL);
	if (!r)
		r = answer_error(&reply, NULL);
	if (r)
		out->len = gathering.before;
	return r;
}

int ask_file(struct view *view, const struct process *process, const char *name, const struct caller *caller,
	struct buf *out)
{
	struct control_ask ask = {
		.op = CONTROL_OP_FILE,
		.pid = process->stat.pid,
		.start_ticks = process->stat.start_ticks,
		.payload = { name, strlen(name) },
	};

	return ask_bytes(view, &ask, caller, out);
}

int ask_table(struct view *view, enum control_op op, struct span payload, const struct caller *caller,
	struct buf *out)
{
	struct control_ask ask = { .op = op, .payload = payload };

	return ask_bytes(view, &ask, caller, out);
}

/* Of what is to change something. */
static int call_once(
	struct view *view, const struct control_ask *ask, const atomic_bool *cancelled, struct err *err)
{
	CLEANUP_REPLY struct control_reply reply = CONTROL_REPLY_INIT;

	switch (control_client_call(view->control, ask, &reply, WRITE_MS, cancelled)) {
	case 0:
		return answer_error(&reply, err);
	case -ECONNREFUSED:
	case -ENOENT:
		return err_set(err, ECONNREFUSED, "the collector is not running: nothing was changed");
	case -ECANCELED:
		return err_set(err, EINTR, "interrupted: read back whether it was applied");
	default:
		return err_set(
			err, ETIMEDOUT, "no answer from the collector: read back whether it was applied");
	}
}

int ask_change(struct view *view, enum control_op op, const struct process *process,
	const struct caller *caller, const char *text, size_t len, const atomic_bool *cancelled,
	struct err *err)
{
	const struct control_ask ask = {
		.op = op,
		.uid = caller->uid,
		.tgid = (uint32_t)caller->pid,
		.pid = process->stat.pid,
		.start_ticks = process->stat.start_ticks,
		.payload = { text, len },
	};

	if (len > CONTROL_PAYLOAD_MAX)
		return err_set(err, EFBIG, "a write takes at most %d bytes", CONTROL_PAYLOAD_MAX);
	return call_once(view, &ask, cancelled, err);
}

int ask_write(struct view *view, enum control_op op, const struct caller *caller, const char *text,
	size_t len, const atomic_bool *cancelled, struct err *err)
{
	const struct process nobody = PROCESS_INIT;

	return ask_change(view, op, &nobody, caller, text, len, cancelled, err);
}

int ask_act(struct view *view, enum control_op op, const struct process *process, const struct caller *caller,
	const atomic_bool *cancelled, struct err *err)
{
	return ask_change(view, op, process, caller, NULL, 0, cancelled, err);
}
