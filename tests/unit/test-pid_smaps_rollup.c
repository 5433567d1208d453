/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "schema/proc/pid_smaps_rollup.h"
#include "tests/unit/fixtures.h"

static const uint64_t all =
	UINT64_C(1) << PROCESS_PSS | UINT64_C(1) << PROCESS_USS | UINT64_C(1) << PROCESS_DIRTY;

static void check_process(const char *where, const char *text, size_t len)
{
	struct process_values values = { 0 };

	assert_true(pid_smaps_rollup_parse(&values, text, len));
	assert_true(values.present == all);
	assert_true(values.value[PROCESS_PSS] > 0);
	/* Pss counts all of what is private, save pages of hugetlbfs. */
	if (!memmem(text, len, "Private_Hugetlb:     4096 kB", 28))
		assert_true(values.value[PROCESS_USS] <= values.value[PROCESS_PSS]);
}

static void reads_every_process(void **state)
{
	assert_true(fixtures_visit("smaps_rollup", true, check_process) >= 12);
}

static void check_beginning(const char *where, const char *text, size_t len)
{
	struct process_values torn = { 0 }, whole = { 0 };
	const char *slash = strchr(where, '/');
	struct buf full CLEANUP_BUF = BUF_INIT;
	char path[300];

	snprintf(path, sizeof(path), "%.*s/proc/%s/smaps_rollup", (int)(slash - where), where, slash + 1);
	fixture_read(path, &full);
	assert_true(pid_smaps_rollup_parse(&whole, full.data, full.len));
	bool has_pss = pid_smaps_rollup_parse(&torn, text, len);
	assert_int_equal(has_pss, metric_has(torn.present, PROCESS_PSS));
	assert_values_within(torn.present, torn.value, whole.present, whole.value, N_PROCESS_METRICS);
}

static void tear(const char *where, const char *text, size_t len)
{
	fixture_tear(where, text, len, check_beginning);
}

static void a_torn_text_gives_no_false_value(void **state)
{
	assert_true(fixtures_visit("smaps_rollup", true, tear) >= 12);
}

static void sums_are_of_their_lines(void **state)
{
	struct buf text CLEANUP_BUF = BUF_INIT;
	struct process_values values = { 0 };

	fixture_read("linux-4.19/proc/20400/smaps_rollup", &text);
	assert_true(pid_smaps_rollup_parse(&values, text.data, text.len));
	assert_int_equal(values.value[PROCESS_PSS], 90211 * 1024);
	assert_int_equal(values.value[PROCESS_USS], (10400 + 40440 + 4096) * 1024);
	assert_int_equal(values.value[PROCESS_DIRTY], (40440 + 60000) * 1024);
}

static void a_process_without_memory_has_none(void **state)
{
	struct process_values values = { 0 };
	static const char text[] = "00000000-00000000 ---p 00000000 00:00 0    [rollup]\n";

	assert_false(pid_smaps_rollup_parse(&values, "", 0));
	assert_false(pid_smaps_rollup_parse(&values, NULL, 0));
	assert_false(pid_smaps_rollup_parse(&values, text, sizeof(text) - 1));
	assert_int_equal(values.present, 0);
}

static void a_sum_beyond_64_bits_is_absent(void **state)
{
	static const char text[] = "Pss: 1 kB\nShared_Dirty: 1 kB\nPrivate_Clean: 18014398509481983 kB\n"
				   "Private_Dirty: 1 kB\nPrivate_Hugetlb: 0 kB\n";
	struct process_values values = { 0 };

	assert_true(pid_smaps_rollup_parse(&values, text, sizeof(text) - 1));
	assert_false(metric_has(values.present, PROCESS_USS));
	assert_int_equal(values.value[PROCESS_DIRTY], 2048);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_every_process),
		cmocka_unit_test(a_torn_text_gives_no_false_value),
		cmocka_unit_test(sums_are_of_their_lines),
		cmocka_unit_test(a_process_without_memory_has_none),
		cmocka_unit_test(a_sum_beyond_64_bits_is_absent),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
