/* SPDX-License-Identifier: MIT */
/* Reading: minutes and journal as one series, whatever stands where. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <sys/stat.h>

#include "schema/history/history.h"
#include "schema/history/pack.h"
#include "tests/unit/scratch.h"

#define NS INT64_C(1000000000)

struct fixture {
	struct scratch scratch;
	struct store *store;
	char text[4000];
	unsigned stop_after, n;
};

static int setup(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	*state = fixture;
	return scratch_make(&fixture->scratch) ||
	       store_open_writer(fixture->scratch.path, &fixture->store, NULL);
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;

	store_close(fixture->store);
	scratch_remove(&fixture->scratch);
	free(fixture);
	return 0;
}

/* Samples first..last of a minute; column 0 is `base` plus the second, column 1 is known in odd seconds only.
 */
static void put_minute(struct fixture *fixture, int64_t number, unsigned first, unsigned last, uint64_t base)
{
	struct pack_minute minute;
	struct buf buf = BUF_INIT;

	pack_minute_init(&minute, 2);
	for (unsigned s = first; s <= last; s++) {
		uint64_t value[2] = { base + s, 7 };
		pack_minute_set(&minute, s, s & 1 ? 3 : 1, value);
	}
	pack_minute_encode(&buf, &minute);
	assert_int_equal(store_put_minute(fixture->store, 0, number, buf.data, buf.len), STORE_OK);
	buf_deinit(&buf);
}

static void put_tick(struct fixture *fixture, int64_t t, bool key, uint64_t before, uint64_t value)
{
	struct pack_entry entry = { .subject = 0, .present = 1, .value = &value };
	struct buf buf = BUF_INIT;
	struct pack_tick tick;
	int64_t seq;

	if (!key) {
		entry.before_present = 1;
		entry.before_value = &before;
	}
	pack_tick_begin(&tick, &buf, key);
	pack_tick_put(&tick, &entry);
	pack_tick_end(&tick);
	assert_int_equal(store_put_journal(fixture->store, t * NS + 7, buf.data, buf.len, &seq), STORE_OK);
	buf_deinit(&buf);
}

static int on_sample(void *ctx, const struct history_point *point)
{
	struct fixture *fixture = ctx;
	char *end = fixture->text + strlen(fixture->text);

	assert_true(point->present & 1);
	sprintf(end, "%" PRId64 "=%" PRIu64 "%s ", point->time_s, point->value[0],
		point->present & 2 ? "+" : "");
	return ++fixture->n == fixture->stop_after ? 77 : 0;
}

static const char *series(struct fixture *fixture, int64_t from, int64_t to)
{
	*fixture->text = '\0';
	fixture->n = 0;
	assert_int_equal(history_each(fixture->store, 0, LEVEL_SECONDS, from, to, on_sample, fixture), 0);
	return fixture->text;
}

static void columns_are_the_metrics_with_history(void **state)
{
	const struct metric_list *lists[] = { &system_metrics, &process_metrics };

	for (int i = 0; i < 2; i++) {
		unsigned n = history_columns(lists[i]);
		int before = -1;

		assert_true(n > 5 && n <= PACK_METRICS_MAX);
		for (unsigned c = 0; c < n; c++) {
			int metric = history_column_metric(lists[i], c);
			assert_true(metric > before && lists[i]->rows[metric].where & METRIC_HISTORY);
			before = metric;
		}
		assert_int_equal(history_column_metric(lists[i], n), -1);
	}
	assert_int_equal(history_column_metric(&process_metrics, 0), PROCESS_RSS);
	/* What is in files that exist: columns may be added at the end, and never move. */
	static const char *const process[] = { "rss", "vms", "shared", "text", "data", "anon", "swap",
		"minor_faults_total", "major_faults_total" };
	for (unsigned c = 0; c < sizeof(process) / sizeof(process[0]); c++)
		assert_string_equal(
			process_metrics.rows[history_column_metric(&process_metrics, c)].name, process[c]);
	static const char *const system[] = { "total", "available", "used", "free", "active", "inactive",
		"buffers", "cached", "shared", "swap_total", "swap_free", "swap_used", "dirty", "slab",
		"anon" };
	for (unsigned c = 0; c < sizeof(system) / sizeof(system[0]); c++)
		assert_string_equal(
			system_metrics.rows[history_column_metric(&system_metrics, c)].name, system[c]);
}

static void minutes_are_cut_to_the_span(void **state)
{
	struct fixture *fixture = *state;

	put_minute(fixture, 10, 57, 59, 100);
	put_minute(fixture, 12, 0, 2, 200);
	assert_string_equal(series(fixture, 0, 10000), "657=157+ 658=158 659=159+ 720=200 721=201+ 722=202 ");
	assert_string_equal(series(fixture, 658, 720), "658=158 659=159+ 720=200 ");
	assert_string_equal(series(fixture, 660, 719), "");
	assert_string_equal(series(fixture, 721, 721), "721=201+ ");
	assert_string_equal(series(fixture, 722, 721), "");
	assert_string_equal(
		series(fixture, INT64_MIN, INT64_MAX), "657=157+ 658=158 659=159+ 720=200 721=201+ 722=202 ");
}

static void the_journal_goes_on_where_minutes_end(void **state)
{
	struct fixture *fixture = *state;

	put_minute(fixture, 10, 58, 59, 100);
	put_tick(fixture, 660, true, 0, 1);
	put_tick(fixture, 661, false, 1, 5);
	put_tick(fixture, 663, false, 5, 2);
	assert_string_equal(series(fixture, 0, 10000), "658=158 659=159+ 660=1 661=5 663=2 ");
	assert_string_equal(series(fixture, 659, 661), "659=159+ 660=1 661=5 ");
	assert_string_equal(series(fixture, 662, 662), "");
	/* The minute is packed, its rows are still there; then a part of it is there twice and the rest once.
	 */
	put_minute(fixture, 11, 0, 1, 1000);
	assert_string_equal(series(fixture, 660, 700), "660=1 661=5 663=2 ");
	put_minute(fixture, 11, 0, 5, 1000);
	assert_string_equal(series(fixture, 660, 700), "660=1 661=5 662=1002 663=2 664=1004 665=1005+ ");
}

static void several_ticks_a_second_are_the_last(void **state)
{
	struct fixture *fixture = *state;

	put_tick(fixture, 660, true, 0, 1);
	put_tick(fixture, 660, false, 1, 2);
	put_tick(fixture, 660, false, 2, 3);
	put_tick(fixture, 661, false, 3, 4);
	assert_string_equal(series(fixture, 0, 1000), "660=3 661=4 ");
}

static void a_clock_that_went_back_is_in_order(void **state)
{
	struct fixture *fixture = *state;

	put_tick(fixture, 700, true, 0, 1);
	put_tick(fixture, 701, false, 1, 2);
	put_tick(fixture, 640, true, 0, 3);
	put_tick(fixture, 641, false, 3, 4);
	put_tick(fixture, 701, true, 0, 9);
	assert_string_equal(series(fixture, 0, 1000), "640=3 641=4 700=1 701=9 ");
	assert_string_equal(series(fixture, 660, 1000), "700=1 701=9 ");
}

static void who_stops_is_stopped(void **state)
{
	struct fixture *fixture = *state;

	put_minute(fixture, 10, 0, 59, 0);
	put_tick(fixture, 700, true, 0, 1);
	fixture->stop_after = 5;
	assert_int_equal(history_each(fixture->store, 0, LEVEL_SECONDS, 0, 1000, on_sample, fixture), 77);
	assert_int_equal(fixture->n, 5);
	fixture->stop_after = 61; /* within the journal */
	fixture->n = 0;
	assert_int_equal(history_each(fixture->store, 0, LEVEL_SECONDS, 0, 1000, on_sample, fixture), 77);
	/* The connection is as it was: another series, another writer's turn. */
	fixture->stop_after = 0;
	*fixture->text = '\0';
	assert_int_equal(history_each(fixture->store, 0, LEVEL_SECONDS, 600, 602, on_sample, fixture), 0);
	assert_string_equal(fixture->text, "600=0 601=1+ 602=2 ");
	assert_int_equal(store_begin(fixture->store), STORE_OK);
	assert_int_equal(store_commit(fixture->store), STORE_OK);
}

static void what_cannot_be_read_is_an_error(void **state)
{
	struct fixture *fixture = *state;
	int64_t seq;

	assert_int_equal(history_each(fixture->store, 12345, LEVEL_SECONDS, 0, 1000, on_sample, fixture), 0);
	assert_int_equal(store_put_minute(fixture->store, 0, 5, "nonsense", 8), STORE_OK);
	assert_int_equal(
		history_each(fixture->store, 0, LEVEL_SECONDS, 0, 1000, on_sample, fixture), STORE_DAMAGED);
	assert_int_equal(store_put_minute(fixture->store, 0, 5, "", 0), STORE_OK);
	assert_int_equal(
		history_each(fixture->store, 0, LEVEL_SECONDS, 0, 1000, on_sample, fixture), STORE_DAMAGED);
	put_minute(fixture, 5, 0, 0, 1);
	assert_int_equal(store_put_journal(fixture->store, 400 * NS, "\x7f", 1, &seq), STORE_OK);
	assert_int_equal(
		history_each(fixture->store, 0, LEVEL_SECONDS, 0, 1000, on_sample, fixture), STORE_DAMAGED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(columns_are_the_metrics_with_history),
		TEST(minutes_are_cut_to_the_span),
		TEST(the_journal_goes_on_where_minutes_end),
		TEST(several_ticks_a_second_are_the_last),
		TEST(a_clock_that_went_back_is_in_order),
		TEST(who_stops_is_stopped),
		TEST(what_cannot_be_read_is_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
