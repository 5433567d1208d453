/* SPDX-License-Identifier: MIT */
/* /proc/PID/smaps_rollup: only the three measured rows, pss exactly where the answer says so. */
#include "schema/proc/pid_smaps_rollup.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct process_values values = { 0 }, torn = { 0 };

	bool fine = pid_smaps_rollup_parse(&values, (const char *)data, size);
	CHECK(fine == metric_has(values.present, PROCESS_PSS));
	for (unsigned i = 0; i < N_PROCESS_METRICS; i++) {
		if (metric_has(values.present, i))
			CHECK(process_metrics.rows[i].source == METRIC_SOURCE_MEASURED &&
				values.value[i] % 1024 == 0);
		else
			CHECK(!values.value[i]);
	}
	pid_smaps_rollup_parse(&torn, (const char *)data, size / 2);
	CHECK(fine || !metric_has(torn.present, PROCESS_PSS));
	return 0;
}
