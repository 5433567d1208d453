/* SPDX-License-Identifier: MIT */
/*
 * at/TIME/: the machine and its processes as they were. A time becomes an instant when its name is looked up,
 * so what stands below `-10m` is of ten minutes before that, however long a directory is kept open. Of a
 * process that the seconds of its time have no more, its minute or hour tells.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/nodes/nodes.h"
#include "fs/render.h"
#include "fs/view.h"
#include "schema/base/clock.h"
#include "schema/base/when.h"
#include "schema/history/history.h"

enum { AT_LAST = 0 }; /* as the number of a place; others are epoch seconds */

static int find_time(
	struct view *view, const struct place *dir, uint16_t child_row, const char *name, struct place *ret)
{
	struct when when;
	int64_t time_s = AT_LAST;

	if (!when_time_parse((struct span) { name, strlen(name) }, clock_realtime_ns() / 1000000000, &when))
		return -ENOENT;
	if (when.kind != WHEN_LAST) {
		time_s = when_resolve(&when);
		if (time_s <= AT_LAST || time_s >= PLACE_NO_NAME)
			return -ENOENT;
	}
	*ret = *dir;
	ret->row = child_row;
	ret->name = (uint32_t)time_s;
	return 0;
}

static bool next_time(
	struct view *view, const struct place *dir, uint16_t child_row, uint64_t *key, struct entry *ret)
{
	if (*key)
		return false;
	*key = 1;
	ret->place = *dir;
	ret->place.row = child_row;
	ret->place.name = AT_LAST;
	strcpy(ret->name, "last");
	return true;
}

static void put_time(struct view *view, const struct place *place, struct buf *out)
{
	if (place->name == AT_LAST)
		buf_puts(out, "last");
	else
		buf_put_u64(out, place->name);
}

static const struct node_list time_list = { next_time, find_time, 0, put_time };

/* 0 or -errno: ENODATA where nothing was recorded then. */
static int read_moment(struct store *store, int64_t time_s, struct history_moment *ret_moment)
{
	int r = store ? history_at(store, time_s, ret_moment) : STORE_ABSENT;
	return r > 0 ? -ENODATA : r;
}

static int64_t time_of(const struct place *place)
{
	return place->name == AT_LAST ? HISTORY_LAST : place->name;
}

static int stat_render(
	struct view *view, const struct place *place, const struct caller *caller, struct buf *out)
{
	CLEANUP(history_moment_deinit) struct history_moment moment = { 0 };
	struct store *store = view_borrow_store(view);
	int r = read_moment(store, time_of(place), &moment);

	view_return_store(view, store);
	if (r)
		return r;
	render_key_i64(out, "time", moment.time_s);
	render_key_text(out, "level", level_name[moment.level]);
	render_key_u64(out, "processes", moment.n);
	for (unsigned column = 0; column < history_columns(&system_metrics); column++) {
		const struct metric *metric =
			&system_metrics.rows[history_column_metric(&system_metrics, column)];
		if (metric_has(moment.present, column))
			render_key_metric(out, metric->name, metric, moment.value[column]);
		else
			render_key_unknown(out, metric->name);
	}
	return 0;
}

/* --- tables: the moment, and those a minute and ten minutes before it for the rates --- */

enum { BEFORE = 2 };
static const struct {
	enum metric_window window;
	int64_t seconds;
} before[BEFORE] = { { WINDOW_1M, 60 }, { WINDOW_10M, 600 } };

struct past_source {
	struct process_source source;
	struct history_moment now, earlier[BEFORE];
	size_t at, at_earlier[BEFORE];
};

static void past_deinit(struct past_source *past)
{
	history_moment_deinit(&past->now);
	for (unsigned i = 0; i < BEFORE; i++)
		history_moment_deinit(&past->earlier[i]);
}

/* The same process at an earlier moment, or NULL. Both are ascending by pid. */
static const struct history_process *find_earlier(
	struct past_source *past, unsigned i, const struct history_process *process)
{
	const struct history_moment *earlier = &past->earlier[i];
	size_t *at = &past->at_earlier[i];

	while (*at < earlier->n && earlier->process[*at].pid < process->pid)
		(*at)++;
	for (size_t k = *at; k < earlier->n && earlier->process[k].pid == process->pid; k++) {
		if (earlier->process[k].subject == process->subject)
			return &earlier->process[k];
	}
	return NULL;
}

/* Those that the tables show: of the first metric that has rates. */
static void set_rates(
	struct past_source *past, const struct history_process *process, struct board_process *ret)
{
	unsigned metric = metric_rate_metric(&process_metrics, 0), column = 0;

	while (history_column_metric(&process_metrics, column) != (int)metric)
		column++;
	for (unsigned window = 0; window < N_WINDOWS; window++)
		ret->rate[0][window] = BOARD_RATE_UNKNOWN;
	for (unsigned i = 0; i < BEFORE; i++) {
		const struct history_process *then = find_earlier(past, i, process);
		int64_t seconds = past->now.time_s - past->earlier[i].time_s;
		if (then && seconds > 0 && metric_has(process->present & then->present, column))
			ret->rate[0][before[i].window] =
				((int64_t)process->value[column] - (int64_t)then->value[column]) / seconds;
	}
}

static bool next_past(struct process_source *source, struct board_process *ret)
{
	struct past_source *past = (struct past_source *)source;

	if (past->at == past->now.n)
		return false;
	const struct history_process *process = &past->now.process[past->at++];
	*ret = (struct board_process) { .pid = process->pid,
		.ppid = PROCESS_PPID_UNKNOWN,
		.uid = process->uid,
		.start_ticks = process->start_ticks,
		.start_ns = process->start_s * 1000000000 };
	struct buf comm = { .data = ret->comm, .cap = sizeof(ret->comm) - 1, .fixed = true };
	buf_put_unescaped(&comm, process->comm, strlen(process->comm));
	for (unsigned column = 0; column < history_columns(&process_metrics); column++) {
		if (metric_has(process->present, column))
			process_values_set(&ret->values,
				(enum process_metric)history_column_metric(&process_metrics, column),
				process->value[column]);
	}
	set_rates(past, process, ret);
	return true;
}

/* How much earlier than asked for a moment may be for a rate: as much as a window may be wrong by half. */
static void read_earlier(struct store *store, struct past_source *past)
{
	for (unsigned i = 0; i < BEFORE; i++) {
		int64_t wanted_s = past->now.time_s - before[i].seconds;
		struct history_moment *earlier = &past->earlier[i];
		if (history_at(store, wanted_s, earlier) || earlier->level != past->now.level ||
			wanted_s - earlier->time_s > before[i].seconds / 2) {
			history_moment_deinit(earlier);
			*earlier = (struct history_moment) { 0 };
		}
	}
}

static int read_past(struct view *view, const struct place *place, struct past_source *ret)
{
	struct store *store = view_borrow_store(view);
	int r = read_moment(store, time_of(place), &ret->now);

	if (!r)
		read_earlier(store, ret);
	view_return_store(view, store);
	return r;
}

static int past_processes_render(
	struct view *view, const struct place *place, const struct caller *caller, struct buf *out)
{
	CLEANUP(past_deinit) struct past_source past = { .source.next = next_past };
	int r = read_past(view, place, &past);

	if (!r)
		processes_put(&past.source, out);
	return r;
}

static int past_top_render(
	struct view *view, const struct place *place, const struct caller *caller, struct buf *out)
{
	CLEANUP(past_deinit) struct past_source past = { .source.next = next_past };
	int r = read_past(view, place, &past);

	return r ? r : processes_put_top(&past.source, tree_node(view->tree, place)->arg, out);
}

static const struct node past_top_nodes[] = {
	README,
	{ "rss", 0444, NODE_TABLE, NULL, "the 50 largest resident sets then", .render = past_top_render,
		.arg = TOP_RSS, .form = FORM_TABLE, .strings = PROCESSES_STRINGS },
	{ "swap", 0444, NODE_TABLE, NULL, "the 50 most swapped out then", .render = past_top_render,
		.arg = TOP_SWAP, .form = FORM_TABLE, .strings = PROCESSES_STRINGS },
	{ "growth", 0444, NODE_TABLE, NULL, "the 50 that grew fastest then", .render = past_top_render,
		.arg = TOP_GROWTH, .form = FORM_TABLE, .strings = PROCESSES_STRINGS },
	{ 0 },
};

static const struct node past_nodes[] = {
	README,
	{ "stat", 0444, NODE_TABLE, "bytes",
		"time level processes, then the node's metrics; level: seconds, or averages of minutes or hours",
		.render = stat_render, .form = FORM_KEYED, .strings = "level" },
	{ "processes", 0444, NODE_TABLE, "bytes", "all processes that lived then, by pid",
		.render = past_processes_render, .form = FORM_TABLE, .strings = PROCESSES_STRINGS },
	{ "top", 0555, NODE_DIR, NULL, "the largest processes then, largest first",
		.children = past_top_nodes },
	{ 0 },
};

const struct node at_nodes[] = {
	{ NULL, 0555, NODE_DIR, NULL,
		"the machine as it was: 1763712345 2026-11-20T14:00 2026-11-20T13:00Z -10m -1d last", "TIME",
		.list = &time_list, .children = past_nodes },
	README_HIDDEN,
	{ 0 },
};
