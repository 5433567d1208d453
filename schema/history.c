/* SPDX-License-Identifier: MIT */
/*
 * While a minute is being packed its samples stand in the database twice, and are the same. The journal's are
 * taken: after a restart or a jump of the clock within a minute they are the newer ones.
 */
#include "schema/history.h"
#include "schema/base/cleanup.h"
#include "schema/pack.h"

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

struct sample {
	int64_t time_s;
	uint64_t present;
	uint64_t value[PACK_METRICS_MAX];
};

struct walk {
	int64_t from_s, to_s;
	history_fn *fn;
	void *ctx;
	struct pack_follow follow;
	struct sample *sample; /* the journal's, ascending */
	size_t n, cap, next;
};

/* Ticks come nearly in order: the place is looked for from the end. */
static int sample_put(struct walk *walk, int64_t time_s)
{
	size_t at = walk->n;

	while (at && walk->sample[at - 1].time_s > time_s)
		at--;
	if (at && walk->sample[at - 1].time_s == time_s) {
		at--;
	} else {
		if (walk->n == walk->cap) {
			size_t cap = walk->cap ? 2 * walk->cap : 64;
			struct sample *sample = reallocarray(walk->sample, cap, sizeof(*sample));

			if (!sample)
				return -ENOMEM;
			walk->sample = sample;
			walk->cap = cap;
		}
		memmove(walk->sample + at + 1, walk->sample + at, (walk->n - at) * sizeof(*walk->sample));
		walk->n++;
	}
	walk->sample[at].time_s = time_s;
	walk->sample[at].present = walk->follow.present;
	memcpy(walk->sample[at].value, walk->follow.value, sizeof(walk->follow.value));
	return 0;
}

static int64_t seconds(int64_t ns)
{
	return ns / 1000000000 - (ns % 1000000000 < 0);
}

static int on_tick(void *ctx, int64_t seq, int64_t time_ns, const void *blob, size_t len)
{
	struct walk *walk = ctx;
	int64_t time_s = seconds(time_ns);

	if (!pack_tick_follow(&walk->follow, blob, len))
		return STORE_DAMAGED;
	if (!walk->follow.alive || time_s < walk->from_s || time_s > walk->to_s)
		return 0;
	return sample_put(walk, time_s);
}

/* Hands out what the journal has before time_s. */
static int drain(struct walk *walk, int64_t time_s)
{
	int r = 0;

	while (!r && walk->next < walk->n && walk->sample[walk->next].time_s < time_s) {
		const struct sample *sample = &walk->sample[walk->next++];
		r = walk->fn(walk->ctx, sample->time_s, sample->present, sample->value);
	}
	return r;
}

static int on_minute(void *ctx, int64_t number, const void *blob, size_t len)
{
	struct walk *walk = ctx;
	struct pack_minute minute;
	uint64_t value[PACK_METRICS_MAX];
	int r = 0;

	if (!pack_minute_decode(&minute, blob, len))
		return STORE_DAMAGED;
	memset(value, 0, sizeof(value));
	for (uint64_t left = minute.seconds; !r && left; left &= left - 1) {
		unsigned s = (unsigned)__builtin_ctzll(left);
		int64_t time_s = number * 60 + s;
		uint64_t present = 0;

		if (time_s < walk->from_s || time_s > walk->to_s)
			continue;
		r = drain(walk, time_s);
		if (r || (walk->next < walk->n && walk->sample[walk->next].time_s == time_s))
			continue;
		for (unsigned m = 0; m < minute.n_metrics; m++) {
			if (minute.present[m] >> s & 1) {
				present |= UINT64_C(1) << m;
				value[m] = minute.value[m][s];
			}
		}
		r = walk->fn(walk->ctx, time_s, present, value);
	}
	return r;
}

int history_each(
	struct store *store, int64_t subject, int64_t from_s, int64_t to_s, history_fn *fn, void *ctx)
{
	struct walk walk = {
		.from_s = from_s, .to_s = to_s, .fn = fn, .ctx = ctx, .follow.subject = subject
	};
	int64_t from = from_s / 60 - (from_s % 60 < 0), to = to_s / 60 - (to_s % 60 < 0);
	int r;

	if (from_s > to_s)
		return 0;
	r = store_snapshot_begin(store);
	if (r)
		return r;
	r = store_each_journal(store, from, to, INT64_MAX, on_tick, &walk);
	if (!r)
		r = store_each_minute(store, subject, from, to, on_minute, &walk);
	if (!r)
		r = drain(&walk, INT64_MAX);
	store_snapshot_end(store);
	free(walk.sample);
	return r;
}
