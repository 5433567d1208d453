/* SPDX-License-Identifier: MIT */
#include "collector/history/history_ended.h"
#include "schema/base/clock.h"

#include <string.h>

enum {
	/* Rows, of about a KiB each with their indexes: the brief, and the others. */
	KEPT_MAX = 20000,
	KEPT_BRIEF_MAX = 5000,
	ROW_BYTES = 1024,
	SHARE = 4, /* of the size of history: what they may have of it */
	ROWS_A_STEP = 1000,
};

static void put_number(struct buf *json, struct span name, const char *suffix, int64_t value)
{
	buf_putc(json, json->len ? ',' : '{');
	buf_putc(json, '"');
	buf_put(json, name.p, name.n);
	buf_puts(json, suffix);
	buf_puts(json, "\":");
	buf_put_i64(json, value);
}

/* NULL where nothing is known. */
static const char *end_json(struct buf *json)
{
	if (!json->len)
		return NULL;
	buf_put(json, "}", 2);
	return json->data;
}

static const char *stat_json(struct buf *json, const struct process_values *values)
{
	for (unsigned id = 0; id < process_metrics.n; id++) {
		const struct metric *metric = &process_metrics.rows[id];
		uint64_t value = values->value[id];

		if ((metric->where & METRIC_STAT) && metric_has(values->present, id))
			put_number(json, (struct span) { metric->name, strlen(metric->name) }, "",
				value > INT64_MAX ? INT64_MAX : (int64_t)value);
	}
	return end_json(json);
}

static const char *rate_json(struct buf *json, const struct board_process *last)
{
	for (unsigned i = 0; i < N_PROCESS_RATES; i++) {
		const struct metric *metric = &process_metrics.rows[metric_rate_metric(&process_metrics, i)];

		for (unsigned window = 0; window < N_WINDOWS; window++) {
			char suffix[16] = "_";

			if (last->rate[i][window] == BOARD_RATE_UNKNOWN)
				continue;
			strncat(suffix, metric_window_name[window], sizeof(suffix) - 2);
			put_number(json, metric_rate_name(metric), suffix, last->rate[i][window]);
		}
	}
	return end_json(json);
}

static int put(struct writer *writer, const struct remains *remains)
{
	const struct board_process *last = &remains->last;
	CLEANUP_BUF struct buf stat = BUF_INIT, rate = BUF_INIT;
	char state[2] = { last->state }, reason_text[REMAINS_REASON_MAX], comm_text[4 * BOARD_COMM + 1];
	struct buf reason = BUF_FIXED(reason_text), comm = BUF_FIXED(comm_text);
	struct store_ended ended = {
		.name.pid = last->pid,
		.boot = writer->boot,
		.start_ticks = last->start_ticks,
		.start_ns = last->start_ns,
		.end_ns = remains->end_ns,
		.reason = reason_text,
		.brief = remains_are_brief(remains),
		.known = STORE_ENDED_PPID | (remains->has_owner ? STORE_ENDED_UID | STORE_ENDED_GID : 0) |
			 (remains->sampled ? STORE_ENDED_THREADS : 0),
		.comm = remains->has_comm ? comm_text : NULL,
		.args = remains->args,
		.state = remains->sampled ? state : NULL,
		.ppid = last->ppid,
		.uid = last->uid,
		.gid = last->gid,
		.threads = last->threads,
	};

	end_reason_put(&reason, remains->reason);
	buf_putc(&reason, '\0');
	buf_put_escaped(&comm, last->comm, strnlen(last->comm, sizeof(last->comm)));
	buf_putc(&comm, '\0');
	if (remains->sampled) {
		ended.stat = stat_json(&stat, &last->values);
		ended.rate = rate_json(&rate, last);
	}
	int r = buf_error(&stat);
	if (!r)
		r = buf_error(&rate);
	return r ? r : store_put_ended(writer->store, &ended);
}

int writer_put_remains(struct writer *writer)
{
	int r = 0;

	if (!writer->settings.value[SETTING_ENDED_KEEP])
		return 0;
	for (size_t i = 0; !r && i < writer->remains.n; i++)
		r = put(writer, &writer->remains.remains[i]);
	return r;
}

int writer_flush_remains(struct writer *writer)
{
	int r = store_begin(writer->store);

	if (!r)
		r = writer_put_remains(writer);
	if (!r)
		r = store_commit(writer->store);
	if (r)
		store_rollback(writer->store);
	else
		remains_clear(&writer->remains);
	return r;
}

int writer_expire_remains(struct writer *writer, bool *ret_more)
{
	const uint64_t *setting = writer->settings.value;
	int64_t rows = (int64_t)setting[SETTING_HISTORY_MAX_BYTES] / SHARE / ROW_BYTES;
	int64_t keep_ns = (int64_t)setting[SETTING_ENDED_KEEP] * 1000000000;
	int64_t max[2] = { rows < KEPT_MAX ? rows : KEPT_MAX, rows / SHARE };
	int deleted = 0;
	int r = store_begin(writer->store);

	if (max[1] > KEPT_BRIEF_MAX)
		max[1] = KEPT_BRIEF_MAX;
	/* None are kept: not those that end now either. */
	int64_t before_ns = keep_ns ? clock_realtime_ns() - keep_ns : INT64_MAX;
	if (!r)
		r = store_expire_ended(writer->store, before_ns, max, ROWS_A_STEP, &deleted);
	if (!r)
		r = writer_expire_leaks(writer);
	if (!r)
		r = store_commit(writer->store);
	if (r)
		store_rollback(writer->store);
	else
		*ret_more = deleted >= ROWS_A_STEP;
	return r;
}
