/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>

#include "collector/sample/rates.h"

#define SECOND INT64_C(1000000000)
#define MS     INT64_C(1000000)

static struct rate_sample sample(int64_t time_ns, uint64_t value)
{
	return (struct rate_sample) { .time_ns = time_ns, .present = 1, .value = { value } };
}

struct rig {
	struct rate_track track;
	int64_t rate[RATE_VALUES][N_WINDOWS];
};

static void add(struct rig *rig, int64_t time_ns, uint64_t value)
{
	struct rate_sample now = sample(time_ns, value);
	rate_track_add(&rig->track, &now);
	rate_track_rates(&rig->track, &now, 1, rig->rate);
}

static void begin(struct rig *rig, int64_t since_ns, int64_t until_ns, uint64_t value)
{
	struct rate_sample base = sample(until_ns, value);
	rate_track_init(&rig->track, since_ns, &base);
}

static void a_steady_slope_is_its_rate_in_every_window(void **state)
{
	struct rig rig;
	begin(&rig, 0, 0, 5000);
	for (int64_t t = 0; t <= 1300; t++) {
		add(&rig, t * SECOND, 5000 + (uint64_t)t * 100);
		for (unsigned w = 0; w < N_WINDOWS; w++) {
			if (t >= (int64_t)metric_window_seconds[w])
				assert_int_equal(rig.rate[0][w], 100);
			else
				assert_true(rig.rate[0][w] == BOARD_RATE_UNKNOWN);
		}
	}
}

static void falling_is_negative(void **state)
{
	struct rig rig;
	begin(&rig, 0, 0, 1000000);
	for (int64_t t = 0; t <= 700; t++)
		add(&rig, t * SECOND, 1000000 - (uint64_t)t * 1000);
	for (unsigned w = 0; w < N_WINDOWS; w++)
		assert_int_equal(rig.rate[0][w], -1000);
}

/* Late and early ticks: the division is by what really elapsed, so a slope stays one. */
static void uneven_ticks_do_not_matter(void **state)
{
	struct rig rig;
	int64_t t = 7 * SECOND;
	uint32_t random = 12345;

	begin(&rig, t, t, (uint64_t)(t / MS) * 3);
	for (int i = 0; i < 20000; i++) {
		random = random * 1664525 + 1013904223;
		t += (int64_t)(1 + random % 400) * MS;
		add(&rig, t, (uint64_t)(t / MS) * 3);
		for (unsigned w = 0; w < N_WINDOWS; w++)
			if (rig.rate[0][w] != BOARD_RATE_UNKNOWN)
				assert_int_equal(rig.rate[0][w], 3000);
	}
	for (unsigned w = 0; w < N_WINDOWS; w++)
		assert_int_equal(rig.rate[0][w], 3000);
}

static void ticks_of_ten_milliseconds_fit(void **state)
{
	struct rig rig;
	begin(&rig, 0, 0, 0);
	for (int64_t t = 0; t <= 700 * 100; t++)
		add(&rig, t * 10 * MS, (uint64_t)t);
	for (unsigned w = 0; w < N_WINDOWS; w++)
		assert_int_equal(rig.rate[0][w], 100);
}

/* A jump is in each window for as long as the window, no longer than its ring's spacing more. */
static void a_jump_leaves_each_window_in_time(void **state)
{
	struct rig rig;
	begin(&rig, 0, 0, 0);
	for (int64_t t = 0; t <= 2000; t++) {
		add(&rig, t * SECOND, t < 1000 ? 0 : 6000);
		for (unsigned w = 0; w < N_WINDOWS; w++) {
			int64_t window = metric_window_seconds[w];
			if (t >= 1000 && t < 1000 + window)
				assert_true(rig.rate[0][w] > 0 && rig.rate[0][w] <= 6000 / window);
			if (t > 1000 + window + window / 16 + 1)
				assert_int_equal(rig.rate[0][w], 0);
		}
	}
}

/* The base stands for a process that was seen for long and never moved. */
static void a_still_past_counts(void **state)
{
	struct rig rig;
	begin(&rig, 0, 5000 * SECOND, 1000);
	add(&rig, 5000 * SECOND, 1000);
	add(&rig, 5001 * SECOND, 1600);
	assert_int_equal(rig.rate[0][WINDOW_1S], 600);
	assert_int_equal(rig.rate[0][WINDOW_10S], 60);
	assert_int_equal(rig.rate[0][WINDOW_1M], 10);
	assert_int_equal(rig.rate[0][WINDOW_10M], 1);
}

static void a_past_that_is_too_short_is_unknown(void **state)
{
	struct rig rig;
	begin(&rig, 0, 20 * SECOND, 1000);
	add(&rig, 20 * SECOND, 1000);
	add(&rig, 21 * SECOND, 1100);
	assert_int_equal(rig.rate[0][WINDOW_10S], 10);
	assert_true(rig.rate[0][WINDOW_1M] == BOARD_RATE_UNKNOWN);
}

static void absent_is_not_zero(void **state)
{
	struct rig rig;
	begin(&rig, 0, 0, 1000);
	add(&rig, 0, 1000);
	struct rate_sample none = { .time_ns = 2 * SECOND };
	rate_track_add(&rig.track, &none);
	rate_track_rates(&rig.track, &none, 1, rig.rate);
	assert_true(rig.rate[0][WINDOW_1S] == BOARD_RATE_UNKNOWN);
	/* And it is no sample to compare with: the one before it is. */
	add(&rig, 4 * SECOND, 1400);
	assert_int_equal(rig.rate[0][WINDOW_1S], 100);
}

static void rates_do_not_overflow(void **state)
{
	struct rig rig;
	begin(&rig, 0, 0, 0);
	add(&rig, 0, 0);
	add(&rig, SECOND, UINT64_MAX);
	assert_true(rig.rate[0][WINDOW_1S] == INT64_MAX);
	add(&rig, 2 * SECOND, 0);
	assert_true(rig.rate[0][WINDOW_1S] == INT64_MIN + 1);
}

static void a_late_reading_is_spread_over_its_time(void **state)
{
	struct rig rig;
	begin(&rig, 0, 100 * SECOND, 500);
	/* The counter was last read at 100 s; samples since then repeat it. */
	for (int64_t t = 100; t < 110; t++)
		add(&rig, t * SECOND, 500);
	rate_track_spread(&rig.track, 0, 100 * SECOND, 500, 110 * SECOND, 1500);
	add(&rig, 110 * SECOND, 1500);
	assert_int_equal(rig.rate[0][WINDOW_1S], 100);
	assert_int_equal(rig.rate[0][WINDOW_10S], 100);
}

static void what_stands_still_has_rates_of_zero_when_old_enough(void **state)
{
	int64_t rate[1][N_WINDOWS];
	assert_true(rate_still(0, 0, 1, 1, rate) < SECOND + 1);
	assert_true(rate[0][WINDOW_1S] == BOARD_RATE_UNKNOWN);
	int64_t next = rate_still(0, 11 * SECOND, 1, 1, rate);
	assert_int_equal(rate[0][WINDOW_10S], 0);
	assert_true(rate[0][WINDOW_1M] == BOARD_RATE_UNKNOWN);
	assert_true(next > 11 * SECOND && next <= 60 * SECOND);
	rate_still(0, next, 1, 1, rate);
	assert_int_equal(rate[0][WINDOW_1M], 0);
	assert_true(rate_still(0, 700 * SECOND, 1, 1, rate) == INT64_MAX);
	assert_int_equal(rate[0][WINDOW_10M], 0);
	rate_still(0, 700 * SECOND, 0, 1, rate);
	assert_true(rate[0][WINDOW_1S] == BOARD_RATE_UNKNOWN);
}

/* What the sampler does once a track is dropped must say the same as the track would. */
static void forgetting_changes_nothing(void **state)
{
	struct rig rig;
	begin(&rig, 0, 0, 0);
	int64_t t = 0;
	for (; t < 100; t++)
		add(&rig, t * SECOND, (uint64_t)t);
	for (; t * SECOND <= 99 * SECOND + rate_forget_ns(); t++)
		add(&rig, t * SECOND, 99);
	for (unsigned w = 0; w < N_WINDOWS; w++)
		assert_int_equal(rig.rate[0][w], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_steady_slope_is_its_rate_in_every_window),
		cmocka_unit_test(falling_is_negative),
		cmocka_unit_test(uneven_ticks_do_not_matter),
		cmocka_unit_test(ticks_of_ten_milliseconds_fit),
		cmocka_unit_test(a_jump_leaves_each_window_in_time),
		cmocka_unit_test(a_still_past_counts),
		cmocka_unit_test(a_past_that_is_too_short_is_unknown),
		cmocka_unit_test(absent_is_not_zero),
		cmocka_unit_test(rates_do_not_overflow),
		cmocka_unit_test(a_late_reading_is_spread_over_its_time),
		cmocka_unit_test(what_stands_still_has_rates_of_zero_when_old_enough),
		cmocka_unit_test(forgetting_changes_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
