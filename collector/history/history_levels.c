/* SPDX-License-Identifier: MIT */
/*
 * Where a unit is written again (a restart within it, a clock that went back), rows that stood for it and for
 * what follows without being written would change their meaning. So these are written first: the unit and the
 * one after it are anchored.
 */
#include "collector/history/history_levels.h"
#include "schema/base/array.h"
#include "schema/history/history.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SUBJECTS_A_STEP = 128, MINUTES_AN_HOUR = 60 };

static struct chain *chain_of(struct writer *writer, enum level level)
{
	return level == LEVEL_MINUTES ? &writer->minutes : &writer->hours;
}

/* --- anchoring --- */

/* Writes what only stands for a unit. One that is not there needs nothing. */
static int anchor(struct writer *writer, enum level level, int64_t unit)
{
	struct history_moment moment = { 0 };
	struct store_unit row = { .unit = unit };
	int r = history_at_unit(writer->store, level, unit, &moment);

	for (size_t i = 0; !r && i < moment.n; i++) {
		const struct history_process *process = &moment.process[i];

		r = store_last_level(writer->store, level, process->subject, unit, unit, &row);
		if (r != STORE_ABSENT)
			continue;
		/* What stands for others has one value throughout. */
		row.unit = unit;
		row.row.samples = moment.samples;
		row.row.ended = false;
		row.row.present = process->present;
		memcpy(row.row.value, process->value, sizeof(process->value));
		memcpy(row.row.max, process->value, sizeof(process->value));
		r = store_put_level(writer->store, level, process->subject, &row);
	}
	if (!r)
		r = store_anchor_level(writer->store, level, unit);
	history_moment_deinit(&moment);
	return r == STORE_ABSENT ? STORE_OK : r;
}

static int anchor_again(struct writer *writer, enum level level, int64_t unit)
{
	int r = anchor(writer, level, unit);

	return r ? r : anchor(writer, level, unit + 1);
}

/* --- rows --- */

static int put_row(struct writer *writer, enum level level, int64_t subject, const struct level_row *row)
{
	struct store_unit unit = { .unit = chain_of(writer, level)->unit, .row = *row };

	return store_put_level(writer->store, level, subject, &unit);
}

static int put_lost(struct writer *writer, enum level level, int64_t subject)
{
	static const struct level_row gone = { .ended = true };
	int64_t lost;
	int r = 0;

	while (!r && chain_lost(chain_of(writer, level), subject, &lost))
		r = put_row(writer, level, lost, &gone);
	return r;
}

static int put_process(struct writer *writer, enum level level, int64_t subject, const struct level_row *row)
{
	static const struct level_row gone = { .ended = true };
	int r = put_lost(writer, level, subject);

	if (r || !chain_wants(chain_of(writer, level), subject, row))
		return r;
	return put_row(writer, level, subject, row->samples ? row : &gone);
}

static int put_node(struct writer *writer, enum level level, const struct level_row *row)
{
	struct chain *chain = chain_of(writer, level);
	struct store_unit unit = { .unit = chain->unit, .since = chain->since, .row = *row };
	int r = put_lost(writer, level, INT64_MAX);

	return r || !unit.row.samples ? r : store_put_level(writer->store, level, HISTORY_NODE, &unit);
}

/* --- minutes --- */

int levels_begin(struct writer *writer, const struct pack_minute *node)
{
	int r = 0;

	level_of_minute(&writer->node_minute, node, writer->node_counters);
	if (!writer->minute_is_new)
		r = anchor_again(writer, LEVEL_MINUTES, writer->packing_minute);
	chain_begin(&writer->minutes, writer->packing_minute, writer->node_minute.samples,
		!writer->minute_is_new);
	return r;
}

int levels_put(struct writer *writer, int64_t subject, const struct pack_minute *minute, bool alive)
{
	struct level_row row;

	level_of_minute(&row, minute, writer->minutes.counters);
	row.ended = !alive;
	return put_process(writer, LEVEL_MINUTES, subject, &row);
}

int levels_finish(struct writer *writer)
{
	int64_t hour = level_unit(LEVEL_HOURS, writer->packing_minute * 60);

	/* What is summed of it already is not all of it. */
	if (writer->summing && hour == writer->hour)
		writer->summing = false;
	int r = put_node(writer, LEVEL_MINUTES, &writer->node_minute);

	if (!r)
		r = anchor_again(writer, LEVEL_HOURS, hour);
	return r ? r : store_open_hour(writer->store, hour);
}

void levels_packed(struct writer *writer)
{
	chain_end(&writer->minutes);
	/* One that was merged has rows of those whom this packing did not name. */
	if (!writer->minute_is_new)
		chain_break(&writer->minutes);
	writer->hours_due = true;
}

void levels_abandon(struct writer *writer)
{
	chain_break(&writer->minutes);
}

/* --- hours --- */

struct summing {
	struct level_sum sum;
	int64_t last; /* minute that the node has */
	bool there;   /* at the end of that one */
};

static int on_minute(void *ctx, int64_t minute, const struct level_row *row)
{
	struct summing *summing = ctx;

	summing->last = minute;
	summing->there = row && !row->ended;
	if (row)
		level_sum_add(&summing->sum, row->samples, row->present, row->value, row->max);
	return 0;
}

static int sum_hour(struct writer *writer, int64_t subject, struct level_row *ret_row)
{
	struct summing summing;
	int64_t first = writer->hour * MINUTES_AN_HOUR;
	uint64_t counters = subject ? writer->hours.counters : writer->node_counters;
	int r;

	level_sum_init(&summing.sum);
	summing.there = false;
	r = history_each_row(writer->store, subject, LEVEL_MINUTES, first, first + MINUTES_AN_HOUR - 1,
		on_minute, &summing);
	level_sum_row(ret_row, &summing.sum, counters);
	ret_row->ended = !summing.there;
	return r;
}

static int on_subject(void *ctx, int64_t subject, int64_t minute)
{
	struct writer *writer = ctx;

	int64_t *place = array_push(&writer->hour_subject, &writer->n_hour, &writer->hour_cap);

	if (!place)
		return -ENOMEM;
	*place = subject;
	return 0;
}

static int by_number(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Who has a row in an hour: a key minute, which each hour has at its beginning, names everyone. */
static int list_subjects(struct writer *writer)
{
	int64_t first = writer->hour * MINUTES_AN_HOUR;
	size_t kept = 0;
	int r;

	writer->n_hour = writer->at_hour = 0;
	r = store_each_level_subject(
		writer->store, LEVEL_MINUTES, first, first + MINUTES_AN_HOUR - 1, on_subject, writer);
	if (r || !writer->n_hour)
		return r;
	qsort(writer->hour_subject, writer->n_hour, sizeof(*writer->hour_subject), by_number);
	for (size_t i = 0; i < writer->n_hour; i++) {
		if (!i || writer->hour_subject[i] != writer->hour_subject[i - 1])
			writer->hour_subject[kept++] = writer->hour_subject[i];
	}
	writer->n_hour = kept;
	return 0;
}

/* Takes up the oldest hour that is over and not made. */
static int hour_begin(struct writer *writer, bool *ret_more)
{
	int64_t open = level_unit(LEVEL_HOURS, writer->last_ns / 1000000000);
	int r = store_oldest_open_hour(writer->store, open, &writer->hour);

	*ret_more = false;
	writer->hours_due = r == STORE_OK;
	if (r)
		return r == STORE_ABSENT ? 0 : r;
	r = sum_hour(writer, HISTORY_NODE, &writer->node_hour);
	if (!r)
		r = list_subjects(writer);
	if (r)
		return r;
	chain_begin(&writer->hours, writer->hour, writer->node_hour.samples, false);
	writer->summing = *ret_more = true;
	return 0;
}

static int hour_put(struct writer *writer)
{
	bool last;
	int r = store_begin(writer->store);

	for (int i = 0; !r && i < SUBJECTS_A_STEP && writer->at_hour < writer->n_hour; i++) {
		int64_t subject = writer->hour_subject[writer->at_hour++];
		struct level_row row;

		r = sum_hour(writer, subject, &row);
		if (!r)
			r = put_process(writer, LEVEL_HOURS, subject, &row);
	}
	last = writer->at_hour == writer->n_hour;
	if (!r && last)
		r = put_node(writer, LEVEL_HOURS, &writer->node_hour);
	if (!r && last)
		r = store_close_hour(writer->store, writer->hour);
	if (!r)
		r = store_commit(writer->store);
	if (r)
		store_rollback(writer->store);
	else if (last)
		chain_end(&writer->hours);
	/* On failure the hour is made again, from its minutes. */
	writer->summing = !r && !last;
	return r;
}

int levels_step(struct writer *writer, bool *ret_more)
{
	*ret_more = false;
	if (!writer->summing)
		return writer->hours_due ? hour_begin(writer, ret_more) : 0;
	*ret_more = true;
	return hour_put(writer);
}
