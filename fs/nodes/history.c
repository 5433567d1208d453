/* SPDX-License-Identifier: MIT */
/* history/ of a node or a process, also one that ended: what the collector recorded, over any duration up to
 * now. */
#include <errno.h>
#include <string.h>

#include "fs/nodes/nodes.h"
#include "fs/view.h"
#include "schema/base/clock.h"
#include "schema/base/when.h"
#include "schema/history.h"

struct table {
	struct buf *out;
	const struct metric_list *list;
	unsigned columns;
};

static int put_row(void *ctx, int64_t time_s, uint64_t present, const uint64_t *value)
{
	const struct table *table = ctx;

	buf_put_i64(table->out, time_s);
	for (unsigned column = 0; column < table->columns; column++) {
		buf_putc(table->out, '\t');
		if (metric_has(present, column))
			metric_value_render(table->out,
				&table->list->rows[history_column_metric(table->list, column)],
				value[column]);
		else
			buf_putc(table->out, '-');
	}
	buf_putc(table->out, '\n');
	return buf_error(table->out);
}

/* Whose samples, and until when. */
struct past {
	int64_t subject, until_s;
};

static int on_ended(void *ctx, const struct store_ended *ended)
{
	*(struct past *)ctx = (struct past) { ended->subject, ended->end_ns / 1000000000 + 1 };
	return ended->subject ? 0 : STORE_ABSENT;
}

/* 0, a store_outcome (ABSENT: nothing is recorded), or -errno. */
static int find_past(struct view *view, struct store *store, const struct place *place, struct past *ret)
{
	CLEANUP_PROCESS struct process process = PROCESS_INIT;

	*ret = (struct past) { HISTORY_NODE, clock_realtime_ns() / 1000000000 };
	if (place->name != PLACE_NO_NAME)
		return store_get_ended(store, place->name, on_ended, ret);
	if (!place->pid)
		return 0;
	int r = view_open_process(view, place, &process);
	return r ? r : store_find_subject(store, place->pid, process.stat.start_ticks, &ret->subject);
}

static bool is_of_process(const struct place *place)
{
	return place->pid || place->name != PLACE_NO_NAME;
}

static int put_samples(struct view *view, struct store *store, const struct place *place, int64_t seconds,
	struct table *table)
{
	struct past past;
	int r = find_past(view, store, place, &past);

	if (!r)
		r = history_each(store, past.subject, past.until_s - seconds, past.until_s, put_row, table);
	else if (r == STORE_ABSENT)
		r = 0; /* no rows */
	return r > 0 ? -ENODATA : r;
}

static int history_render(
	struct view *view, const struct place *place, const struct caller *caller, struct buf *out)
{
	struct table table = { out, is_of_process(place) ? &process_metrics : &system_metrics, 0 };
	unsigned seconds = place->span_s ? place->span_s : tree_node(view->tree, place)->arg;
	int r = -ENODATA;

	buf_puts(out, "time");
	table.columns = history_columns(table.list);
	for (unsigned column = 0; column < table.columns; column++) {
		buf_putc(out, '\t');
		buf_puts(out, table.list->rows[history_column_metric(table.list, column)].name);
	}
	buf_putc(out, '\n');
	struct store *store = view_borrow_store(view);
	if (store)
		r = put_samples(view, store, place, seconds, &table);
	view_return_store(view, store);
	return r;
}

/* Durations that are listed nowhere are found: `17m`, `36h`. */
static int find_duration(
	struct view *view, const struct place *dir, uint16_t child_row, const char *name, struct place *ret)
{
	uint32_t span_s;

	if (!when_duration_parse((struct span) { name, strlen(name) }, &span_s) ||
		!tree_span_fits(span_s, dir->pid))
		return -ENOENT;
	*ret = *dir;
	ret->row = child_row;
	ret->span_s = span_s;
	return 0;
}

static void put_duration(struct view *view, const struct place *place, struct buf *out)
{
	when_duration_put(out, place->span_s);
}

static const struct node_list duration_list = { NULL, find_duration, 0, put_duration };

#define TABLE(duration_name, duration_s, text)                                                               \
	{                                                                                                    \
		duration_name, 0444, NODE_TABLE, NULL, text, .render = history_render, .form = FORM_TABLE,   \
							     .arg = duration_s                               \
	}

const struct node history_nodes[] = {
	README,
	TABLE("10m", 600, "the last ten minutes: time and the metrics by their names, a line a second"),
	TABLE("1h", 3600, "the last hour"),
	TABLE("1d", 86400, "the last day"),
	TABLE("30d", 30 * 86400, "the last thirty days"),
	{ NULL, 0444, NODE_TABLE, NULL, "any other time up to now: 90s 17m 36h 7d", "DURATION",
		.render = history_render, .form = FORM_TABLE, .list = &duration_list, .hidden = true },
	{ 0 },
};
