/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "schema/proc/pid_smaps.h"
#include "tests/unit/fixtures.h"

enum { ALL = (1 << N_REGION_NUMBERS) - 1, MAPPINGS_MAX = 200 };

static size_t lines_of_heads(const char *text, size_t len)
{
	size_t n = 0;

	/* Heads alone begin with a small letter or a digit. */
	for (size_t i = 0; i < len; i++)
		n += (i == 0 || text[i - 1] == '\n') && (text[i] < 'A' || text[i] > 'Z');
	return n;
}

static void check_process(const char *where, const char *text, size_t len)
{
	struct span rest = { text, len };
	struct pid_region region;
	uint64_t before = 0;
	size_t n = 0;

	for (; pid_smaps_next(&rest, true, &region); n++) {
		assert_true(region.start >= before && region.end > region.start);
		assert_int_equal(region.present, ALL);
		assert_true(region.bytes[REGION_PSS] <= region.bytes[REGION_RSS]);
		assert_true(region.bytes[REGION_RSS] <= region.end - region.start);
		before = region.end;
	}
	assert_int_equal(rest.n, 0);
	assert_int_equal(n, lines_of_heads(text, len));
}

static void reads_every_process(void **state)
{
	assert_true(fixtures_visit("smaps", true, check_process) >= 4);
}

/* Fed in pieces of any size the mappings are those of the whole text: none is taken before it is whole. */
static void check_pieces(const char *where, const char *text, size_t len)
{
	static const size_t steps[] = { 1, 7, 64, 900, 4096 };
	struct pid_region whole[MAPPINGS_MAX], region;
	struct span rest = { text, len };
	size_t n = 0;

	while (pid_smaps_next(&rest, true, &region)) {
		assert_true(n < MAPPINGS_MAX);
		whole[n++] = region;
	}
	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		size_t taken = 0, at = 0;
		for (size_t end = 0; end < len;) {
			end = end + steps[i] < len ? end + steps[i] : len;
			rest = (struct span) { text + at, end - at };
			while (pid_smaps_next(&rest, end == len, &region)) {
				assert_true(taken < n);
				assert_memory_equal(&region, &whole[taken], sizeof(region));
				taken++;
			}
			at = end - rest.n;
		}
		assert_int_equal(taken, n);
		assert_int_equal(at, len);
	}
}

static void pieces_give_what_the_whole_gives(void **state)
{
	assert_true(fixtures_visit("smaps", true, check_pieces) >= 4);
}

static void assert_span(struct span span, const char *expected)
{
	assert_int_equal(span.n, strlen(expected));
	assert_memory_equal(span.p, expected, span.n);
}

static void numbers_and_names_are_of_their_lines(void **state)
{
	struct buf text CLEANUP_BUF = BUF_INIT;
	struct pid_region region;

	fixture_read("linux-4.19/proc/20400/smaps", &text);
	struct span rest = { text.data, text.len };
	assert_true(pid_smaps_next(&rest, true, &region));
	assert_span(region.name, "/usr/lib/postgresql/11/bin/postgres");
	assert_span(region.perms, "r-xp");
	assert_true(pid_smaps_next(&rest, true, &region));
	assert_true(pid_smaps_next(&rest, true, &region));
	assert_int_equal(region.start, 0x56038c400000);
	assert_int_equal(region.end, 0x56038ee00000);
	assert_int_equal(region.bytes[REGION_RSS], 40348 * 1024);
	assert_int_equal(region.bytes[REGION_PSS], 40348 * 1024);
	assert_int_equal(region.bytes[REGION_SWAP], 4056 * 1024);
	assert_int_equal(region.bytes[REGION_REFERENCED], 38000 * 1024);
	assert_true(pid_smaps_next(&rest, true, &region));
	assert_span(region.name, "/anon_hugepage (deleted)");

	buf_clear(&text);
	fixture_read("linux-5.10/proc/4100000/smaps", &text);
	rest = (struct span) { text.data, text.len };
	for (int i = 0; i < 3; i++)
		assert_true(pid_smaps_next(&rest, true, &region));
	assert_int_equal(region.name.n, 0);
}

static void kernels_without_a_line_leave_its_number_out(void **state)
{
	/* As before Linux 2.6.25, and where a number is cut or none. */
	static const char text[] = "00400000-00401000 r-xp 00000000 03:01 12  /a b\n"
				   "Size: 4 kB\nRss: 4 kB\nSwap: 4\nReferenced:\n";
	struct span rest = { text, sizeof(text) - 1 };
	struct pid_region region;

	assert_true(pid_smaps_next(&rest, true, &region));
	assert_int_equal(region.present, 1 << REGION_RSS);
	assert_int_equal(region.bytes[REGION_RSS], 4096);
	assert_span(region.name, "/a b");
	assert_false(pid_smaps_next(&rest, true, &region));
}

static void what_is_no_mapping_is_passed_over(void **state)
{
	static const char text[] =
		"\n-\n12\n12-\n12-x r--p 0 0 0\n2-1 r--p 0 0 0\n12-34 rwxps 0 0 0\n"
		"12-34 r--p 0 0\n11111111111111111-2 r--p 0 0 0\nRss: 1 kB\n"
		"1000-2000 ---p 00000000 00:00 0 \nRss: 4 kB\n3000-4000 r--p 0 0:0 0\nRss: 4";
	struct span rest = { text, sizeof(text) - 1 };
	struct pid_region region;

	assert_true(pid_smaps_next(&rest, false, &region));
	assert_int_equal(region.start, 0x1000);
	assert_int_equal(region.bytes[REGION_RSS], 4096);
	assert_int_equal(region.name.n, 0);
	assert_false(pid_smaps_next(&rest, false, &region));
	assert_memory_equal(rest.p, "3000-", 5);
	assert_true(pid_smaps_next(&rest, true, &region));
	assert_int_equal(region.present, 0);
	assert_false(pid_smaps_next(&(struct span) { NULL, 0 }, true, &region));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_every_process),
		cmocka_unit_test(pieces_give_what_the_whole_gives),
		cmocka_unit_test(numbers_and_names_are_of_their_lines),
		cmocka_unit_test(kernels_without_a_line_leave_its_number_out),
		cmocka_unit_test(what_is_no_mapping_is_passed_over),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
