/* SPDX-License-Identifier: MIT */
/*
 * A world for the recorder that can be computed: what a process was at any second is a function of its number
 * and the second, so every sample that was acknowledged can be asked for again, after whatever happened
 * between.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <pthread.h>
#include <string.h>
#include <sys/mount.h>

#include "collector/history/history.h"
#include "schema/base/clock.h"
#include "schema/history/history.h"
#include "tests/unit/scratch.h"

enum { PROCESSES = 600, BASE = 1700000000 };
#define BOOT "6f1c2c3a-0000-4000-8000-000000000001"
#define NS   INT64_C(1000000000)

/* --- the world --- */

static inline uint64_t mix(uint64_t a, uint64_t b)
{
	uint64_t h = (a + 1) * UINT64_C(0x9e3779b97f4a7c15) ^ (b + 1) * UINT64_C(0xc2b2ae3d27d4eb4f);

	h ^= h >> 29;
	h *= UINT64_C(0xbf58476d1ce4e5b9);
	return h ^ h >> 32;
}

struct being {
	bool alive;
	uint64_t start_ticks;
	struct process_values values;
};

/* The first hundred live for ever; the others come and go under the same pid. */
static inline struct being being_at(unsigned p, int64_t t)
{
	struct being being = { .alive = true, .start_ticks = 1 };
	int64_t life = 40 + (int64_t)(mix(p, 1) % 200), period = p % 3 == 0 ? 1 : p % 3 == 1 ? 13 : 100000;

	if (p >= 100) {
		int64_t age = (t - BASE + 100000 + p * 37) % life;
		being.start_ticks = (uint64_t)((t - BASE + 100000 + p * 37) / life);
		being.alive = age < life - 15;
	}
	for (unsigned m = 0; m < N_PROCESS_METRICS; m++) {
		uint64_t h = mix(p * 64 + m, (uint64_t)(t / period));

		if (h % 16 == 3 && m > 4)
			continue;
		process_values_set(&being.values, m, h % 5 ? (h >> 40) * 4096 : h);
	}
	return being;
}

static inline struct system_values system_at(int64_t t)
{
	struct system_values values = { 0 };

	for (unsigned m = 0; m < N_SYSTEM_METRICS; m++)
		system_values_set(&values, m, mix(m + 77777, (uint64_t)t) >> 20);
	return values;
}

/* What a sampler that last looked at `before` (0: never) tells at t. */
static inline struct history_tick *tick_at(unsigned processes, int64_t before, int64_t t)
{
	struct history_tick *tick = history_tick_new(2 * processes);
	size_t n = 0;

	assert_non_null(tick);
	tick->time_ns = t * NS + 5000;
	tick->system = system_at(t);
	/* Backwards: those who live for ever are then among the last to be packed, which is where a reader
	 * could lose them. */
	for (unsigned p = processes; p-- > 0;) {
		struct being now = being_at(p, t), was = being_at(p, before ? before : t);
		bool known = before && was.alive,
		     same = known && now.alive && was.start_ticks == now.start_ticks;

		if (known && !same) {
			tick->entry[n++] = (struct history_entry) {
				.pid = 1000 + p, .start_ticks = was.start_ticks, .ended = true
			};
		}
		if (!now.alive || (same && !memcmp(&was.values, &now.values, sizeof(now.values))))
			continue;
		tick->entry[n] = (struct history_entry) { .pid = 1000 + p,
			.uid = p,
			.start_ticks = now.start_ticks,
			.start_s = BASE,
			.born = !same,
			.values = now.values };
		snprintf(tick->entry[n++].comm, BOARD_COMM, "p\n%u", p);
	}
	tick->n = n;
	return tick;
}

/* --- feeding --- */

struct told {
	pthread_mutex_t mutex;
	unsigned count;
	char text[4000];
};

static inline void on_tell(void *ctx, enum board_news_kind kind, const char *text)
{
	struct told *told = ctx;

	pthread_mutex_lock(&told->mutex);
	told->count++;
	if (kind == NEWS_NODE && strlen(told->text) + strlen(text) + 2 < sizeof(told->text))
		strcat(strcat(told->text, text), "\n");
	pthread_mutex_unlock(&told->mutex);
}

/* Waits for `done` to say so, for at most 20 s. */
static inline bool until(
	bool (*done)(struct recorder *recorder, int64_t arg), struct recorder *recorder, int64_t arg)
{
	int64_t limit = clock_monotonic_ns() + 20 * NS;

	while (!done(recorder, arg)) {
		if (clock_monotonic_ns() > limit)
			return false;
		struct timespec little = { 0, 50000 };
		nanosleep(&little, NULL);
	}
	return true;
}

static inline bool is_recorded(struct recorder *recorder, int64_t time_ns)
{
	struct recorder_status status;

	recorder_status(recorder, &status);
	return status.recorded_ns == time_ns;
}

static inline bool has_dropped(struct recorder *recorder, int64_t dropped)
{
	struct recorder_status status;

	recorder_status(recorder, &status);
	return (int64_t)status.dropped >= dropped;
}

static inline void feed(struct recorder *recorder, unsigned processes, int64_t before, int64_t t)
{
	struct history_tick *tick = tick_at(processes, before, t);
	int64_t time_ns = tick->time_ns;

	recorder_put(recorder, tick);
	assert_true(until(is_recorded, recorder, time_ns));
}

static inline struct recorder *start(const struct scratch *scratch, struct told *told)
{
	struct recorder *recorder = NULL;

	assert_int_equal(recorder_start(scratch->path, BOOT, BASE - 1000, on_tell, told, &recorder), 0);
	return recorder;
}

static inline enum board_history state_of(struct recorder *recorder)
{
	struct recorder_status status;

	recorder_status(recorder, &status);
	return status.state;
}

/* --- asking --- */

enum { TIMES_MAX = 20000 };

/* The seconds that have to be there, in order; `perhaps` may be. */
struct times {
	size_t n;
	int64_t t[TIMES_MAX];
	bool perhaps[TIMES_MAX];
};

static inline void times_add(struct times *times, int64_t t, bool perhaps)
{
	assert_true(times->n < TIMES_MAX);
	times->t[times->n] = t;
	times->perhaps[times->n++] = perhaps;
}

struct asking {
	const struct times *times;
	size_t at;
	unsigned p;
	bool node;
	uint64_t start_ticks;
	const char *wrong;
	int64_t wrong_t;
};

static inline bool expects(const struct asking *asking, int64_t t)
{
	struct being being = being_at(asking->p, t);

	return asking->node || (being.alive && being.start_ticks == asking->start_ticks);
}

static inline int wrong(struct asking *asking, const char *what, int64_t t)
{
	asking->wrong = what;
	asking->wrong_t = t;
	return 99;
}

static inline int on_sample(void *ctx, const struct history_point *point)
{
	int64_t time_s = point->time_s;
	uint64_t present = point->present;
	const uint64_t *value = point->value;
	struct asking *asking = ctx;
	const struct times *times = asking->times;

	while (asking->at < times->n && times->t[asking->at] < time_s) {
		int64_t t = times->t[asking->at];
		if (!times->perhaps[asking->at] && expects(asking, t))
			return wrong(asking, "lost", t);
		asking->at++;
	}
	if (asking->at == times->n || times->t[asking->at] != time_s)
		return wrong(asking, "made up or doubled", time_s);
	asking->at++;
	if (!expects(asking, time_s))
		return wrong(asking, "sample of one that did not live", time_s);
	const struct metric_list *list = asking->node ? &system_metrics : &process_metrics;
	struct being being = being_at(asking->p, time_s);
	struct system_values node = system_at(time_s);
	for (unsigned c = 0; c < history_columns(list); c++) {
		unsigned m = (unsigned)history_column_metric(list, c);
		bool has = asking->node || metric_has(being.values.present, m);
		uint64_t expected = asking->node ? node.value[m] : being.values.value[m];

		if (metric_has(present, c) != has || (has && value[c] != expected))
			return wrong(asking, "another value", time_s);
	}
	return 0;
}

static inline void ask(struct store *store, int64_t subject, struct asking *asking)
{
	int64_t from = asking->times->t[0], to = asking->times->t[asking->times->n - 1];
	int r = history_each(store, subject, LEVEL_SECONDS, from, to, on_sample, asking);

	for (; !r && asking->at < asking->times->n; asking->at++) {
		int64_t t = asking->times->t[asking->at];
		if (!asking->times->perhaps[asking->at] && expects(asking, t))
			r = wrong(asking, "lost", t);
	}
	if (r)
		print_error("subject %" PRId64 " process %u: %d %s at %" PRId64
			    " (second %d of its minute)\n",
			subject, asking->p, r, asking->wrong ? asking->wrong : "", asking->wrong_t,
			(int)(asking->wrong_t % 60));
	assert_int_equal(r, 0);
}

/* Every incarnation that a process had at one of the times. */
static inline void ask_process(struct store *store, const struct times *times, unsigned p)
{
	uint64_t last = 0;

	for (size_t i = 0; i < times->n; i++) {
		struct being being = being_at(p, times->t[i]);
		int64_t subject;

		if (!being.alive || being.start_ticks == last || times->perhaps[i])
			continue;
		last = being.start_ticks;
		assert_int_equal(store_find_subject(store, 1000 + p, last, &subject), STORE_OK);
		struct asking asking = { .times = times, .p = p, .start_ticks = last };
		ask(store, subject, &asking);
	}
}

static inline void ask_some(
	const struct scratch *scratch, const struct times *times, unsigned processes, unsigned step)
{
	struct store *store;

	assert_int_equal(store_open_reader(scratch->path, &store, NULL), STORE_OK);
	struct asking asking = { .times = times, .node = true };
	ask(store, HISTORY_NODE, &asking);
	for (unsigned p = times->n % step; p < processes; p += step)
		ask_process(store, times, p);
	store_close(store);
}

/* --- levels: each is what the one below makes of it --- */

enum { POINTS_MAX = 8192, SUBJECTS_MAX = 1 << 17 };

struct series {
	enum level level;
	size_t n;
	struct {
		int64_t time_s;
		struct level_row row;
	} * point;
};

static inline int take_point(void *ctx, const struct history_point *point)
{
	struct series *series = ctx;
	struct level_row *row = &series->point[series->n].row;

	if (series->n == POINTS_MAX)
		return 99;
	*row = (struct level_row) { .samples = point->samples, .present = point->present };
	for (uint64_t left = point->present; left; left &= left - 1) {
		int c = __builtin_ctzll(left);
		row->value[c] = point->value[c];
		row->max[c] = point->max[c];
	}
	series->point[series->n++].time_s = point->time_s;
	return 0;
}

static inline void series_read(struct series *series, struct store *store, int64_t subject, enum level level)
{
	series->level = level;
	series->n = 0;
	assert_int_equal(history_each(store, subject, level, INT64_MIN, INT64_MAX, take_point, series), 0);
}

/* The next level, made of a series here. */
static inline void series_raise(struct series *above, const struct series *below, uint64_t counters)
{
	above->level = below->level + 1;
	above->n = 0;
	for (size_t i = 0; i < below->n;) {
		int64_t unit = level_unit(above->level, below->point[i].time_s);
		struct level_sum sum;

		level_sum_init(&sum);
		for (; i < below->n && level_unit(above->level, below->point[i].time_s) == unit; i++) {
			const struct level_row *row = &below->point[i].row;
			level_sum_add(&sum, row->samples, row->present, row->value, row->max);
		}
		struct level_row *row = &above->point[above->n].row;
		*row = (struct level_row) { 0 };
		level_sum_row(row, &sum, counters);
		above->point[above->n++].time_s = unit * level_seconds[above->level];
	}
}

static inline void series_compare(const struct series *is, const struct series *expected, int64_t subject)
{
	for (size_t i = 0; i < is->n || i < expected->n; i++) {
		const struct level_row *a = &is->point[i].row, *b = &expected->point[i].row;
		bool same = i < is->n && i < expected->n &&
			    is->point[i].time_s == expected->point[i].time_s && a->samples == b->samples &&
			    a->present == b->present && !memcmp(a->value, b->value, sizeof(a->value)) &&
			    !memcmp(a->max, b->max, sizeof(a->max));
		if (!same)
			fail_msg("subject %" PRId64 ", %s: point %zu of %zu at %" PRId64 " (%u samples), "
				 "expected of %zu at %" PRId64 " (%u samples)",
				subject, level_name[is->level], i, is->n,
				i < is->n ? is->point[i].time_s : -1, i < is->n ? a->samples : 0, expected->n,
				i < expected->n ? expected->point[i].time_s : -1,
				i < expected->n ? b->samples : 0);
	}
}

struct subjects {
	size_t n;
	int64_t id[SUBJECTS_MAX];
};

static inline int take_id(void *ctx, const struct store_subject *subject)
{
	struct subjects *subjects = ctx;

	if (subjects->n == SUBJECTS_MAX)
		return 99;
	subjects->id[subjects->n++] = subject->id;
	return 0;
}

/* Of the node and every step-th process. Where seconds are gone already: from minutes up. */
static inline void ask_levels(const struct scratch *scratch, enum level lowest, unsigned step)
{
	struct series is = { 0 }, below = { 0 }, expected = { 0 };
	struct subjects *subjects = calloc(1, sizeof(*subjects));
	struct level_columns columns;
	struct store *store;

	is.point = calloc(POINTS_MAX, sizeof(*is.point));
	below.point = calloc(POINTS_MAX, sizeof(*below.point));
	expected.point = calloc(POINTS_MAX, sizeof(*expected.point));
	assert_int_equal(store_open_reader(scratch->path, &store, NULL), STORE_OK);
	subjects->n = 1;
	assert_int_equal(store_each_subject(store, 0, NULL, INT64_MIN, take_id, subjects), STORE_OK);
	for (size_t i = 0; i < subjects->n; i += step) {
		level_columns_init(&columns, i ? &process_metrics : &system_metrics);
		series_read(&below, store, subjects->id[i], lowest);
		for (enum level level = lowest + 1; level < N_LEVELS; level++) {
			series_raise(&expected, &below, columns.counters);
			series_read(&is, store, subjects->id[i], level);
			series_compare(&is, &expected, subjects->id[i]);
			struct series spare = below;
			below = is;
			is = spare;
		}
	}
	store_close(store);
	free(is.point);
	free(below.point);
	free(expected.point);
	free(subjects);
}

static inline void check(const struct scratch *scratch)
{
	struct store *store;
	struct err err = { 0 };

	assert_int_equal(store_open_writer(scratch->path, &store, NULL), STORE_OK);
	if (store_check(store, &err))
		fail_msg("%s", err.reason);
	store_close(store);
}

/* --- a place for all that --- */

struct fixture {
	struct scratch scratch;
	struct told told;
	struct times times;
	bool mounted;
};

static inline int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	*state = fixture;
	pthread_mutex_init(&fixture->told.mutex, NULL);
	return scratch_make(&fixture->scratch);
}

static inline int teardown(void **state)
{
	struct fixture *fixture = *state;

	if (fixture->mounted)
		umount2(fixture->scratch.path, MNT_DETACH);
	scratch_remove(&fixture->scratch);
	pthread_mutex_destroy(&fixture->told.mutex);
	free(fixture);
	return 0;
}

static inline bool was_told(struct told *told, const char *part, unsigned times)
{
	unsigned n = 0;

	pthread_mutex_lock(&told->mutex);
	for (const char *at = told->text; (at = strstr(at, part)); at++)
		n++;
	pthread_mutex_unlock(&told->mutex);
	if (n != times)
		print_error("told %u times, not %u: %s\n%s", n, times, part, told->text);
	return n == times;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
