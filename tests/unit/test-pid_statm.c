/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "schema/proc/pid_statm.h"
#include "tests/unit/fixtures.h"

static uint64_t all_rows(void)
{
	uint64_t rows = 0;

	for (unsigned i = 0; i < process_metrics.n; i++) {
		if (process_metrics.rows[i].source == METRIC_SOURCE_PID_STATM)
			rows |= UINT64_C(1) << i;
	}
	return rows;
}

static void check_process(const char *where, const char *text, size_t len)
{
	struct process_values values = { 0 };

	assert_true(pid_statm_parse(&values, text, len, 4096));
	if (strncmp(text, "0 0 0 0 0 0 0", 13) == 0) {
		assert_int_equal(values.present, 0);
		return;
	}
	assert_true(values.present == all_rows());
	assert_true(values.value[PROCESS_RSS] <= values.value[PROCESS_VMS]);
	assert_true(values.value[PROCESS_SHARED] <= values.value[PROCESS_RSS]);
	assert_int_equal(values.value[PROCESS_RSS] % 4096, 0);
}

static void reads_every_process(void **state)
{
	assert_true(fixtures_visit("statm", true, check_process) >= 20);
}

static const char busy[] = "88120 40210 30100 1720 0 9120 0\n";

static void pages_become_bytes(void **state)
{
	struct process_values values = { 0 };

	assert_true(pid_statm_parse(&values, busy, sizeof(busy) - 1, 16384));
	assert_int_equal(values.value[PROCESS_VMS], 88120 * UINT64_C(16384));
	assert_int_equal(values.value[PROCESS_RSS], 40210 * UINT64_C(16384));
	assert_int_equal(values.value[PROCESS_SHARED], 30100 * UINT64_C(16384));
	assert_int_equal(values.value[PROCESS_DATA], 9120 * UINT64_C(16384));
}

static void check_beginning(const char *where, const char *text, size_t len)
{
	struct process_values torn = { 0 }, whole = { 0 };

	assert_true(pid_statm_parse(&whole, busy, sizeof(busy) - 1, 4096));
	if (!pid_statm_parse(&torn, text, len, 4096))
		assert_int_equal(torn.present, 0);
	assert_values_within(torn.present, torn.value, whole.present, whole.value, N_PROCESS_METRICS);
}

static void a_torn_text_is_refused_or_right(void **state)
{
	fixture_tear("", busy, sizeof(busy) - 1, check_beginning);
}

static void a_value_too_large_for_bytes_is_absent(void **state)
{
	static const char text[] = "4503599627370496 4503599627370495 1 1 0 1 0\n";
	struct process_values values = { 0 };

	assert_true(pid_statm_parse(&values, text, sizeof(text) - 1, 4096));
	assert_false(metric_has(values.present, PROCESS_VMS));
	assert_true(values.value[PROCESS_RSS] == UINT64_C(4503599627370495) * 4096);
}

static void what_makes_no_sense_is_refused(void **state)
{
	static const char *const bad[] = { "", "\n", "1 2 3 4 5 6\n", "1 2 3 4 5 6 x\n", "1 2 3 -4 5 6 7\n",
		"1,2,3,4,5,6,7\n", "1 2 3\n4 5 6 7\n", "99999999999999999999 2 3 4 5 6 7\n" };
	struct process_values values = { 0 };

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(pid_statm_parse(&values, bad[i], strlen(bad[i]), 4096));
	assert_false(pid_statm_parse(&values, "1 2 3 4 5 6 7\0", 14, 4096));
	assert_int_equal(values.present, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_every_process),
		cmocka_unit_test(pages_become_bytes),
		cmocka_unit_test(a_torn_text_is_refused_or_right),
		cmocka_unit_test(a_value_too_large_for_bytes_is_absent),
		cmocka_unit_test(what_makes_no_sense_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
