/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "schema/base/buf.h"

static void assert_text(const struct buf *buf, const char *expected)
{
	assert_int_equal(buf_error(buf), 0);
	assert_int_equal(buf->len, strlen(expected));
	if (buf->len)
		assert_memory_equal(buf->data, expected, buf->len);
}

static void grows_and_keeps_everything(void **state)
{
	struct buf buf CLEANUP_BUF = BUF_INIT;

	for (unsigned i = 0; i < 100000; i++)
		buf_putc(&buf, (char)('a' + i % 26));
	assert_int_equal(buf_error(&buf), 0);
	assert_int_equal(buf.len, 100000);
	for (unsigned i = 0; i < 100000; i++)
		assert_int_equal(buf.data[i], 'a' + i % 26);
}

static void takes_every_kind(void **state)
{
	struct buf buf CLEANUP_BUF = BUF_INIT;

	buf_puts(&buf, "a");
	buf_put(&buf, NULL, 0);
	buf_puts(&buf, "");
	buf_put_u64(&buf, UINT64_MAX);
	buf_putc(&buf, ' ');
	buf_put_i64(&buf, INT64_MIN);
	buf_printf(&buf, " %s%c%d", "x", 'y', 7);
	assert_text(&buf, "a18446744073709551615 -9223372036854775808 xy7");
}

static void clear_keeps_the_room(void **state)
{
	struct buf buf CLEANUP_BUF = BUF_INIT;

	buf_puts(&buf, "text");
	const char *data = buf.data;
	buf_clear(&buf);
	buf_puts(&buf, "new");
	assert_ptr_equal(buf.data, data);
	assert_text(&buf, "new");
}

static void fixed_fills_to_the_last_byte_and_remembers(void **state)
{
	char array[4];
	struct buf buf = BUF_FIXED(array);

	buf_puts(&buf, "abcd");
	assert_text(&buf, "abcd");
	buf_putc(&buf, 'e');
	assert_int_equal(buf_error(&buf), -EFBIG);
	assert_int_equal(buf.len, 4);
	assert_memory_equal(array, "abcd", 4);
	/* What came later would leave a hole, even where it fits. */
	buf.len = 0;
	buf_putc(&buf, 'x');
	assert_int_equal(buf.len, 0);
	buf_clear(&buf);
	buf_putc(&buf, 'x');
	assert_text(&buf, "x");
	buf_deinit(&buf);
}

static void fixed_refuses_a_print_that_does_not_fit(void **state)
{
	char array[4] = "";
	struct buf buf = BUF_FIXED(array);

	buf_printf(&buf, "%d", 12345);
	assert_int_equal(buf_error(&buf), -EFBIG);
	assert_int_equal(buf.len, 0);
}

static void what_was_escaped_comes_back(void **state)
{
	struct buf text CLEANUP_BUF = BUF_INIT, back CLEANUP_BUF = BUF_INIT;
	char all[256];

	for (int i = 0; i < 256; i++)
		all[i] = (char)i;
	buf_put_escaped(&text, all, sizeof(all));
	buf_put_unescaped(&back, text.data, text.len);
	assert_int_equal(back.len, sizeof(all));
	assert_memory_equal(back.data, all, sizeof(all));
	/* What is no escape is itself. */
	buf_clear(&back);
	buf_put_unescaped(&back, "\\9\\08a\\01", 10);
	assert_memory_equal(back.data, "\\9\\08a\\01", back.len);
	assert_int_equal(back.len, 10);
}

static void a_size_without_memory_is_remembered(void **state)
{
	struct buf buf CLEANUP_BUF = BUF_INIT;

	buf_puts(&buf, "kept");
	assert_null(buf_reserve(&buf, SIZE_MAX - 4));
	assert_int_equal(buf_error(&buf), -ENOMEM);
	assert_int_equal(buf.len, 4);
	assert_memory_equal(buf.data, "kept", 4);
}

static void reserve_gives_room_even_for_nothing(void **state)
{
	struct buf buf CLEANUP_BUF = BUF_INIT;

	assert_non_null(buf_reserve(&buf, 0));
	char *room = buf_reserve(&buf, 1000);
	assert_non_null(room);
	memset(room, 'z', 1000);
	buf.len += 1000;
	assert_true(buf.cap >= 1000);
}

static void escapes_as_proc_mounts_does(void **state)
{
	struct buf buf CLEANUP_BUF = BUF_INIT;

	buf_put_escaped(&buf, "a b\t\n\\\177\0\033\xc3\xa4", 11);
	assert_text(&buf, "a b\\011\\012\\134\\177\\000\\033\xc3\xa4");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(grows_and_keeps_everything),
		cmocka_unit_test(takes_every_kind),
		cmocka_unit_test(clear_keeps_the_room),
		cmocka_unit_test(fixed_fills_to_the_last_byte_and_remembers),
		cmocka_unit_test(fixed_refuses_a_print_that_does_not_fit),
		cmocka_unit_test(what_was_escaped_comes_back),
		cmocka_unit_test(a_size_without_memory_is_remembered),
		cmocka_unit_test(reserve_gives_room_even_for_nothing),
		cmocka_unit_test(escapes_as_proc_mounts_does),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
