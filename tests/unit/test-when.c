/* SPDX-License-Identifier: MIT */
/* Durations and times as they stand in paths. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "schema/base/when.h"

#define SPAN(text)                                                                                           \
	(struct span)                                                                                        \
	{                                                                                                    \
		text, strlen(text)                                                                           \
	}

enum { NOW = 1700000000 };

static void durations_have_a_unit(void **state)
{
	static const struct {
		const char *text;
		uint32_t seconds; /* 0: none */
	} cases[] = {
		{ "1s", 1 },
		{ "10m", 600 },
		{ "17m", 1020 },
		{ "36h", 129600 },
		{ "7d", 604800 },
		{ "30d", 2592000 },
		{ "4294967295s", UINT32_MAX },
		{ "4294967296s", 0 },
		{ "49710d", 4294944000 },
		{ "49711d", 0 },
		{ "0m", 0 },
		{ "010m", 0 },
		{ "10", 0 },
		{ "m", 0 },
		{ "", 0 },
		{ "10 m", 0 },
		{ "10M", 0 },
		{ "-1d", 0 },
		{ "1h30m", 0 },
		{ "10mx", 0 },
		{ "99999999999999999999d", 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		uint32_t seconds = 77;
		assert_int_equal(when_duration_parse(SPAN(cases[i].text), &seconds), cases[i].seconds != 0);
		assert_int_equal(seconds, cases[i].seconds ? cases[i].seconds : 77);
	}
}

static void a_duration_is_put_in_its_largest_unit(void **state)
{
	static const struct {
		uint32_t seconds;
		const char *text;
	} cases[] = { { 1, "1s" }, { 59, "59s" }, { 60, "1m" }, { 90, "90s" }, { 600, "10m" }, { 3600, "1h" },
		{ 5400, "90m" }, { 86400, "1d" }, { 129600, "36h" }, { 30 * 86400, "30d" },
		{ UINT32_MAX, "4294967295s" } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char text[16];
		struct buf out = BUF_FIXED(text);
		when_duration_put(&out, cases[i].seconds);
		assert_int_equal(buf_error(&out), 0);
		assert_int_equal(out.len, strlen(cases[i].text));
		assert_memory_equal(text, cases[i].text, out.len);
	}
}

static void times_have_many_forms(void **state)
{
	static const struct {
		const char *text;
		enum when_kind kind;
		int64_t time_s;
	} cases[] = {
		{ "0", WHEN_EPOCH, 0 },
		{ "1700000000", WHEN_EPOCH, 1700000000 },
		{ "1700000000.987", WHEN_EPOCH, 1700000000 },
		{ "-10m", WHEN_EPOCH, NOW - 600 },
		{ "-1d", WHEN_EPOCH, NOW - 86400 },
		{ "last", WHEN_LAST, 0 },
		{ "1970-01-01T00:00Z", WHEN_EPOCH, 0 },
		{ "2026-11-20T14:00Z", WHEN_EPOCH, 1795183200 },
		{ "2026-11-20T14:00:59Z", WHEN_EPOCH, 1795183259 },
		{ "2026-11-20T14:00", WHEN_LOCAL, 1795183200 },
		{ "2026-11-20", WHEN_LOCAL, 1795132800 },
		{ "2024-02-29T23:59:59Z", WHEN_EPOCH, 1709251199 },
		{ "2000-02-29Z", WHEN_EPOCH, 951782400 },
		{ "9999-12-31T23:59:59Z", WHEN_EPOCH, 253402300799 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct when when = { WHEN_LAST, -77 };
		if (!when_time_parse(SPAN(cases[i].text), NOW, &when))
			fail_msg("%s is a time", cases[i].text);
		assert_int_equal(when.kind, cases[i].kind);
		assert_int_equal(when.time_s, cases[i].time_s);
	}
}

static void what_is_no_time_is_refused(void **state)
{
	static const char *const bad[] = { "", "-", "now", "Last", "last ", "-10", "-0m", "--1m", "+5", "1.",
		".5", "1.5.5", "1700000000x", "99999999999", "2026-11-20T", "2026-11-20T14",
		"2026-11-20T14:0", "2026-11-20T14:00:", "2026-11-20T14:00:5", "2026-11-20T24:00",
		"2026-11-20T14:60", "2026-11-20T14:00:60", "2026-11-20 14:00", "2026-11-20T14:00ZZ",
		"2026-11-20T14:00+01:00", "2026-02-29", "1900-02-29", "2100-02-29", "2026-13-01",
		"2026-00-01", "2026-01-00", "2026-01-32", "1969-12-31", "26-01-01", "2026-1-1",
		"2026-01-01z" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct when when = { WHEN_LAST, -77 };
		if (when_time_parse(SPAN(bad[i]), NOW, &when))
			fail_msg("%s is no time", bad[i]);
		assert_int_equal(when.kind, WHEN_LAST);
		assert_int_equal(when.time_s, -77);
	}
}

static void calendars_agree_with_libc(void **state)
{
	/* Every day of four centuries, by steps that are prime to the weeks and months. */
	for (time_t t = 0; t < (time_t)86400 * 366 * 400; t += 86400 * 13 + 3607) {
		char text[32];
		struct tm tm;
		struct when when;

		gmtime_r(&t, &tm);
		strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
		assert_true(when_time_parse(SPAN(text), NOW, &when));
		assert_int_equal(when.time_s, t);
	}
}

static void local_times_know_their_zone(void **state)
{
	struct when winter, summer, utc;

	setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
	assert_true(when_time_parse(SPAN("2026-11-20T14:00"), NOW, &winter));
	assert_true(when_time_parse(SPAN("2026-07-20T14:00"), NOW, &summer));
	assert_true(when_time_parse(SPAN("2026-07-20T14:00Z"), NOW, &utc));
	assert_int_equal(when_resolve(&winter), 1795183200 - 3600);
	assert_int_equal(when_resolve(&summer), utc.time_s - 7200);
	assert_int_equal(when_resolve(&utc), utc.time_s);
	unsetenv("TZ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(durations_have_a_unit),
		cmocka_unit_test(a_duration_is_put_in_its_largest_unit),
		cmocka_unit_test(times_have_many_forms),
		cmocka_unit_test(what_is_no_time_is_refused),
		cmocka_unit_test(calendars_agree_with_libc),
		cmocka_unit_test(local_times_know_their_zone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
