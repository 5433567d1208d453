/* SPDX-License-Identifier: MIT */
/* history/ of a node or a process: what the collector recorded, a line a second. */
#include <errno.h>

#include "fs/nodes/nodes.h"
#include "fs/view.h"
#include "schema/base/clock.h"
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

static int put_samples(struct view *view, struct store *store, const struct place *place, int64_t seconds,
	struct table *table)
{
	int64_t subject = HISTORY_NODE, now = clock_realtime_ns() / 1000000000;

	if (place->pid) {
		CLEANUP_PROCESS struct process process = PROCESS_INIT;
		int r = view_open_process(view, place, &process);
		if (r)
			return r;
		r = store_find_subject(store, place->pid, process.stat.start_ticks, &subject);
		if (r)
			return r == STORE_ABSENT ? 0 : -ENODATA; /* not recorded yet: no rows */
	}
	int r = history_each(store, subject, now - seconds, now, put_row, table);
	return r > 0 ? -ENODATA : r;
}

static int history_render(
	struct view *view, const struct place *place, const struct caller *caller, struct buf *out)
{
	struct table table = { out, place->pid ? &process_metrics : &system_metrics, 0 };
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
		r = put_samples(view, store, place, tree_node(view->tree, place)->arg, &table);
	view_return_store(view, store);
	return r;
}

const struct node history_nodes[] = {
	README,
	{ "10m", 0444, NODE_TABLE, NULL, "the last ten minutes, a line a second", .render = history_render,
		.arg = 600, .form = FORM_TABLE },
	{ 0 },
};
