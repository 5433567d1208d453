/* SPDX-License-Identifier: MIT */
/* /proc/pressure/memory: only its rows are set, and a cut text sets no other than the whole one. */
#include "schema/proc/pressure.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct system_values values = { 0 }, torn = { 0 };

	pressure_memory_parse(&values, (const char *)data, size);
	for (unsigned i = 0; i < N_SYSTEM_METRICS; i++) {
		if (metric_has(values.present, i))
			CHECK(system_metrics.rows[i].source == METRIC_SOURCE_PRESSURE_MEMORY);
		else
			CHECK(!values.value[i]);
	}
	pressure_memory_parse(&torn, (const char *)data, size / 2);
	CHECK(!(torn.present & ~values.present));
	return 0;
}
