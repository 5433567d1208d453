/* SPDX-License-Identifier: MIT */
/*
 * A level is its rows, and where it has none (the open minute or hour, and what an earlier version packed)
 * what the level below makes of it. A unit of which the journal still speaks is always made anew: after a
 * restart or a clock that went back its row is older than the journal.
 */
#include "schema/history/history.h"
#include "schema/base/array.h"
#include "schema/base/cleanup.h"
#include "schema/history/history_seconds.h"

#include <errno.h>
#include <string.h>

int history_column_metric(const struct metric_list *list, unsigned column)
{
	for (unsigned i = 0; i < list->n; i++) {
		if (list->rows[i].where & METRIC_HISTORY && column-- == 0)
			return (int)i;
	}
	return -1;
}

unsigned history_columns(const struct metric_list *list)
{
	unsigned n = 0;

	for (unsigned i = 0; i < list->n; i++)
		n += (list->rows[i].where & METRIC_HISTORY) != 0;
	return n;
}

/* --- rows, with those that are not written --- */

struct units {
	struct store_unit *unit;
	size_t n, cap;
};

struct rows {
	const struct units *units;
	size_t next;
	struct level_row base; /* stands until another row */
	bool has_base;
	int64_t base_unit;
	history_row_fn *fn;
	void *ctx;
};

static int on_unit(void *ctx, const struct store_unit *unit)
{
	struct units *units = ctx;

	struct store_unit *put = array_push(&units->unit, &units->n, &units->cap);

	if (!put)
		return -ENOMEM;
	put->unit = unit->unit;
	put->since = unit->since;
	put->row.samples = unit->row.samples;
	return 0;
}

static int on_node_row(void *ctx, const struct store_unit *unit)
{
	struct rows *rows = ctx;

	return rows->fn(rows->ctx, unit->unit, &unit->row);
}

/* The node's units before `unit`: what the last row says of them. */
static int stand(struct rows *rows, int64_t unit)
{
	int r = 0;

	for (; !r && rows->next < rows->units->n && rows->units->unit[rows->next].unit < unit; rows->next++) {
		const struct store_unit *at = &rows->units->unit[rows->next];

		if (rows->base_unit < at->since)
			rows->has_base = false;
		rows->base.samples = at->row.samples;
		r = rows->fn(rows->ctx, at->unit, rows->has_base ? &rows->base : NULL);
	}
	return r;
}

static int on_process_row(void *ctx, const struct store_unit *unit)
{
	struct rows *rows = ctx;
	int r = stand(rows, unit->unit);

	if (r)
		return r;
	rows->base = unit->row;
	rows->base_unit = unit->unit;
	rows->has_base = !unit->row.ended;
	/* A row of a unit that the node has not got is one that is not complete yet. */
	if (rows->next < rows->units->n && rows->units->unit[rows->next].unit == unit->unit) {
		rows->next++;
		r = rows->fn(rows->ctx, unit->unit, unit->row.samples ? &unit->row : NULL);
	}
	return r;
}

int history_each_row(struct store *store, int64_t subject, enum level level, int64_t from, int64_t to,
	history_row_fn *fn, void *ctx)
{
	struct units units = { 0 };
	struct rows rows = { .units = &units, .fn = fn, .ctx = ctx };
	struct store_unit before;
	int r;

	if (subject == HISTORY_NODE)
		return store_each_level(store, level, subject, from, to, on_node_row, &rows);
	r = store_each_unit(store, level, from, to, on_unit, &units);
	if (!r && units.n) {
		r = store_last_level(
			store, level, subject, units.unit[0].since, units.unit[0].unit - 1, &before);
		if (!r) {
			rows.base = before.row;
			rows.base_unit = before.unit;
			rows.has_base = !before.row.ended;
		}
		if (!r || r == STORE_ABSENT)
			r = store_each_level(
				store, level, subject, units.unit[0].unit, to, on_process_row, &rows);
		if (!r)
			r = stand(&rows, INT64_MAX);
	}
	free(units.unit);
	return r;
}

/* --- a level --- */

struct walk {
	struct store *store;
	int64_t subject;
	uint64_t counters;
	struct history_seconds seconds;
};

/* One level of the walk: units of it are handed to fn. */
struct floor {
	struct walk *walk;
	enum level level;
	int64_t next; /* unit: all before are handed out */
	history_fn *fn;
	void *ctx;
};

static int walk_floor(
	struct walk *walk, enum level level, int64_t from, int64_t to, history_fn *fn, void *ctx);

/* Points of the level below, summed by unit. */
struct gather {
	const struct floor *floor;
	int64_t unit;
	struct level_sum sum;
};

static int hand_out(const struct floor *floor, int64_t unit, const struct level_row *row)
{
	struct history_point point = { unit * level_seconds[floor->level], row->samples, row->present,
		row->value, row->max };

	return floor->fn(floor->ctx, &point);
}

static int gather_end(struct gather *gather)
{
	struct level_row row;

	if (!gather->sum.samples)
		return 0;
	level_sum_row(&row, &gather->sum, gather->floor->walk->counters);
	level_sum_init(&gather->sum);
	return hand_out(gather->floor, gather->unit, &row);
}

static int on_point(void *ctx, const struct history_point *point)
{
	struct gather *gather = ctx;
	int64_t unit = level_unit(gather->floor->level, point->time_s);
	int r = unit == gather->unit ? 0 : gather_end(gather);

	gather->unit = unit;
	level_sum_add(&gather->sum, point->samples, point->present, point->value, point->max);
	return r;
}

/* Units without a row of their own, from the level below. */
static int fill(struct floor *floor, int64_t from, int64_t to)
{
	enum level below = floor->level - 1;
	int64_t each = level_seconds[floor->level] / level_seconds[below];
	struct gather gather = { .floor = floor, .unit = from };
	int r;

	if (from > to)
		return 0;
	level_sum_init(&gather.sum);
	r = walk_floor(floor->walk, below, from * each, to * each + each - 1, on_point, &gather);
	return r ? r : gather_end(&gather);
}

static int on_row(void *ctx, int64_t unit, const struct level_row *row)
{
	struct floor *floor = ctx;
	int64_t minutes = level_seconds[floor->level] / 60;
	int r = fill(floor, floor->next, unit - 1);

	floor->next = unit + 1;
	if (r)
		return r;
	if (history_seconds_touch(&floor->walk->seconds, unit * minutes, unit * minutes + minutes - 1))
		return fill(floor, unit, unit);
	return row ? hand_out(floor, unit, row) : 0;
}

static int walk_floor(
	struct walk *walk, enum level level, int64_t from, int64_t to, history_fn *fn, void *ctx)
{
	struct floor floor = { .walk = walk, .level = level, .next = from, .fn = fn, .ctx = ctx };
	int r;

	if (level == LEVEL_SECONDS)
		return history_seconds_each(&walk->seconds, from, to, fn, ctx);
	r = history_each_row(walk->store, walk->subject, level, from, to, on_row, &floor);
	return r ? r : fill(&floor, floor.next, to);
}

/* Where the arithmetic of minutes and seconds ends: some years beyond the calendar's. */
enum { TIME_MAX_BITS = 40 };
static int64_t bound(int64_t time_s)
{
	const int64_t max = INT64_C(1) << TIME_MAX_BITS;

	return time_s > max ? max : time_s < -max ? -max : time_s;
}

int history_each(struct store *store, int64_t subject, enum level level, int64_t from_s, int64_t to_s,
	history_fn *fn, void *ctx)
{
	struct walk walk = { .store = store, .subject = subject };
	struct level_columns columns;
	int64_t from = level_unit(level, bound(from_s)), to = level_unit(level, bound(to_s));
	int64_t seconds = level_seconds[level];
	int r;

	if (from_s > to_s)
		return 0;
	level_columns_init(&columns, subject == HISTORY_NODE ? &system_metrics : &process_metrics);
	walk.counters = columns.counters;
	r = store_snapshot_begin(store);
	if (r)
		return r;
	r = history_seconds_init(&walk.seconds, store, subject, level_unit(LEVEL_MINUTES, from * seconds),
		level_unit(LEVEL_MINUTES, to * seconds + seconds - 1));
	if (!r)
		r = walk_floor(&walk, level, from, to, fn, ctx);
	history_seconds_deinit(&walk.seconds);
	store_snapshot_end(store);
	return r;
}
