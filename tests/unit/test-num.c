/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "schema/base/num.h"

static const uint64_t untouched = 0xdeadbeef;

static void parses_digits_and_stops_behind_them(void **state)
{
	const char text[] = "18446744073709551615x";
	const char *at = text, *end = text + sizeof(text) - 1;
	uint64_t value = untouched;

	assert_true(num_parse_u64(&at, end, &value));
	assert_true(value == UINT64_MAX);
	assert_ptr_equal(at, end - 1);
	assert_false(num_parse_u64(&at, end, &value));
	assert_ptr_equal(at, end - 1);
}

static void refuses_what_is_no_u64(void **state)
{
	static const char *const bad[] = { "", "x", "-1", "+1", " 1", "18446744073709551616",
		"99999999999999999999999" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		const char *at = bad[i];
		uint64_t value = untouched;
		assert_false(num_parse_u64(&at, bad[i] + strlen(bad[i]), &value));
		assert_ptr_equal(at, bad[i]);
		assert_int_equal(value, untouched);
	}
}

static void never_reads_past_the_end(void **state)
{
	const char text[] = "1234";
	const char *at = text;
	uint64_t value;

	assert_true(num_parse_u64(&at, text + 2, &value));
	assert_int_equal(value, 12);
	assert_ptr_equal(at, text + 2);
}

static void parses_signed_limits(void **state)
{
	static const struct {
		const char *text;
		bool fine;
		int64_t value;
	} cases[] = {
		{ "0", true, 0 },
		{ "-0", true, 0 },
		{ "-1", true, -1 },
		{ "9223372036854775807", true, INT64_MAX },
		{ "9223372036854775808", false, 0 },
		{ "-9223372036854775808", true, INT64_MIN },
		{ "-9223372036854775809", false, 0 },
		{ "-", false, 0 },
		{ "--1", false, 0 },
		{ "", false, 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const char *at = cases[i].text, *end = at + strlen(at);
		int64_t value = 77;
		assert_int_equal(num_parse_i64(&at, end, &value), cases[i].fine);
		assert_true(value == (cases[i].fine ? cases[i].value : 77));
		assert_ptr_equal(at, cases[i].fine ? end : cases[i].text);
	}
}

static void whole_takes_no_remainder(void **state)
{
	uint64_t value = untouched;

	assert_false(num_parse_whole("12 ", 3, &value));
	assert_false(num_parse_whole("1\0002", 3, &value));
	assert_false(num_parse_whole("", 0, &value));
	assert_int_equal(value, untouched);
	assert_true(num_parse_whole("0012", 4, &value));
	assert_int_equal(value, 12);
}

static void sizes_have_suffixes(void **state)
{
	static const struct {
		const char *text;
		bool fine;
		uint64_t bytes;
	} cases[] = {
		{ "0", true, 0 },
		{ "10", true, 10 },
		{ "2k", true, 2048 },
		{ "2K", true, 2048 },
		{ "3m", true, 3 << 20 },
		{ "1G", true, 1 << 30 },
		{ "1t", true, UINT64_C(1) << 40 },
		{ "16777215T", true, UINT64_C(16777215) << 40 },
		{ "16777216T", false, 0 },
		{ "1kb", false, 0 },
		{ "1 k", false, 0 },
		{ "k", false, 0 },
		{ "", false, 0 },
		{ "1\v", false, 0 }, /* 0x0b | 0x20 is '+' */
		{ "1P", false, 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		uint64_t bytes = untouched;
		assert_int_equal(num_parse_size(cases[i].text, strlen(cases[i].text), &bytes), cases[i].fine);
		assert_true(bytes == (cases[i].fine ? cases[i].bytes : untouched));
	}
}

static void kernel_kilobytes_need_their_unit(void **state)
{
	static const char *const bad[] = { "", "1", "1 k", "1 KB", "1kB", "1  kB", " 1 kB", "1 kB ", "-1 kB",
		"18014398509481984 kB" };
	uint64_t bytes = untouched;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(num_parse_kb(bad[i], strlen(bad[i]), &bytes));
	assert_int_equal(bytes, untouched);
	assert_true(num_parse_kb("18014398509481983 kB", 20, &bytes));
	assert_true(bytes == UINT64_C(18014398509481983) * 1024);
}

static void formats_as_printf_does(void **state)
{
	static const uint64_t values[] = { 0, 9, 10, 99, 100, 1234567890, INT64_MAX, UINT64_C(1) << 63,
		UINT64_MAX };

	for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
		char expected[NUM_TEXT_MAX], text[NUM_TEXT_MAX];
		int n = snprintf(expected, sizeof(expected), "%" PRIu64, values[i]);
		assert_int_equal(num_format_u64(text, values[i]), n);
		assert_memory_equal(text, expected, (size_t)n);
		n = snprintf(expected, sizeof(expected), "%" PRId64, (int64_t)values[i]);
		assert_int_equal(num_format_i64(text, (int64_t)values[i]), n);
		assert_memory_equal(text, expected, (size_t)n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses_digits_and_stops_behind_them),
		cmocka_unit_test(refuses_what_is_no_u64),
		cmocka_unit_test(never_reads_past_the_end),
		cmocka_unit_test(parses_signed_limits),
		cmocka_unit_test(whole_takes_no_remainder),
		cmocka_unit_test(sizes_have_suffixes),
		cmocka_unit_test(kernel_kilobytes_need_their_unit),
		cmocka_unit_test(formats_as_printf_does),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
