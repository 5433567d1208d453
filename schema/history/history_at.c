/* SPDX-License-Identifier: MIT */
/*
 * Everything at an instant. All subjects are sampled in the same seconds, so the second is looked for in what
 * the node has, and who has a sample in it lived. Ticks of the journal are followed for all subjects at once.
 */
#include "schema/history/history.h"
#include "schema/base/array.h"
#include "schema/base/cleanup.h"
#include "schema/history/pack.h"

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
	unsigned second; /* of the minute */
};

/* What is known of a subject that lived; processes come by subject. */
static int put(struct collecting *collecting, int64_t subject, uint64_t present, const uint64_t *value)
{
	struct history_moment *moment = collecting->moment;

	if (subject == HISTORY_NODE) {
		moment->present = present & ((UINT64_C(1) << N_SYSTEM_COLUMNS) - 1);
		for (unsigned c = 0; c < N_SYSTEM_COLUMNS; c++)
			moment->value[c] = moment->present >> c & 1 ? value[c] : 0;
		return 0;
	}
	struct history_process *process = array_push(&moment->process, &moment->n, &collecting->cap);
	if (!process)
		return -ENOMEM;
	process->subject = subject;
	process->present = present & ((UINT64_C(1) << N_PROCESS_COLUMNS) - 1);
	for (unsigned c = 0; c < N_PROCESS_COLUMNS; c++)
		process->value[c] = process->present >> c & 1 ? value[c] : 0;
	return 0;
}

struct naming {
	struct history_moment *moment;
	size_t at, named;
};

static int on_subject(void *ctx, const struct store_subject *subject)
{
	struct naming *naming = ctx;
	struct history_process *all = naming->moment->process, *process = &all[naming->named];

	while (all[naming->at].subject != subject->id)
		naming->at++;
	if (naming->at != naming->named)
		*process = all[naming->at];
	naming->at++;
	naming->named++;
	process->boot = subject->boot;
	process->pid = subject->pid;
	process->uid = subject->uid;
	process->start_ticks = subject->start_ticks;
	process->start_s = subject->start_s;
	snprintf(process->comm, sizeof(process->comm), "%s", subject->comm);
	return 0;
}

/* Who they were. One without a row of its own (deleted since) is left out. */
static int name_processes(struct collecting *collecting)
{
	struct history_moment *moment = collecting->moment;
	struct naming naming = { .moment = moment };
	CLEANUP_FREE int64_t *ids = moment->n ? calloc(moment->n, sizeof(*ids)) : NULL;
	int r;

	if (!moment->n)
		return 0;
	if (!ids)
		return -ENOMEM;
	for (size_t i = 0; i < moment->n; i++)
		ids[i] = moment->process[i].subject;
	r = store_each_subject_of(collecting->store, ids, moment->n, on_subject, &naming);
	moment->n = naming.named;
	return r;
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
	struct pack_follow *follow; /* by subject */
	size_t n, cap;
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
	return step == PACK_BAD ? STORE_DAMAGED : 0;
}

/* As the journal has it after its last tick of that second. */
static int at_tick(struct collecting *collecting, int64_t minute, int64_t last_seq)
{
	struct following following = { 0 };
	int r = store_each_journal(collecting->store, minute, minute, last_seq, on_tick, &following);

	for (size_t i = 0; !r && i < following.n; i++) {
		const struct pack_follow *follow = &following.follow[i];

		if (follow->alive)
			r = put(collecting, follow->subject, follow->present, follow->value);
	}
	free(following.follow);
	return r;
}

static int on_minute(void *ctx, int64_t subject, const void *blob, size_t len)
{
	struct collecting *collecting = ctx;
	uint64_t value[PACK_METRICS_MAX], present;

	switch (pack_minute_at(blob, len, collecting->second, &present, value)) {
	case PACK_SAMPLE:
		return put(collecting, subject, present, value);
	case PACK_NONE:
		return 0;
	default:
		return STORE_DAMAGED;
	}
}

static int at_second(struct collecting *collecting, int64_t time_s)
{
	int64_t minute = level_unit(LEVEL_MINUTES, time_s), seq;
	int r = store_last_journal(collecting->store, time_s, &seq);

	collecting->moment->level = LEVEL_SECONDS;
	collecting->moment->time_s = time_s;
	collecting->moment->samples = 1;
	collecting->second = (unsigned)(time_s - minute * 60);
	/* A tick names all who lived: what is packed of its second says nothing new. */
	if (!r)
		return at_tick(collecting, minute, seq);
	return r == STORE_ABSENT ? store_each_of_minute(collecting->store, minute, on_minute, collecting) : r;
}

/* --- minutes and hours --- */

/* Whose row is to be read. */
struct listed {
	int64_t subject, unit;
};
struct list {
	struct listed *listed;
	size_t n, cap;
};

/* Each subject's last row since the rows that name every process. */
struct listing {
	struct list last, unit,
		spare; /* each by subject: of the units before, of this one, and room to merge */
};

static bool list_put(struct list *list, const struct listed *listed)
{
	struct listed *place = array_push(&list->listed, &list->n, &list->cap);

	if (place)
		*place = *listed;
	return place;
}

/* What is listed of a unit takes the place of what was before. */
static int merge(struct listing *listing)
{
	const struct list *last = &listing->last, *unit = &listing->unit;
	struct list merged = listing->spare;
	bool fine = true;

	merged.n = 0;
	for (size_t i = 0, k = 0; fine && (i < last->n || k < unit->n);) {
		const struct listed *old = i < last->n ? &last->listed[i] : NULL;
		const struct listed *new = k < unit->n ? &unit->listed[k] : NULL;

		if (old && new && old->subject == new->subject)
			i++;
		if (new && (!old || new->subject <= old->subject))
			fine = list_put(&merged, &unit->listed[k++]);
		else
			fine = list_put(&merged, &last->listed[i++]);
	}
	listing->spare = listing->last;
	listing->last = merged;
	listing->unit.n = 0;
	return fine ? 0 : -ENOMEM;
}

static int on_listed(void *ctx, int64_t subject, int64_t unit)
{
	struct listing *listing = ctx;
	struct listed listed = { subject, unit };
	int r = 0;

	if (listing->unit.n && listing->unit.listed->unit != unit)
		r = merge(listing);
	if (!r && !list_put(&listing->unit, &listed))
		r = -ENOMEM;
	return r;
}

struct putting {
	struct collecting *collecting;
	int64_t subject, unit; /* unit: that is asked for */
};

static int on_row(void *ctx, const struct store_unit *unit)
{
	const struct putting *putting = ctx;

	if (!unit->row.samples || (unit->row.ended && unit->unit < putting->unit))
		return 0;
	return put(putting->collecting, putting->subject, unit->row.present, unit->row.value);
}

static int put_listed(struct collecting *collecting, enum level level, int64_t unit, const struct list *list)
{
	int r = 0;

	for (size_t i = 0; !r && i < list->n; i++) {
		const struct listed *listed = &list->listed[i];
		struct putting putting = { collecting, listed->subject, unit };

		r = store_each_level(collecting->store, level, listed->subject, listed->unit, listed->unit,
			on_row, &putting);
	}
	return r;
}

struct unit_row {
	struct store_unit unit;
	bool found;
};

static int on_node_row(void *ctx, const struct store_unit *unit)
{
	struct unit_row *row = ctx;

	row->unit = *unit;
	row->found = true;
	return 0;
}

/* ABSENT where the node has no row of that unit. */
static int at_unit(struct collecting *collecting, enum level level, int64_t unit)
{
	struct unit_row node = { .found = false };
	struct listing listing = { 0 };
	int r = store_each_level(collecting->store, level, HISTORY_NODE, unit, unit, on_node_row, &node);

	if (r || !node.found)
		return r ? r : STORE_ABSENT;
	collecting->moment->level = level;
	collecting->moment->time_s = unit * level_seconds[level];
	collecting->moment->samples = node.unit.row.samples;
	r = put(collecting, HISTORY_NODE, node.unit.row.present, node.unit.row.value);
	if (!r)
		r = store_each_level_subject(
			collecting->store, level, node.unit.since, unit, on_listed, &listing);
	if (!r)
		r = merge(&listing);
	if (!r)
		r = put_listed(collecting, level, unit, &listing.last);
	free(listing.last.listed);
	free(listing.unit.listed);
	free(listing.spare.listed);
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
static int finish(struct collecting *collecting, int r, struct history_moment *ret_moment)
{
	struct history_moment *moment = collecting->moment;

	if (!r)
		r = name_processes(collecting);
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
	r = finish(&collecting, at(&collecting, time_s), ret_moment);
	store_snapshot_end(store);
	return r;
}

int history_at_unit(struct store *store, enum level level, int64_t unit, struct history_moment *ret_moment)
{
	struct history_moment moment = { 0 };
	struct collecting collecting = { .store = store, .moment = &moment };

	return finish(&collecting, at_unit(&collecting, level, unit), ret_moment);
}
