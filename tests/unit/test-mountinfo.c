/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "schema/proc/mountinfo.h"

static struct span span_of(const char *text)
{
	return (struct span) { text, strlen(text) };
}

static struct mountinfo parse(const char *line)
{
	struct mountinfo mount = { 0 };

	assert_true(mountinfo_parse(span_of(line), &mount));
	return mount;
}

static void a_line_is_taken_apart(void **state)
{
	struct mountinfo mount =
		parse("36 35 98:0 /r /mnt/a\\040b rw,noatime shared:1 master:2 - fuse.memfs - rw,user_id=0");

	assert_true(span_equals(mount.dir, "/mnt/a\\040b"));
	assert_true(span_equals(mount.type, "fuse.memfs"));
	assert_true(span_equals(mount.options, "rw,user_id=0"));
	/* No tags; a directory that is called as the separator is. */
	mount = parse("36 35 98:0 / - rw - proc proc rw");
	assert_true(span_equals(mount.dir, "-"));
	assert_true(span_equals(mount.type, "proc"));
	/* An empty source leaves two blanks. */
	mount = parse("36 35 98:0 / /a rw - tmpfs  rw");
	assert_true(span_equals(mount.options, "rw"));
}

static void what_is_no_line_is_refused(void **state)
{
	static const char *const texts[] = { "", " ", "36 35 98:0 / /a rw", "36 35 98:0 / /a rw -",
		"36 35 98:0 / /a rw - proc", "36 35 - proc proc rw" };

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		struct mountinfo mount = { .dir = span_of("untouched") };
		assert_false(mountinfo_parse(span_of(texts[i]), &mount));
		assert_true(span_equals(mount.dir, "untouched"));
	}
}

static void options_are_found_by_name(void **state)
{
	struct mountinfo mount =
		parse("22 27 0:21 / /proc rw - proc proc rw,xhidepid=1,gid=4,hidepid=invisible");
	struct span value;

	assert_true(mountinfo_option(&mount, "hidepid", &value));
	assert_true(span_equals(value, "invisible"));
	assert_true(mountinfo_option(&mount, "gid", &value));
	assert_true(span_equals(value, "4"));
	assert_false(mountinfo_option(&mount, "rw", &value));
	assert_false(mountinfo_option(&mount, "subset", &value));
}

static void directories_are_escaped_as_the_kernel_does(void **state)
{
	CLEANUP_BUF struct buf escaped = BUF_INIT;
	CLEANUP_BUF struct buf back = BUF_INIT;

	mountinfo_escape(&escaped, "/a b\t\\\n\r#");
	buf_putc(&escaped, 0);
	assert_string_equal(escaped.data, "/a\\040b\\011\\134\\012\r#");
	buf_put_unescaped(&back, escaped.data, escaped.len - 1);
	buf_putc(&back, 0);
	assert_string_equal(back.data, "/a b\t\\\n\r#");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_is_taken_apart),
		cmocka_unit_test(what_is_no_line_is_refused),
		cmocka_unit_test(options_are_found_by_name),
		cmocka_unit_test(directories_are_escaped_as_the_kernel_does),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
