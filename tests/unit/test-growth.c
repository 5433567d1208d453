/* SPDX-License-Identifier: MIT */
/* What is steady growth and what is none: made series, and ones recorded of programs (fixtures/growth). */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/alerts/growth.h"

#define MIB (UINT64_C(1) << 20)
enum { N = 200 };

struct verdict {
	unsigned began, stopped;
	size_t first; /* sample at which it first began */
};

static struct verdict judge(const uint64_t *sample, size_t n, uint64_t least)
{
	struct growth_track track = { 0 };
	struct verdict verdict = { 0 };

	for (size_t i = 0; i < n; i++) {
		enum growth_outcome outcome = growth_add(&track, sample[i], least);
		if (outcome == GROWTH_BEGAN && !verdict.began++)
			verdict.first = i;
		verdict.stopped += outcome == GROWTH_STOPPED;
	}
	return verdict;
}

/* The same at every run. */
static uint64_t noise(size_t i, uint64_t below)
{
	uint64_t h = (i + 1) * UINT64_C(0x9e3779b97f4a7c15);
	return (h ^ h >> 29) % below;
}

static void a_leak_is_told_once(void **state)
{
	uint64_t sample[N];

	for (size_t i = 0; i < N; i++)
		sample[i] = 100 * MIB + i * MIB + noise(i, MIB / 2);
	struct verdict verdict = judge(sample, N, 16 * MIB);
	assert_int_equal(verdict.began, 1);
	assert_int_equal(verdict.stopped, 0);
	/* As soon as the window is full and it is confirmed. */
	assert_int_equal(verdict.first, GROWTH_SAMPLES + GROWTH_CONFIRMATIONS - 2);
}

static void a_slow_one_is_below_the_threshold(void **state)
{
	uint64_t sample[N];

	for (size_t i = 0; i < N; i++)
		sample[i] = 100 * MIB + i * MIB / 2;
	assert_int_equal(judge(sample, N, 16 * MIB).began, 0);
	assert_int_equal(judge(sample, N, 9 * MIB).began, 1);
}

static void a_leap_is_none(void **state)
{
	uint64_t sample[N];

	for (size_t at = 0; at < 40; at++) {
		for (size_t i = 0; i < N; i++)
			sample[i] = 50 * MIB + (i >= at ? 400 * MIB : 0) + noise(i, MIB);
		assert_int_equal(judge(sample, N, 16 * MIB).began, 0);
	}
}

static void a_spike_is_none(void **state)
{
	uint64_t sample[N];

	for (size_t width = 1; width < 40; width++) {
		for (size_t i = 0; i < N; i++)
			sample[i] = 50 * MIB + (i >= 60 && i < 60 + width ? 300 * MIB : 0);
		assert_int_equal(judge(sample, N, 16 * MIB).began, 0);
	}
}

static void what_is_collected_again_is_none(void **state)
{
	uint64_t sample[N];

	for (size_t period = 2; period < 16; period++) {
		for (size_t i = 0; i < N; i++)
			sample[i] = 50 * MIB + i % period * 20 * MIB;
		assert_int_equal(judge(sample, N, 16 * MIB).began, 0);
	}
}

static void a_leak_below_what_is_collected_is_told(void **state)
{
	uint64_t sample[N];

	for (size_t i = 0; i < N; i++)
		sample[i] = 50 * MIB + i % 3 * 40 * MIB + i * 2 * MIB;
	assert_int_equal(judge(sample, N, 16 * MIB).began, 1);
}

/* What is missing halves in each `half` samples. */
static void a_cache_that_levels_off_is_none(void **state)
{
	for (size_t half = 2; half <= 8; half++) {
		uint64_t sample[N], missing = 1024 * MIB;
		for (size_t i = 0; i < N; i++) {
			sample[i] = 1100 * MIB - missing;
			missing -= missing * 7 / (10 * half);
		}
		assert_int_equal(judge(sample, N, 16 * MIB).began, 0);
	}
}

static void one_that_stops_is_told_and_may_begin_again(void **state)
{
	uint64_t sample[N], now = 100 * MIB;

	for (size_t i = 0; i < N; i++) {
		now += i < 60 || i >= 120 ? 2 * MIB : 0;
		sample[i] = now;
	}
	struct verdict verdict = judge(sample, N, 16 * MIB);
	assert_int_equal(verdict.began, 2);
	assert_int_equal(verdict.stopped, 1);
}

static void one_at_the_threshold_does_not_flap(void **state)
{
	uint64_t sample[N], now = 100 * MIB;

	for (size_t i = 0; i < N; i++) {
		now += 13 * MIB / 16 + noise(i / 5, MIB / 5);
		sample[i] = now;
	}
	struct verdict verdict = judge(sample, N, 16 * MIB);
	assert_true(verdict.began <= 1);
	assert_int_equal(verdict.stopped, 0);
}

static void the_largest_numbers_do_no_harm(void **state)
{
	uint64_t sample[N];

	for (size_t i = 0; i < N; i++)
		sample[i] = i % 2 ? (UINT64_C(1) << 62) : noise(i, 3);
	assert_int_equal(judge(sample, N, 16 * MIB).began, 0);
}

static void what_programs_did_is_judged_as_a_person_would(void **state)
{
	static const struct {
		const char *name;
		unsigned began;
	} cases[] = { { "leak", 1 }, { "leak-in-garbage", 1 }, { "garbage", 0 }, { "cache", 0 },
		{ "leap", 0 }, { "still", 0 } };

	for (size_t c = 0; c < sizeof(cases) / sizeof(*cases); c++) {
		char path[200];
		uint64_t sample[N];
		unsigned long long bytes;
		size_t n = 0;
		snprintf(path, sizeof(path), "%s/growth/%s", FIXTURES, cases[c].name);
		FILE *file = fopen(path, "re");
		assert_non_null(file);
		while (n < N && fscanf(file, "%llu", &bytes) == 1)
			sample[n++] = bytes;
		fclose(file);
		assert_true(n > 2 * GROWTH_SAMPLES);
		struct verdict verdict = judge(sample, n, 16 * MIB);
		if (verdict.began != cases[c].began)
			fail_msg("%s: %u", cases[c].name, verdict.began);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_leak_is_told_once),
		cmocka_unit_test(a_slow_one_is_below_the_threshold),
		cmocka_unit_test(a_leap_is_none),
		cmocka_unit_test(a_spike_is_none),
		cmocka_unit_test(what_is_collected_again_is_none),
		cmocka_unit_test(a_leak_below_what_is_collected_is_told),
		cmocka_unit_test(a_cache_that_levels_off_is_none),
		cmocka_unit_test(one_that_stops_is_told_and_may_begin_again),
		cmocka_unit_test(one_at_the_threshold_does_not_flap),
		cmocka_unit_test(the_largest_numbers_do_no_harm),
		cmocka_unit_test(what_programs_did_is_judged_as_a_person_would),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
