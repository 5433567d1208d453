/* SPDX-License-Identifier: MIT */
/* /proc/meminfo: only its rows are set, in whole kilobytes, and what a text gives a longer one gives too. */
#include "schema/proc/meminfo.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct system_values values = { 0 }, torn = { 0 };
	uint64_t read = 0;

	meminfo_parse(&values, (const char *)data, size);
	for (unsigned i = 0; i < N_SYSTEM_METRICS; i++) {
		const struct metric *row = &system_metrics.rows[i];
		if (row->source == METRIC_SOURCE_MEMINFO)
			read |= UINT64_C(1) << i;
		if (!metric_has(values.present, i)) {
			CHECK(!values.value[i]);
			continue;
		}
		CHECK(row->source == METRIC_SOURCE_MEMINFO || row->source == METRIC_SOURCE_DERIVED);
		CHECK(row->unit != METRIC_BYTES || values.value[i] % 1024 == 0);
	}
	CHECK(!(values.present >> N_SYSTEM_METRICS));
	if (metric_has(values.present, SYSTEM_USED))
		CHECK(values.value[SYSTEM_USED] <= values.value[SYSTEM_TOTAL]);
	meminfo_parse(&torn, (const char *)data, size - size / 3);
	CHECK(!(torn.present & read & ~values.present));
	return 0;
}
