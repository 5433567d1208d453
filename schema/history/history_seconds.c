/* SPDX-License-Identifier: MIT */
/*
 * While a minute is being packed its samples stand in the database twice, and are the same. The journal's are
 * taken: after a restart or a jump of the clock within a minute they are the newer ones.
 */
#include "schema/history/history_seconds.h"
#include "schema/base/array.h"
#include "schema/history/pack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* As wide as the wider list of columns. */
enum {
	COLUMNS_MAX = (int)N_SYSTEM_COLUMNS > (int)N_PROCESS_COLUMNS ? (int)N_SYSTEM_COLUMNS
								     : (int)N_PROCESS_COLUMNS
};

_Static_assert((int)COLUMNS_MAX < 64 && (int)COLUMNS_MAX <= (int)PACK_METRICS_MAX, "a mask of columns");

struct history_sample {
	int64_t time_s;
	uint64_t present;
	uint64_t value[COLUMNS_MAX];
};

struct journal {
	struct history_seconds *seconds;
	struct pack_follow follow;
};

/* Ticks come nearly in order: the place is looked for from the end. */
static int minute_put(struct history_seconds *seconds, int64_t minute)
{
	size_t at = seconds->n_minutes;

	while (at && seconds->minute[at - 1] > minute)
		at--;
	if (at && seconds->minute[at - 1] == minute)
		return 0;
	int64_t *put = array_insert(&seconds->minute, &seconds->n_minutes, &seconds->minutes_cap, at);
	if (!put)
		return -ENOMEM;
	*put = minute;
	return 0;
}

static int sample_put(struct history_seconds *seconds, int64_t time_s, const struct pack_follow *follow)
{
	size_t at = seconds->n;

	while (at && seconds->sample[at - 1].time_s > time_s)
		at--;
	struct history_sample *sample =
		at && seconds->sample[at - 1].time_s == time_s
			? &seconds->sample[at - 1]
			: array_insert(&seconds->sample, &seconds->n, &seconds->cap, at);
	if (!sample)
		return -ENOMEM;
	sample->time_s = time_s;
	/* A later version may have more columns. */
	sample->present = follow->present & ((UINT64_C(1) << COLUMNS_MAX) - 1);
	memcpy(sample->value, follow->value, sizeof(sample->value));
	return 0;
}

static int on_tick(void *ctx, int64_t seq, int64_t time_ns, const void *blob, size_t len)
{
	struct journal *journal = ctx;
	int64_t time_s = time_ns / 1000000000 - (time_ns % 1000000000 < 0);
	int r = minute_put(journal->seconds, level_unit(LEVEL_MINUTES, time_s));

	if (r)
		return r;
	if (!pack_tick_follow(&journal->follow, blob, len))
		return STORE_DAMAGED;
	return journal->follow.alive ? sample_put(journal->seconds, time_s, &journal->follow) : 0;
}

int history_seconds_init(
	struct history_seconds *seconds, struct store *store, int64_t subject, int64_t from, int64_t to)
{
	struct journal journal = { .seconds = seconds, .follow.subject = subject };

	*seconds = (struct history_seconds) { .store = store, .subject = subject };
	return store_each_journal(store, from, to, INT64_MAX, on_tick, &journal);
}

void history_seconds_deinit(struct history_seconds *seconds)
{
	free(seconds->sample);
	free(seconds->minute);
}

bool history_seconds_touch(const struct history_seconds *seconds, int64_t from, int64_t to)
{
	for (size_t i = 0; i < seconds->n_minutes; i++) {
		if (seconds->minute[i] >= from && seconds->minute[i] <= to)
			return true;
	}
	return false;
}

struct walk {
	struct history_seconds *seconds;
	int64_t from_s, to_s;
	history_fn *fn;
	void *ctx;
	struct pack_rows rows;
};

/* Hands out what the journal has before time_s. */
static int drain(struct walk *walk, int64_t time_s)
{
	struct history_seconds *seconds = walk->seconds;
	int r = 0;

	while (!r && seconds->next < seconds->n && seconds->sample[seconds->next].time_s < time_s) {
		const struct history_sample *sample = &seconds->sample[seconds->next++];
		struct history_point point = { sample->time_s, 1, sample->present, sample->value,
			sample->value };

		if (sample->time_s >= walk->from_s)
			r = walk->fn(walk->ctx, &point);
	}
	return r;
}

static int on_minute(void *ctx, int64_t number, const void *blob, size_t len)
{
	struct walk *walk = ctx;
	struct history_seconds *seconds = walk->seconds;
	struct pack_rows *rows = &walk->rows;
	uint64_t left;
	int r = 0;

	if (!pack_minute_rows(rows, blob, len))
		return STORE_DAMAGED;
	left = rows->seconds;
	for (unsigned i = 0; !r && i < rows->n; i++, left &= left - 1) {
		int64_t time_s = number * 60 + __builtin_ctzll(left);
		const uint64_t *value = rows->value + (size_t)i * rows->n_metrics;
		struct history_point point = { time_s, 1, rows->present[i], value, value };

		if (time_s < walk->from_s || time_s > walk->to_s)
			continue;
		r = drain(walk, time_s);
		if (!r && !(seconds->next < seconds->n && seconds->sample[seconds->next].time_s == time_s))
			r = walk->fn(walk->ctx, &point);
	}
	return r;
}

int history_seconds_each(
	struct history_seconds *seconds, int64_t from_s, int64_t to_s, history_fn *fn, void *ctx)
{
	struct walk
		walk; /* not initialized as a whole: its rows are large, and written before they are read */
	int r;

	walk.seconds = seconds;
	walk.from_s = from_s;
	walk.to_s = to_s;
	walk.fn = fn;
	walk.ctx = ctx;
	r = store_each_minute(seconds->store, seconds->subject, level_unit(LEVEL_MINUTES, from_s),
		level_unit(LEVEL_MINUTES, to_s), on_minute, &walk);

	if (!r)
		r = drain(&walk, to_s == INT64_MAX ? to_s : to_s + 1);
	return r;
}
