/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "schema/proc/pid_maps.h"
#include "schema/proc/pid_smaps.h"
#include "tests/unit/fixtures.h"

/* What heads a mapping in smaps is its line in maps. */
static void check_process(const char *where, const char *text, size_t len)
{
	struct span rest = { text, len }, again = rest;
	struct pid_mapping mapping;
	struct pid_region region;
	size_t n = 0;

	for (; pid_maps_next(&rest, true, &mapping); n++) {
		assert_true(pid_smaps_next(&again, true, &region));
		assert_int_equal(mapping.start, region.start);
		assert_int_equal(mapping.end, region.end);
		assert_ptr_equal(mapping.name.p, region.name.p);
		assert_int_equal(!mapping.inode, !mapping.name.n || mapping.name.p[0] == '[');
	}
	assert_false(pid_smaps_next(&again, true, &region));
	assert_true(n > 0);
}

static void reads_every_process(void **state)
{
	assert_true(fixtures_visit("smaps", true, check_process) >= 4);
}

static void columns_are_those_of_the_line(void **state)
{
	static const char text[] =
		"7f0000001000-7f0000003000 r-xp 0002b000 fd:1c 4711     /opt/a b (deleted)\n";
	struct span rest = { text, sizeof(text) - 1 };
	struct pid_mapping mapping;

	assert_true(pid_maps_next(&rest, false, &mapping));
	assert_int_equal(mapping.start, 0x7f0000001000);
	assert_int_equal(mapping.end, 0x7f0000003000);
	assert_int_equal(mapping.offset, 0x2b000);
	assert_int_equal(mapping.major, 0xfd);
	assert_int_equal(mapping.minor, 0x1c);
	assert_int_equal(mapping.inode, 4711);
	assert_true(span_equals(mapping.perms, "r-xp"));
	assert_true(span_equals(mapping.name, "/opt/a b (deleted)"));
	assert_false(pid_maps_next(&rest, true, &mapping));
}

static void torn_lines_wait_for_their_end(void **state)
{
	static const char text[] =
		"1000-2000 r-xp 00000000 08:01 12 /a\n3000-4000 r-xp 00000000 08:01 12 /ab";
	struct span rest = { text, sizeof(text) - 1 };
	struct pid_mapping mapping;

	assert_true(pid_maps_next(&rest, false, &mapping));
	assert_false(pid_maps_next(&rest, false, &mapping));
	assert_memory_equal(rest.p, "3000-", 5);
	assert_true(pid_maps_next(&rest, true, &mapping));
	assert_true(span_equals(mapping.name, "/ab"));
}

static void what_is_no_mapping_is_passed_over(void **state)
{
	static const char *const lines[] = { "", "-", "12", "12-", "12-x r--p 0 0:0 0", "2-1 r--p 0 0:0 0",
		"12-34 rwxps 0 0:0 0", "12-34 r--p 0 0:0", "12-34 r--p 0 0 0", "12-34 r--p x 0:0 0",
		"12-34 r--p 0 0:100000000 0", "12-34 r--p 0 0:0 x", "11111111111111111-2 r--p 0 0:0 0",
		"Rss: 1 kB" };
	struct pid_mapping mapping;

	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++)
		assert_false(pid_maps_parse_line((struct span) { lines[i], strlen(lines[i]) }, &mapping));
	assert_false(pid_maps_next(&(struct span) { NULL, 0 }, true, &mapping));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_every_process),
		cmocka_unit_test(columns_are_those_of_the_line),
		cmocka_unit_test(torn_lines_wait_for_their_end),
		cmocka_unit_test(what_is_no_mapping_is_passed_over),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
