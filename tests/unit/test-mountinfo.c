/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "schema/proc/mountinfo.h"

static void assert_span(struct span span, const char *text)
{
	assert_int_equal(span.n, strlen(text));
	assert_memory_equal(span.p, text, span.n);
}

static void columns_are_found_behind_any_optional_fields(void **state)
{
	static const char text[] =
		"25 30 0:22 / /sys rw,nosuid shared:7 - sysfs sysfs rw\n"
		"36 35 98:0 /a\\040b /mnt1 rw shared:1 master:2 propagate_from:3 - cgroup cgroup rw,memory\n"
		"42 32 0:25 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw,nsdelegate\n";
	struct span rest = { text, sizeof(text) - 1 };
	struct mountinfo mount;

	assert_true(mountinfo_next(&rest, &mount));
	assert_span(mount.type, "sysfs");
	assert_true(mountinfo_next(&rest, &mount));
	assert_span(mount.root, "/a\\040b");
	assert_span(mount.point, "/mnt1");
	assert_span(mount.type, "cgroup");
	assert_span(mount.options, "rw,memory");
	assert_true(mountinfo_next(&rest, &mount));
	assert_span(mount.root, "/");
	assert_span(mount.point, "/sys/fs/cgroup");
	assert_span(mount.type, "cgroup2");
	assert_span(mount.options, "rw,nsdelegate");
	assert_false(mountinfo_next(&rest, &mount));
}

static void lines_that_are_none_are_passed_over(void **state)
{
	static const char text[] = "\n1 2 3\n25 30 0:22 / /sys rw shared:7\n25 30 0:22 / /sys rw -\n"
				   "25 30 0:22 / /sys rw - sysfs sysfs rw\n";
	struct span rest = { text, sizeof(text) - 1 };
	struct mountinfo mount;

	assert_true(mountinfo_next(&rest, &mount));
	assert_span(mount.point, "/sys");
	assert_false(mountinfo_next(&rest, &mount));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(columns_are_found_behind_any_optional_fields),
		cmocka_unit_test(lines_that_are_none_are_passed_over),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
