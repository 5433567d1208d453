/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "schema/metrics.h"

static struct span span_of(const char *text)
{
	return (struct span) { text, strlen(text) };
}

static void check_list(const struct metric_list *list)
{
	for (unsigned i = 0; i < list->n; i++) {
		const struct metric *row = &list->rows[i];
		assert_true(*row->name && *row->doc && row->where);
		assert_int_equal(metric_by_name(list, span_of(row->name)), i);
		if (row->source == METRIC_SOURCE_DERIVED)
			assert_string_equal(row->key, "");
		else
			assert_int_equal(metric_find(list, row->source, span_of(row->key)), i);
		/* The convention that metric_rate_name and Prometheus rely on. */
		const char *total = strstr(row->name, "_total");
		assert_true(row->kind == METRIC_COUNTER ? total && !total[6]
							: !total || strcmp(row->name, "swap_total") == 0);
	}
}

static void every_row_is_found(void **state)
{
	assert_int_equal(system_metrics.n, N_SYSTEM_METRICS);
	assert_int_equal(process_metrics.n, N_PROCESS_METRICS);
	check_list(&system_metrics);
	check_list(&process_metrics);
}

static void ids_are_their_rows(void **state)
{
	assert_string_equal(system_metrics.rows[SYSTEM_SWAP_USED].name, "swap_used");
	assert_int_equal(system_metrics.rows[SYSTEM_SWAP_USED].source, METRIC_SOURCE_DERIVED);
	assert_int_equal(system_metrics.rows[SYSTEM_MAPPED].where, METRIC_STAT);
	assert_string_equal(process_metrics.rows[PROCESS_FILE_PAGES].name, "file");
	assert_int_equal(process_metrics.rows[PROCESS_FILE_PAGES].where, METRIC_FILE | METRIC_STAT);
	assert_int_equal(process_metrics.rows[PROCESS_MAJOR_FAULTS].kind, METRIC_COUNTER);
	assert_int_equal(process_metrics.rows[PROCESS_MAJOR_FAULTS].unit, METRIC_COUNT);
	assert_int_equal(process_metrics.rows[PROCESS_RSS].where,
		METRIC_FILE | METRIC_STAT | METRIC_HISTORY | METRIC_RATE);
}

static void find_wants_key_and_source(void **state)
{
	static const struct {
		const char *key;
		size_t n;
	} nobody[] = { { "", 0 }, { "MemTota", 7 }, { "MemTotal:", 9 }, { "memtotal", 8 },
		{ "MemTotal\0", 9 }, { "M\0mTotal", 8 }, { "Xctive", 6 } };

	for (size_t i = 0; i < sizeof(nobody) / sizeof(*nobody); i++)
		assert_int_equal(metric_find(&system_metrics, METRIC_SOURCE_MEMINFO,
					 (struct span) { nobody[i].key, nobody[i].n }),
			-1);
	assert_int_equal(
		metric_find(&system_metrics, METRIC_SOURCE_PRESSURE_MEMORY, span_of("MemTotal")), -1);
	assert_int_equal(metric_find(&process_metrics, METRIC_SOURCE_MEMINFO, span_of("MemTotal")), -1);
	assert_int_equal(metric_find(&system_metrics, METRIC_SOURCE_DERIVED, span_of("")), -1);
	assert_int_equal(metric_by_name(&system_metrics, span_of("rss")), -1);
	assert_int_equal(metric_by_name(&process_metrics, span_of("")), -1);
}

static void derives_only_from_what_is_known(void **state)
{
	struct system_values values = { 0 };

	system_values_derive(&values);
	assert_int_equal(values.present, 0);
	system_values_set(&values, SYSTEM_TOTAL, 100);
	system_values_set(&values, SYSTEM_SWAP_TOTAL, 0);
	system_values_set(&values, SYSTEM_SWAP_FREE, 0);
	system_values_derive(&values);
	assert_false(metric_has(values.present, SYSTEM_USED));
	assert_true(metric_has(values.present, SYSTEM_SWAP_USED));
	assert_int_equal(values.value[SYSTEM_SWAP_USED], 0);
	system_values_set(&values, SYSTEM_AVAILABLE, 101);
	system_values_derive(&values);
	assert_false(metric_has(values.present, SYSTEM_USED));
	system_values_set(&values, SYSTEM_AVAILABLE, 30);
	system_values_derive(&values);
	assert_int_equal(values.value[SYSTEM_USED], 70);
}

static void assert_rendered(const struct metric *metric, uint64_t value, const char *expected)
{
	char array[32];
	struct buf buf = BUF_FIXED(array);

	metric_value_render(&buf, metric, value);
	assert_int_equal(buf_error(&buf), 0);
	assert_int_equal(buf.len, strlen(expected));
	assert_memory_equal(array, expected, buf.len);
}

static void renders_by_unit(void **state)
{
	const struct metric *percent = &system_metrics.rows[SYSTEM_PRESSURE_MEMORY_SOME_AVG10];

	assert_rendered(&system_metrics.rows[SYSTEM_TOTAL], UINT64_MAX, "18446744073709551615");
	assert_rendered(&process_metrics.rows[PROCESS_MINOR_FAULTS], 0, "0");
	assert_rendered(percent, 0, "0.00");
	assert_rendered(percent, 7, "0.07");
	assert_rendered(percent, 123, "1.23");
	assert_rendered(percent, 10000, "100.00");
}

static void rates_stand_in_the_order_of_the_list(void **state)
{
	static const unsigned system[] = { SYSTEM_USED, SYSTEM_CACHED, SYSTEM_SWAP_USED, SYSTEM_ANON };
	static const char *const process[] = { "rss", "data", "swap", "minor_faults", "major_faults" };

	/* Rows may be appended. */
	for (unsigned i = 0; i < sizeof(system) / sizeof(*system); i++)
		assert_int_equal(metric_rate_metric(&system_metrics, i), system[i]);
	for (unsigned i = 0; i < sizeof(process) / sizeof(*process); i++) {
		unsigned id = metric_rate_metric(&process_metrics, i);
		assert_true(id < process_metrics.n);
		assert_true(span_equals(metric_rate_name(&process_metrics.rows[id]), process[i]));
	}
	/* A gauge keeps its name whatever it ends in. */
	assert_true(span_equals(metric_rate_name(&system_metrics.rows[SYSTEM_SWAP_TOTAL]), "swap_total"));
}

static void windows_are_named_by_their_seconds(void **state)
{
	assert_string_equal(metric_window_name[WINDOW_1S], "1s");
	assert_int_equal(metric_window_seconds[WINDOW_1S], 1);
	assert_string_equal(metric_window_name[WINDOW_10M], "10m");
	assert_int_equal(metric_window_seconds[WINDOW_10M], 600);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_is_found),
		cmocka_unit_test(ids_are_their_rows),
		cmocka_unit_test(find_wants_key_and_source),
		cmocka_unit_test(derives_only_from_what_is_known),
		cmocka_unit_test(renders_by_unit),
		cmocka_unit_test(rates_stand_in_the_order_of_the_list),
		cmocka_unit_test(windows_are_named_by_their_seconds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
