/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "fs/twin.h"
#include "schema/base/cleanup.h"

typedef void put_fn(struct buf *out, struct span text, const char *strings);

static void assert_json(put_fn *put, const char *text, const char *strings, const char *wanted)
{
	CLEANUP_BUF struct buf out = BUF_INIT;

	put(&out, (struct span) { text, strlen(text) }, strings);
	buf_putc(&out, 0);
	assert_int_equal(buf_error(&out), 0);
	assert_string_equal(out.data, wanted);
}

static void tables_become_arrays_of_objects(void **state)
{
	assert_json(twin_put_table, "", NULL, "[\n]\n");
	assert_json(twin_put_table, "pid\tcomm\n", "comm", "[\n]\n");
	assert_json(twin_put_table, "pid\tcomm\trss\n1\t7\t-\n2\tcat\t4096\n", "comm state",
		"[\n{\"pid\":1,\"comm\":\"7\",\"rss\":null},\n{\"pid\":2,\"comm\":\"cat\",\"rss\":4096}\n]\n");
	/* Cells that are empty, missing, too many. */
	assert_json(twin_put_table, "a\tb\n\t\n1\n1\t2\t3\n", "a",
		"[\n{\"a\":\"\",\"b\":\"\"},\n{\"a\":\"1\"},\n{\"a\":\"1\",\"b\":2}\n]\n");
}

static void keyed_lines_become_an_object(void **state)
{
	assert_json(twin_put_keyed, "", NULL, "{}\n");
	assert_json(twin_put_keyed, "rss                 4096\npss_last               -\n", NULL,
		"{\n\"rss\":4096,\n\"pss_last\":null\n}\n");
	assert_json(twin_put_keyed, "node 12\nreason line 1: no good\nempty\n", "node",
		"{\n\"node\":\"12\",\n\"reason\":\"line 1: no good\",\n\"empty\":\"\"\n}\n");
}

/* What a person would take for a number and JSON does not is text. */
static void numbers_are_those_of_json(void **state)
{
	static const char *const number[] = { "0", "-0", "7", "-12", "0.25", "1763712345.123",
		"18446744073709551615", "-0.5" };
	static const char *const text[] = { "", "00", "01", "+1", "1.", ".5", "1e3", "0x7f", "1 2", "--1",
		"NaN" };

	for (size_t i = 0; i < sizeof(number) / sizeof(*number); i++) {
		CLEANUP_BUF struct buf line = BUF_INIT, wanted = BUF_INIT;
		buf_printf(&line, "k %s%c", number[i], 0);
		buf_printf(&wanted, "{\n\"k\":%s\n}\n%c", number[i], 0);
		assert_json(twin_put_keyed, line.data, NULL, wanted.data);
	}
	for (size_t i = 0; i < sizeof(text) / sizeof(*text); i++) {
		CLEANUP_BUF struct buf line = BUF_INIT, wanted = BUF_INIT;
		buf_printf(&line, "k %s%c", text[i], 0);
		buf_printf(&wanted, "{\n\"k\":\"%s\"\n}\n%c", text[i], 0);
		assert_json(twin_put_keyed, line.data, NULL, wanted.data);
	}
}

static void strings_are_valid_json(void **state)
{
	assert_json(twin_put_keyed, "k a\"b\\011c", NULL, "{\n\"k\":\"a\\\"b\\\\011c\"\n}\n");
	assert_json(twin_put_keyed, "k \x01\x1f", NULL, "{\n\"k\":\"\\u0001\\u001f\"\n}\n");
	assert_json(
		twin_put_keyed, "k \u00e4\u20ac\U0001f600", NULL, "{\n\"k\":\"\u00e4\u20ac\U0001f600\"\n}\n");
	/* Not UTF-8: a byte alone, a sequence cut short, an overlong one, half a surrogate pair, too large.
	 */
	assert_json(twin_put_keyed, "k \xff", NULL, "{\n\"k\":\"\\\\377\"\n}\n");
	assert_json(twin_put_keyed, "k \xe2\x82", NULL, "{\n\"k\":\"\\\\342\\\\202\"\n}\n");
	assert_json(twin_put_keyed, "k \xc0\xaf", NULL, "{\n\"k\":\"\\\\300\\\\257\"\n}\n");
	assert_json(twin_put_keyed, "k \xed\xa0\x80", NULL, "{\n\"k\":\"\\\\355\\\\240\\\\200\"\n}\n");
	assert_json(
		twin_put_keyed, "k \xf4\x90\x80\x80", NULL, "{\n\"k\":\"\\\\364\\\\220\\\\200\\\\200\"\n}\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables_become_arrays_of_objects),
		cmocka_unit_test(keyed_lines_become_an_object),
		cmocka_unit_test(numbers_are_those_of_json),
		cmocka_unit_test(strings_are_valid_json),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
