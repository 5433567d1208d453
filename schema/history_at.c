/* SPDX-License-Identifier: MIT */
/*
 * Everything at an instant. All subjects are sampled in the same seconds, so the second is looked for in what
 * the node has, and who has a sample in it lived. Ticks of the journal are followed for all subjects at once.
 */
#include "schema/history.h"
#include "schema/base/array.h"
#include "schema/base/cleanup.h"
#include "schema/pack.h"

#include <errno.h>
#include <string.h>

enum { REACH_S = 60 }; /* what a second is taken for that has no sample of its own */

void history_moment_deinit(struct history_moment *moment)
{
	free(moment->process);
	*moment = (struct history_moment) { 0 };
}

/* --- who lived --- */

struct collecting {
	struct store *store;
	struct history_moment *moment;
	size_t cap;
	int64_t subject; /* being looked up */
	uint64_t present;
	const uint64_t *value;
	unsigned second; /* of the minute */
	struct pack_minute minute;
};

static int on_subject(void *ctx, const struct store_subject *subject)
{
	struct collecting *collecting = ctx;
	struct history_moment *moment = collecting->moment;

	struct history_process *process = array_push(&moment->process, &moment->n, &collecting->cap);

	if (!process)
		return -ENOMEM;
	*process = (struct history_process) {
		.subject = subject->id,
		.boot = subject->boot,
		.pid = subject->pid,
		.uid = subject->uid,
		.start_ticks = subject->start_ticks,
		.start_s = subject->start_s,
		.present = collecting->present & ((UINT64_C(1) << N_PROCESS_COLUMNS) - 1),
	};
	snprintf(process->comm, sizeof(process->comm), "%s", subject->comm);
	for (unsigned c = 0; c < N_PROCESS_COLUMNS; c++)
		process->value[c] = process->present >> c & 1 ? collecting->value[c] : 0;
	return 0;
}

/* A subject that lived, with its values. One without a row of its own (deleted since) is left out. */
static int put(struct collecting *collecting, int64_t subject, uint64_t present, const uint64_t *value)
{
	struct history_moment *moment = collecting->moment;

	collecting->present = present;
	collecting->value = value;
	if (subject != HISTORY_NODE) {
		int r = store_get_subject(collecting->store, subject, on_subject, collecting);
		return r == STORE_ABSENT ? 0 : r;
	}
	moment->present = present & ((UINT64_C(1) << N_SYSTEM_COLUMNS) - 1);
	for (unsigned c = 0; c < N_SYSTEM_COLUMNS; c++)
		moment->value[c] = moment->present >> c & 1 ? value[c] : 0;
	return 0;
}

/* --- seconds --- */

struct newest {
	int64_t time_s;
	bool found;
};

static int on_second(void *ctx, const struct history_point *point)
{
	struct newest *newest = ctx;

	newest->time_s = point->time_s;
	newest->found = true;
	return 0;
}

/* All subjects through the ticks of a minute. */
struct following {
	int64_t time_s;
	struct pack_follow *follow; /* by subject */
	size_t n, cap;
	struct pack_follow *then; /* as they were at time_s */
	size_t n_then;
	bool found;
};

static struct pack_follow *follow_of(struct following *following, size_t *at, int64_t subject)
{
	while (*at < following->n && following->follow[*at].subject < subject)
		++*at;
	if (*at < following->n && following->follow[*at].subject == subject)
		return &following->follow[*at];
	struct pack_follow *place = array_insert(&following->follow, &following->n, &following->cap, *at);
	if (place)
		*place = (struct pack_follow) { .subject = subject };
	return place;
}

static int keep_then(struct following *following)
{
	free(following->then);
	following->then = calloc(following->n + 1, sizeof(*following->then));
	if (!following->then)
		return -ENOMEM;
	memcpy(following->then, following->follow, following->n * sizeof(*following->then));
	following->n_then = following->n;
	following->found = true;
	return 0;
}

static int on_tick(void *ctx, int64_t seq, int64_t time_ns, const void *blob, size_t len)
{
	struct following *following = ctx;
	struct pack_cursor cursor;
	struct pack_change change;
	enum pack_step step;
	size_t at = 0;

	if (!pack_tick_open(&cursor, blob, len))
		return STORE_DAMAGED;
	if (cursor.key)
		following->n = 0;
	while ((step = pack_tick_next(&cursor, &change)) == PACK_ENTRY) {
		struct pack_follow *follow = follow_of(following, &at, change.subject);

		if (!follow)
			return -ENOMEM;
		if (!pack_follow_apply(follow, &change))
			return STORE_DAMAGED;
	}
	if (step == PACK_BAD)
		return STORE_DAMAGED;
	return level_unit(LEVEL_SECONDS, time_ns / 1000000000) == following->time_s ? keep_then(following)
										    : 0;
}

static int on_minute(void *ctx, int64_t number, const void *blob, size_t len)
{
	struct collecting *collecting = ctx;
	struct pack_minute *minute = &collecting->minute;
	uint64_t value[PACK_METRICS_MAX], present = 0;

	if (!pack_minute_decode(minute, blob, len))
		return STORE_DAMAGED;
	if (!(minute->seconds >> collecting->second & 1))
		return 0;
	for (unsigned m = 0; m < minute->n_metrics; m++) {
		if (minute->present[m] >> collecting->second & 1) {
			present |= UINT64_C(1) << m;
			value[m] = minute->value[m][collecting->second];
		}
	}
	return put(collecting, collecting->subject, present, value);
}

static int on_packed(void *ctx, int64_t subject, int64_t minute)
{
	struct collecting *collecting = ctx;

	collecting->subject = subject;
	return store_each_minute(collecting->store, subject, minute, minute, on_minute, collecting);
}

static int at_second(struct collecting *collecting, int64_t time_s)
{
	struct following following = { .time_s = time_s };
	int64_t minute = level_unit(LEVEL_MINUTES, time_s);
	int r = store_each_journal(collecting->store, minute, minute, INT64_MAX, on_tick, &following);

	collecting->moment->level = LEVEL_SECONDS;
	collecting->moment->time_s = time_s;
	collecting->moment->samples = 1;
	collecting->second = (unsigned)(time_s - minute * 60);
	for (size_t i = 0; !r && i < following.n_then; i++) {
		if (following.then[i].alive)
			r = put(collecting, following.then[i].subject, following.then[i].present,
				following.then[i].value);
	}
	/* A tick names all who lived: what is packed of its second says nothing new. */
	if (!r && !following.found)
		r = store_each_level_subject(
			collecting->store, LEVEL_SECONDS, minute, minute, on_packed, collecting);
	free(following.follow);
	free(following.then);
	return r;
}

/* --- minutes and hours --- */

struct listed {
	int64_t subject, unit;
};
struct list {
	struct listed *listed;
	size_t n, cap;
};

static int on_listed(void *ctx, int64_t subject, int64_t unit)
{
	struct list *list = ctx;

	struct listed *listed = array_push(&list->listed, &list->n, &list->cap);

	if (!listed)
		return -ENOMEM;
	*listed = (struct listed) { subject, unit };
	return 0;
}

static int by_subject(const void *a, const void *b)
{
	const struct listed *x = a, *y = b;

	if (x->subject != y->subject)
		return x->subject < y->subject ? -1 : 1;
	return (x->unit > y->unit) - (x->unit < y->unit);
}

struct unit_row {
	struct store_unit unit;
	bool found;
};

static int on_row(void *ctx, const struct store_unit *unit)
{
	struct unit_row *row = ctx;

	row->unit = *unit;
	row->found = true;
	return 0;
}

/* Each subject's last row since the rows that name every process. */
static int put_listed(struct collecting *collecting, enum level level, int64_t unit, struct list *list)
{
	int r = 0;

	qsort(list->listed, list->n, sizeof(*list->listed), by_subject);
	for (size_t i = 0; !r && i < list->n; i++) {
		const struct listed *listed = &list->listed[i];
		struct unit_row row = { .found = false };

		if (i + 1 < list->n && listed[1].subject == listed->subject)
			continue;
		r = store_each_level(
			collecting->store, level, listed->subject, listed->unit, listed->unit, on_row, &row);
		if (r || !row.found || !row.unit.row.samples || (row.unit.row.ended && row.unit.unit < unit))
			continue;
		r = put(collecting, listed->subject, row.unit.row.present, row.unit.row.value);
	}
	return r;
}

/* ABSENT where the node has no row of that unit. */
static int at_unit(struct collecting *collecting, enum level level, int64_t unit)
{
	struct unit_row node = { .found = false };
	struct list list = { 0 };
	int r = store_each_level(collecting->store, level, HISTORY_NODE, unit, unit, on_row, &node);

	if (r || !node.found)
		return r ? r : STORE_ABSENT;
	collecting->moment->level = level;
	collecting->moment->time_s = unit * level_seconds[level];
	collecting->moment->samples = node.unit.row.samples;
	r = put(collecting, HISTORY_NODE, node.unit.row.present, node.unit.row.value);
	if (!r)
		r = store_each_level_subject(
			collecting->store, level, node.unit.since, unit, on_listed, &list);
	if (!r)
		r = put_listed(collecting, level, unit, &list);
	free(list.listed);
	return r;
}

/* --- which --- */

static int newest_of(struct store *store, int64_t from_s, int64_t to_s, int64_t *ret_time_s)
{
	struct newest newest = { .found = false };
	int r = history_each(store, HISTORY_NODE, LEVEL_SECONDS, from_s, to_s, on_second, &newest);

	if (r)
		return r;
	if (!newest.found)
		return STORE_ABSENT;
	*ret_time_s = newest.time_s;
	return STORE_OK;
}

int history_newest(struct store *store, int64_t *ret_time_s)
{
	int64_t seq, time_ns, unit;
	int r = store_newest_journal(store, &seq, &time_ns);

	if (!r)
		*ret_time_s = time_ns / 1000000000;
	if (r != STORE_ABSENT)
		return r;
	r = store_newest_unit(store, LEVEL_SECONDS, &unit);
	if (!r)
		return newest_of(store, unit * 60, unit * 60 + 59, ret_time_s);
	for (enum level level = LEVEL_MINUTES; r == STORE_ABSENT && level < N_LEVELS; level++) {
		r = store_newest_unit(store, level, &unit);
		if (!r)
			*ret_time_s = unit * level_seconds[level];
	}
	return r;
}

static int at(struct collecting *collecting, int64_t time_s)
{
	struct store *store = collecting->store;
	int64_t second, oldest, minute;
	int r = time_s == HISTORY_LAST ? history_newest(store, &time_s) : STORE_OK;

	if (r)
		return r;
	r = newest_of(store, time_s - REACH_S + 1, time_s, &second);
	if (!r)
		return at_second(collecting, second);
	if (r != STORE_ABSENT)
		return r;
	/* Where a finer level is kept and has nothing, nothing was recorded. */
	minute = level_unit(LEVEL_MINUTES, time_s);
	if (!store_oldest_unit(store, LEVEL_SECONDS, &oldest) && oldest <= minute - 1)
		return STORE_ABSENT;
	r = at_unit(collecting, LEVEL_MINUTES, minute);
	if (r != STORE_ABSENT)
		return r;
	if (!store_oldest_unit(store, LEVEL_MINUTES, &oldest) && oldest <= minute)
		return STORE_ABSENT;
	return at_unit(collecting, LEVEL_HOURS, level_unit(LEVEL_HOURS, time_s));
}

static int by_pid(const void *a, const void *b)
{
	const struct history_process *x = a, *y = b;

	if (x->pid != y->pid)
		return x->pid < y->pid ? -1 : 1;
	return (x->start_ticks > y->start_ticks) - (x->start_ticks < y->start_ticks);
}

/* Hands out what was collected, or frees it. */
static int finish(struct history_moment *moment, int r, struct history_moment *ret_moment)
{
	if (r) {
		history_moment_deinit(moment);
		return r;
	}
	if (moment->n)
		qsort(moment->process, moment->n, sizeof(*moment->process), by_pid);
	*ret_moment = *moment;
	return STORE_OK;
}

int history_at(struct store *store, int64_t time_s, struct history_moment *ret_moment)
{
	struct history_moment moment = { 0 };
	struct collecting collecting = { .store = store, .moment = &moment };
	int r = store_snapshot_begin(store);

	if (r)
		return r;
	r = at(&collecting, time_s);
	store_snapshot_end(store);
	return finish(&moment, r, ret_moment);
}

int history_at_unit(struct store *store, enum level level, int64_t unit, struct history_moment *ret_moment)
{
	struct history_moment moment = { 0 };
	struct collecting collecting = { .store = store, .moment = &moment };

	return finish(&moment, at_unit(&collecting, level, unit), ret_moment);
}
