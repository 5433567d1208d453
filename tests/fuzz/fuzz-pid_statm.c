/* SPDX-License-Identifier: MIT */
/* /proc/PID/statm: refused and untouched, or its rows in whole pages. */
#include "schema/proc/pid_statm.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct process_values values = { 0 }, larger = { 0 };

	bool fine = pid_statm_parse(&values, (const char *)data, size, 4096);
	for (unsigned i = 0; i < N_PROCESS_METRICS; i++) {
		if (!metric_has(values.present, i)) {
			CHECK(!values.value[i]);
			continue;
		}
		CHECK(fine && process_metrics.rows[i].source == METRIC_SOURCE_PID_STATM);
		CHECK(values.value[i] % 4096 == 0);
	}
	CHECK(pid_statm_parse(&larger, (const char *)data, size, 65536) == fine);
	for (unsigned i = 0; i < N_PROCESS_METRICS; i++)
		CHECK(!metric_has(larger.present, i) || larger.value[i] == values.value[i] * 16);
	return 0;
}
