/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "schema/base/kv.h"

static void assert_next(struct kv_cursor *cursor, const char *key, const char *value)
{
	struct span k, v;

	assert_true(kv_next(cursor, &k, &v));
	assert_true(span_equals(k, key));
	assert_true(span_equals(v, value));
}

static void assert_end(struct kv_cursor *cursor)
{
	struct span k = { "k", 1 }, v = { "v", 1 };

	assert_false(kv_next(cursor, &k, &v));
	assert_true(span_equals(k, "k"));
	assert_true(span_equals(v, "v"));
	assert_false(kv_next(cursor, &k, &v));
}

static void reads_the_three_shapes(void **state)
{
	static const char text[] = "key value\nMemTotal:       1 kB\nName:\tmy name \t\r\n\n \t\nlast";
	struct kv_cursor cursor = kv_begin(text, sizeof(text) - 1);

	assert_next(&cursor, "key", "value");
	assert_next(&cursor, "MemTotal", "1 kB");
	assert_next(&cursor, "Name", "my name");
	assert_next(&cursor, "last", "");
	assert_end(&cursor);
}

static void a_colon_alone_is_a_key(void **state)
{
	static const char text[] = ": x\n:: y\nActive(anon): 1";
	struct kv_cursor cursor = kv_begin(text, sizeof(text) - 1);

	assert_next(&cursor, ":", "x");
	assert_next(&cursor, ":", "y");
	assert_next(&cursor, "Active(anon)", "1");
	assert_end(&cursor);
}

static void an_empty_text_has_no_lines(void **state)
{
	struct kv_cursor cursor = kv_begin(NULL, 0);
	assert_end(&cursor);
	cursor = kv_begin("\n\n  \n", 5);
	assert_end(&cursor);
	cursor = kv_begin_lines(NULL, 0);
	assert_end(&cursor);
}

static void bytes_are_bytes(void **state)
{
	struct kv_cursor cursor = kv_begin("a\0b c\0d\n\xff x", 11);
	struct span key, value;

	assert_true(kv_next(&cursor, &key, &value));
	assert_int_equal(key.n, 3);
	assert_memory_equal(key.p, "a\0b", 3);
	assert_int_equal(value.n, 3);
	assert_memory_equal(value.p, "c\0d", 3);
	assert_next(&cursor, "\xff", "x");
	assert_end(&cursor);
}

static void complete_lines_leave_out_a_torn_one(void **state)
{
	struct kv_cursor cursor = kv_begin_lines("a 1\nb 2\nc 3", 11);

	assert_next(&cursor, "a", "1");
	assert_next(&cursor, "b", "2");
	assert_end(&cursor);
	cursor = kv_begin_lines("a 1", 3);
	assert_end(&cursor);
}

static void words_and_lines_advance(void **state)
{
	struct span rest = { "  one\ttwo ", 10 }, word;

	assert_true(span_word(&rest, &word));
	assert_true(span_equals(word, "one"));
	assert_true(span_word(&rest, &word));
	assert_true(span_equals(word, "two"));
	assert_false(span_word(&rest, &word));
	assert_true(span_equals(word, "two"));

	rest = (struct span) { "a\n\nb", 4 };
	assert_true(span_line(&rest, &word));
	assert_true(span_equals(word, "a"));
	assert_true(span_line(&rest, &word));
	assert_true(span_equals(word, ""));
	assert_true(span_line(&rest, &word));
	assert_true(span_equals(word, "b"));
	assert_false(span_line(&rest, &word));
}

static void equality_needs_all_of_it(void **state)
{
	assert_true(span_equals((struct span) { "abc", 3 }, "abc"));
	assert_false(span_equals((struct span) { "abc", 2 }, "abc"));
	assert_false(span_equals((struct span) { "ab\0", 3 }, "ab"));
	assert_true(span_equals((struct span) { "", 0 }, ""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_the_three_shapes),
		cmocka_unit_test(a_colon_alone_is_a_key),
		cmocka_unit_test(an_empty_text_has_no_lines),
		cmocka_unit_test(bytes_are_bytes),
		cmocka_unit_test(complete_lines_leave_out_a_torn_one),
		cmocka_unit_test(words_and_lines_advance),
		cmocka_unit_test(equality_needs_all_of_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
