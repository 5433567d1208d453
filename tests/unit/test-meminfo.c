/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "schema/proc/meminfo.h"
#include "tests/unit/fixtures.h"

static struct system_values parse(const char *text, size_t len)
{
	struct system_values values = { 0 };

	meminfo_parse(&values, text, len);
	return values;
}

static void check_machine(const char *where, const char *text, size_t len)
{
	struct system_values values = parse(text, len);
	static const enum system_metric always[] = { SYSTEM_TOTAL, SYSTEM_FREE, SYSTEM_ACTIVE,
		SYSTEM_INACTIVE, SYSTEM_BUFFERS, SYSTEM_CACHED, SYSTEM_SHARED, SYSTEM_SWAP_TOTAL,
		SYSTEM_SWAP_FREE, SYSTEM_SWAP_USED, SYSTEM_DIRTY, SYSTEM_SLAB, SYSTEM_ANON, SYSTEM_MAPPED,
		SYSTEM_COMMITTED };

	for (size_t i = 0; i < sizeof(always) / sizeof(*always); i++)
		assert_true(metric_has(values.present, always[i]));
	/* MemAvailable came with 3.14, Hugetlb with 4.16. */
	bool old = strcmp(where, "linux-3.10") == 0;
	assert_int_equal(metric_has(values.present, SYSTEM_AVAILABLE), !old);
	assert_int_equal(metric_has(values.present, SYSTEM_USED), !old);
	assert_int_equal(metric_has(values.present, SYSTEM_HUGETLB), !old);
	assert_false(metric_has(values.present, SYSTEM_PRESSURE_MEMORY_SOME_AVG10));
	assert_true(values.value[SYSTEM_FREE] < values.value[SYSTEM_TOTAL]);
}

static void reads_every_machine(void **state)
{
	assert_true(fixtures_visit("meminfo", false, check_machine) >= 4);
}

static void check_beginning(const char *where, const char *text, size_t len)
{
	struct system_values torn = parse(text, len), whole;
	struct buf full CLEANUP_BUF = BUF_INIT;
	char path[300];

	snprintf(path, sizeof(path), "%s/proc/meminfo", where);
	fixture_read(path, &full);
	whole = parse(full.data, full.len);
	assert_values_within(torn.present, torn.value, whole.present, whole.value, N_SYSTEM_METRICS);
}

static void tear(const char *where, const char *text, size_t len)
{
	fixture_tear(where, text, len, check_beginning);
}

static void a_torn_text_gives_no_false_value(void **state)
{
	assert_true(fixtures_visit("meminfo", false, tear) >= 4);
}

static void values_are_bytes(void **state)
{
	struct buf text CLEANUP_BUF = BUF_INIT;

	fixture_read("linux-4.19/proc/meminfo", &text);
	struct system_values values = parse(text.data, text.len);
	assert_int_equal(values.value[SYSTEM_TOTAL], UINT64_C(4041008) * 1024);
	assert_int_equal(values.value[SYSTEM_AVAILABLE], UINT64_C(1066008) * 1024);
	assert_int_equal(values.value[SYSTEM_USED], (UINT64_C(4041008) - 1066008) * 1024);
	assert_int_equal(values.value[SYSTEM_SWAP_USED], (UINT64_C(2097148) - 1336304) * 1024);
	assert_int_equal(values.value[SYSTEM_HUGETLB], UINT64_C(16384) * 1024);
	assert_int_equal(values.value[SYSTEM_COMMITTED], UINT64_C(6271704) * 1024);
}

static void every_row_has_its_line(void **state)
{
	for (unsigned i = 0; i < system_metrics.n; i++) {
		const struct metric *row = &system_metrics.rows[i];
		char array[128];
		struct buf text = BUF_FIXED(array);
		if (row->source != METRIC_SOURCE_MEMINFO)
			continue;
		buf_printf(&text, row->unit == METRIC_BYTES ? "%s:   7 kB\n" : "%s:   7\n", row->key);
		struct system_values values = parse(text.data, text.len);
		assert_true(values.present == UINT64_C(1) << i);
		assert_int_equal(values.value[i], row->unit == METRIC_BYTES ? 7 * 1024 : 7);
	}
}

static void what_is_no_number_is_absent(void **state)
{
	static const char text[] =
		"MemTotal: 18014398509481984 kB\nMemFree: 5\nMemAvailable: -1 kB\nBuffers: 5 MB\n"
		"Cached:\nDirty: 5 kB kB\nSlab: 99999999999999999999 kB\nActive: 5 kB\0\n";
	struct system_values values = parse(text, sizeof(text) - 1);

	assert_int_equal(values.present, 0);
}

static void a_value_of_before_stays(void **state)
{
	struct system_values values = { 0 };

	system_values_set(&values, SYSTEM_TOTAL, 10240);
	meminfo_parse(&values, "MemAvailable: 4 kB\n", 19);
	assert_int_equal(values.value[SYSTEM_TOTAL], 10240);
	assert_int_equal(values.value[SYSTEM_USED], 10240 - 4096);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_every_machine),
		cmocka_unit_test(a_torn_text_gives_no_false_value),
		cmocka_unit_test(values_are_bytes),
		cmocka_unit_test(every_row_has_its_line),
		cmocka_unit_test(what_is_no_number_is_absent),
		cmocka_unit_test(a_value_of_before_stays),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
