/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "fs/render.h"
#include "schema/board.h"

static void assert_text(struct buf *text, const char *wanted)
{
	assert_int_equal(buf_error(text), 0);
	buf_putc(text, 0);
	assert_string_equal(text->data, wanted);
	buf_clear(text);
}

static void times_have_three_decimals(void **state)
{
	struct buf text CLEANUP_BUF = BUF_INIT;

	render_time(&text, INT64_C(1763712345123999999));
	assert_text(&text, "1763712345.123");
	render_time(&text, INT64_C(1763712345000000000));
	assert_text(&text, "1763712345.000");
	render_time(&text, INT64_C(5007000000));
	assert_text(&text, "5.007");
	render_time(&text, 999999);
	assert_text(&text, "0.000");
	render_time(&text, INT64_MAX);
	assert_text(&text, "9223372036.854");
}

static void an_age_is_never_negative(void **state)
{
	struct buf text CLEANUP_BUF = BUF_INIT;

	render_age(&text, INT64_C(1500000000));
	assert_text(&text, "1.500");
	render_age(&text, -1);
	assert_text(&text, "0.000");
	render_age(&text, INT64_MIN);
	assert_text(&text, "0.000");
}

/* So that a file's size stays what the kernel was told. */
static void values_stand_right_in_20_columns(void **state)
{
	struct buf text CLEANUP_BUF = BUF_INIT;

	render_key_u64(&text, "rss", 0);
	assert_text(&text, "rss                    0\n");
	render_key_u64(&text, "rss", UINT64_MAX);
	assert_text(&text, "rss 18446744073709551615\n");
	render_key_i64(&text, "rate", -5);
	assert_text(&text, "rate                   -5\n");
	render_key_i64(&text, "rate", INT64_MIN);
	assert_text(&text, "rate -9223372036854775808\n");
	render_key_unknown(&text, "rate");
	assert_text(&text, "rate                    -\n");
	render_key_text(&text, "state", "sleeping");
	assert_text(&text, "state             sleeping\n");
	render_key_text(&text, "empty", "");
	assert_text(&text, "empty                     \n");
	/* What is longer is whole all the same. */
	render_key_text(&text, "name", "twenty-one-characters");
	assert_text(&text, "name twenty-one-characters\n");
	render_key(&text, "raw", "a\0b", 3);
	assert_int_equal(text.len, strlen("raw ") + 20 + 1);
}

static void every_number_has_the_same_length(void **state)
{
	size_t len = 0;

	for (int shift = 0; shift < 64; shift++) {
		struct buf text CLEANUP_BUF = BUF_INIT;
		render_key_u64(&text, "key", UINT64_MAX >> shift);
		assert_true(!len || text.len == len);
		len = text.len;
	}
}

static void metrics_have_their_own_units(void **state)
{
	struct buf text CLEANUP_BUF = BUF_INIT;

	for (unsigned i = 0; i < process_metrics.n; i++) {
		const struct metric *metric = &process_metrics.rows[i];
		struct buf value CLEANUP_BUF = BUF_INIT;
		metric_value_render(&value, metric, 123456789);
		render_key_metric(&text, metric->name, metric, 123456789);
		size_t columns = value.len < 20 ? 20 : value.len;
		assert_int_equal(text.len, strlen(metric->name) + 1 + columns + 1);
		assert_memory_equal(text.data + text.len - 1 - value.len, value.data, value.len);
		buf_clear(&text);
	}
}

static void rates_of_all_windows(void **state)
{
	int64_t rates[N_PROCESS_RATES * N_WINDOWS];
	struct buf text CLEANUP_BUF = BUF_INIT;
	unsigned lines = 0;

	for (unsigned i = 0; i < N_PROCESS_RATES * N_WINDOWS; i++)
		rates[i] = i % 2 ? BOARD_RATE_UNKNOWN : -(int64_t)i;
	render_rates(&text, &process_metrics, rates, N_PROCESS_RATES);
	buf_putc(&text, 0);
	assert_int_equal(buf_error(&text), 0);
	assert_int_equal(strncmp(text.data, "rss_1s                    0\n", 28), 0);
	for (char *line = strtok(text.data, "\n"); line; line = strtok(NULL, "\n"), lines++) {
		const char *value = strrchr(line, ' ');
		assert_non_null(value);
		if (lines % 2)
			assert_string_equal(value, " -");
		else
			assert_int_equal(strtoll(value + 1, NULL, 10), -(int64_t)lines);
	}
	assert_int_equal(lines, N_PROCESS_RATES * N_WINDOWS);
}

static void expect_directory(const char *name, size_t n, const char *expected)
{
	struct buf text CLEANUP_BUF = BUF_INIT;

	render_directory_name(&text, (struct span) { name, n });
	buf_putc(&text, 0);
	assert_string_equal(text.data, expected);
}

static void what_a_path_would_take_otherwise_is_escaped(void **state)
{
	expect_directory("bash", 4, "bash");
	expect_directory("", 0, "\\000");
	expect_directory(".", 1, "\\056");
	expect_directory("..", 2, "\\056\\056");
	expect_directory("...", 3, "...");
	expect_directory("/a/", 3, "\\057a\\057");
	expect_directory("a\tb\\c\n", 6, "a\\011b\\134c\\012");
	expect_directory("\xc3\xbc \xff", 4, "\xc3\xbc \xff");
}

static void directory(const char *name, size_t n, char ret[256])
{
	struct buf text CLEANUP_BUF = BUF_INIT;

	render_directory_name(&text, (struct span) { name, n });
	assert_true(text.len <= 255);
	memcpy(ret, text.data, text.len);
	ret[text.len] = 0;
}

static void what_is_too_long_for_a_name_stays_unlike_others(void **state)
{
	char long_one[255], plain[256], cut[256], other[256];

	memset(long_one, 'x', sizeof(long_one));
	directory(long_one, sizeof(long_one), plain);
	assert_int_equal(strlen(plain), 255);
	memset(long_one, '\\', sizeof(long_one));
	directory(long_one, sizeof(long_one), cut);
	assert_int_equal(cut[strlen(cut) - 9], '~');
	assert_int_equal((strlen(cut) - 9) % 4, 0); /* no escape is cut */
	long_one[254] = 'y';
	directory(long_one, sizeof(long_one), other);
	assert_string_not_equal(cut, other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times_have_three_decimals),
		cmocka_unit_test(an_age_is_never_negative),
		cmocka_unit_test(values_stand_right_in_20_columns),
		cmocka_unit_test(every_number_has_the_same_length),
		cmocka_unit_test(metrics_have_their_own_units),
		cmocka_unit_test(rates_of_all_windows),
		cmocka_unit_test(what_a_path_would_take_otherwise_is_escaped),
		cmocka_unit_test(what_is_too_long_for_a_name_stays_unlike_others),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
