/* SPDX-License-Identifier: MIT */
#include "schema/proc/meminfo.h"
#include "schema/base/num.h"

void meminfo_parse(struct system_values *values, const char *text, size_t len)
{
	struct kv_cursor cursor = kv_begin_lines(text, len);
	struct span key, value;

	while (kv_next(&cursor, &key, &value)) {
		int id = metric_find(&system_metrics, METRIC_SOURCE_MEMINFO, key);
		uint64_t number;
		if (id < 0)
			continue;
		/* HugePages_* and their like count; everything else is in kB. */
		if (system_metrics.rows[id].unit == METRIC_BYTES ? num_parse_kb(value.p, value.n, &number)
								 : num_parse_whole(value.p, value.n, &number))
			system_values_set(values, (enum system_metric)id, number);
	}
	system_values_derive(values);
}
