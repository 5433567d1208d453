/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "schema/proc/pressure.h"
#include "tests/unit/fixtures.h"

static struct system_values parse(const char *text, size_t len)
{
	struct system_values values = { 0 };

	pressure_memory_parse(&values, text, len);
	return values;
}

static uint64_t all_rows(void)
{
	uint64_t rows = 0;

	for (unsigned i = 0; i < system_metrics.n; i++) {
		if (system_metrics.rows[i].source == METRIC_SOURCE_PRESSURE_MEMORY)
			rows |= UINT64_C(1) << i;
	}
	return rows;
}

static void check_machine(const char *where, const char *text, size_t len)
{
	assert_true(parse(text, len).present == all_rows());
}

static void reads_every_machine_that_has_it(void **state)
{
	assert_true(fixtures_visit("pressure/memory", false, check_machine) >= 2);
}

static const char busy[] = "some avg10=12.07 avg60=3.40 avg300=0.91 total=918273645\n"
			   "full avg10=100.00 avg60=0.05 avg300=0.80 total=812736450\n";

static void values_are_hundredths(void **state)
{
	struct system_values values = parse(busy, sizeof(busy) - 1);

	assert_int_equal(values.value[SYSTEM_PRESSURE_MEMORY_SOME_AVG10], 1207);
	assert_int_equal(values.value[SYSTEM_PRESSURE_MEMORY_SOME_AVG60], 340);
	assert_int_equal(values.value[SYSTEM_PRESSURE_MEMORY_FULL_AVG10], 10000);
	assert_int_equal(values.value[SYSTEM_PRESSURE_MEMORY_FULL_AVG60], 5);
}

static void check_beginning(const char *where, const char *text, size_t len)
{
	struct system_values torn = parse(text, len), whole = parse(busy, sizeof(busy) - 1);

	assert_values_within(torn.present, torn.value, whole.present, whole.value, N_SYSTEM_METRICS);
}

static void a_torn_text_gives_no_false_value(void **state)
{
	fixture_tear("", busy, sizeof(busy) - 1, check_beginning);
}

static void a_kernel_without_full_has_none(void **state)
{
	static const char text[] = "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n";
	struct system_values values = parse(text, sizeof(text) - 1);

	assert_true(metric_has(values.present, SYSTEM_PRESSURE_MEMORY_SOME_AVG10));
	assert_false(metric_has(values.present, SYSTEM_PRESSURE_MEMORY_FULL_AVG10));
}

static void what_is_no_percentage_is_absent(void **state)
{
	static const char *const bad[] = { "some avg10=1\n", "some avg10=1.2\n", "some avg10=1.234\n",
		"some avg10=.25\n", "some avg10=\n", "some avg10\n", "some =1.00\n", "some avg10=-1.00\n",
		"some avg10=1,00\n", "some avg10=1.0x\n", "some avg10=184467440737095516.16\n",
		"none avg10=1.00\n", "some avg300=1.00\n", "some avg10=1.00", "avg10=1.00\n",
		"some_with_a_very_long_name_of_a_share avg10=1.00\n" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(parse(bad[i], strlen(bad[i])).present, 0);
	struct system_values most = parse("some avg10=184467440737095516.15\n", 33);
	assert_true(most.value[SYSTEM_PRESSURE_MEMORY_SOME_AVG10] == UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_every_machine_that_has_it),
		cmocka_unit_test(values_are_hundredths),
		cmocka_unit_test(a_torn_text_gives_no_false_value),
		cmocka_unit_test(a_kernel_without_full_has_none),
		cmocka_unit_test(what_is_no_percentage_is_absent),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
