/* SPDX-License-Identifier: MIT */
/*
 * history/ of a node or a process: what the collector recorded, over any duration up to now, as a table and
 * as a picture. Short ones have a line a second, longer ones a line a minute or an hour.
 */
#include <errno.h>
#include <string.h>

#include "fs/names.h"
#include "fs/nodes/nodes.h"
#include "fs/plot/plot_metrics.h"
#include "fs/render.h"
#include "fs/view.h"
#include "schema/base/clock.h"
#include "schema/base/when.h"
#include "schema/history/history.h"

/* Whose past, and how much of it. */
struct past {
	enum level level;
	int64_t subject;
	int64_t from_s, to_s;
	uint32_t pid;                /* 0: the node */
	char comm[HISTORY_COMM + 1]; /* escaped; empty of a node */
};

static void set_comm(struct past *past, const char *escaped, size_t n)
{
	struct buf comm = BUF_FIXED(past->comm);

	buf_put(&comm, escaped, n < sizeof(past->comm) ? n : sizeof(past->comm) - 1);
	buf_putc(&comm, 0);
}

static int find_living(struct view *view, struct store *store, const struct place *place, struct past *past)
{
	CLEANUP_PROCESS struct process process = PROCESS_INIT;
	char text[4 * sizeof(process.stat.comm)];
	struct buf comm = BUF_FIXED(text);
	int r = view_open_process(view, place, &process);

	if (r)
		return r;
	past->pid = place->pid;
	buf_put_escaped(&comm, process.stat.comm, process.stat.comm_len);
	set_comm(past, text, comm.len);
	return store_find_subject(store, place->pid, process.stat.start_ticks, &past->subject);
}

static int on_ended(void *ctx, const struct store_ended *ended)
{
	struct past *past = ctx;
	int64_t seconds = past->to_s - past->from_s;

	past->pid = ended->name.pid;
	past->subject = ended->subject;
	past->to_s = ended->end_ns / 1000000000 + 1;
	past->from_s = past->to_s - seconds;
	if (ended->comm)
		set_comm(past, ended->comm, strlen(ended->comm));
	return ended->subject ? 0 : STORE_ABSENT;
}

/* 0, a store_outcome (ABSENT: nothing is recorded), or -errno. */
static int find_past(struct view *view, struct store *store, const struct place *place, struct past *ret)
{
	uint32_t seconds = place->span_s ? place->span_s : tree_node(view->tree, place)->arg;
	int64_t now_s = clock_realtime_ns() / 1000000000;
	bool ended = place->name != PLACE_NO_NAME;

	*ret = (struct past) {
		.level = level_of_duration(seconds),
		.subject = HISTORY_NODE,
		.from_s = now_s - seconds,
		.to_s = now_s,
	};
	if (!store)
		return -ENODATA;
	if (ended)
		return store_get_ended(store, place->name, on_ended, ret);
	return place->pid ? find_living(view, store, place, ret) : 0;
}

/* Hands every sample to fn. 0 or -errno; nothing recorded yet is no error. */
static int walk(
	struct view *view, const struct place *place, struct past *ret_past, history_fn *fn, void *ctx)
{
	struct store *store = view_borrow_store(view);
	int r = find_past(view, store, place, ret_past);

	if (!r)
		r = history_each(
			store, ret_past->subject, ret_past->level, ret_past->from_s, ret_past->to_s, fn, ctx);
	else if (r == STORE_ABSENT)
		r = 0;
	view_return_store(view, store);
	return r > 0 ? -ENODATA : r;
}

struct table {
	struct buf *out;
	struct level_columns columns;
};

static int put_row(void *ctx, const struct history_point *point)
{
	const struct table *table = ctx;

	buf_put_i64(table->out, point->time_s);
	for (unsigned column = 0; column < table->columns.n; column++) {
		buf_putc(table->out, '\t');
		if (metric_has(point->present, column))
			metric_value_render(table->out,
				&table->columns.list->rows[table->columns.metric[column]],
				point->value[column]);
		else
			buf_putc(table->out, '-');
	}
	buf_putc(table->out, '\n');
	return buf_error(table->out);
}

static bool is_of_process(const struct place *place)
{
	return place->pid || place->name != PLACE_NO_NAME;
}

static int history_render(
	struct view *view, const struct place *place, const struct caller *caller, struct buf *out)
{
	const struct metric_list *list = is_of_process(place) ? &process_metrics : &system_metrics;
	struct table table = { .out = out };
	struct past past;

	level_columns_init(&table.columns, list);
	buf_puts(out, "time");
	for (unsigned column = 0; column < table.columns.n; column++) {
		buf_putc(out, '\t');
		buf_puts(out, list->rows[table.columns.metric[column]].name);
	}
	buf_putc(out, '\n');
	return walk(view, place, &past, put_row, &table);
}

static int add_point(void *ctx, const struct history_point *point)
{
	return plot_metrics_add(ctx, point->time_s, point->present, point->value, point->max);
}

static void put_titles(struct view *view, const struct past *past, struct buf *title, struct buf *subtitle)
{
	if (past->pid) {
		buf_printf(title, "%s (%u)", past->comm, past->pid);
		buf_printf(subtitle, "Memory of a process of %s", view->node_name);
	} else {
		buf_puts(title, view->node_name);
		buf_puts(subtitle, "Memory of a node");
	}
	buf_putc(title, 0);
	buf_putc(subtitle, 0);
}

static int plot_row_render(
	struct view *view, const struct place *place, const struct caller *caller, struct buf *out)
{
	struct past past;
	CLEANUP_BUF struct buf title = BUF_INIT, subtitle = BUF_INIT;
	struct plot_metrics metrics;

	plot_metrics_init(&metrics, is_of_process(place) ? &process_metrics : &system_metrics);
	int r = walk(view, place, &past, add_point, &metrics);
	if (!r) {
		put_titles(view, &past, &title, &subtitle);
		r = buf_error(&title) ? buf_error(&title) : buf_error(&subtitle);
	}
	if (!r)
		plot_metrics_render(&metrics,
			(struct plot) { .title = title.data,
				.subtitle = subtitle.data,
				.from_s = past.from_s,
				.to_s = past.to_s,
				.step_s = level_seconds[past.level] },
			out);
	plot_metrics_deinit(&metrics);
	return r;
}

/* Durations that are listed nowhere are found: `17m`, `36h`, with the suffix behind them. */
static int find_span(
	const struct place *dir, uint16_t child_row, const char *name, const char *suffix, struct place *ret)
{
	size_t n = strlen(name), behind = strlen(suffix);
	uint32_t span_s;

	if (n < behind || strcmp(name + n - behind, suffix) != 0 ||
		!when_duration_parse((struct span) { name, n - behind }, &span_s) ||
		!tree_span_fits(span_s, dir->pid))
		return -ENOENT;
	*ret = *dir;
	ret->row = child_row;
	ret->span_s = span_s;
	return 0;
}

static int find_duration(
	struct view *view, const struct place *dir, uint16_t child_row, const char *name, struct place *ret)
{
	return find_span(dir, child_row, name, "", ret);
}

static int find_picture(
	struct view *view, const struct place *dir, uint16_t child_row, const char *name, struct place *ret)
{
	return find_span(dir, child_row, name, ".svg", ret);
}

static void put_duration(struct view *view, const struct place *place, struct buf *out)
{
	when_duration_put(out, place->span_s);
}

static void put_picture(struct view *view, const struct place *place, struct buf *out)
{
	when_duration_put(out, place->span_s);
	buf_puts(out, ".svg");
}

static const struct node_list duration_list = { NULL, find_duration, 0, put_duration };
static const struct node_list picture_list = { NULL, find_picture, 0, put_picture };

/* clang-format off */
#define DURATION(name, seconds, text)                                                                        \
	{ name, 0444, NODE_TABLE, NULL, text, .render = history_render, .form = FORM_TABLE, .arg = seconds }, \
	{ name ".svg", 0444, NODE_TABLE, NULL, "the same as a picture", .render = plot_row_render,           \
		.arg = seconds }
#define DURATIONS                                                                                            \
	DURATION("10m", 600, "the last ten minutes: time and the metrics by their names, a line a second"),  \
	DURATION("1h", 3600, "the last hour, a line a second"),                                              \
	DURATION("1d", 86400, "the last day: averages, a line a minute"),                                    \
	DURATION("30d", 30 * 86400, "the last thirty days: averages, a line an hour")
#define ANY_DURATION                                                                                         \
	{ NULL, 0444, NODE_TABLE, NULL, "any other time up to now: 90s 17m 36h 7d", "DURATION",              \
		.render = history_render, .form = FORM_TABLE, .list = &duration_list, .hidden = true },      \
	{ NULL, 0444, NODE_TABLE, NULL, "the same as a picture", "DURATION.svg",                             \
		.render = plot_row_render, .list = &picture_list, .hidden = true }
/* clang-format on */

const struct node history_nodes[] = {
	README,
	DURATIONS,
	ANY_DURATION,
	{ 0 },
};

const struct node system_history_nodes[] = {
	README,
	DURATIONS,
	{ "events", 0444, NODE_TABLE, NULL,
		"past events: seq time kind subject text; of a storm of starts and exits a part, and a line of kind dropped",
		.render = past_events_render, .form = FORM_TABLE, .strings = "kind subject text" },
	ANY_DURATION,
	{ 0 },
};
