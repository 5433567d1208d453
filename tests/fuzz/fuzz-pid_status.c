/* SPDX-License-Identifier: MIT */
/* /proc/PID/status: only its rows are set, and what the text lacks stays whatever it was. */
#include "schema/proc/pid_status.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pid_status zeros, ones;

	memset(&zeros, 0, sizeof(zeros));
	memset(&ones, 0xff, sizeof(ones));
	ones.values.present = 0;
	pid_status_parse(&zeros, (const char *)data, size);
	pid_status_parse(&ones, (const char *)data, size);
	/* A field is either what the text says, in both, or what each had. */
	CHECK(zeros.tgid == ones.tgid || (!zeros.tgid && ones.tgid == UINT32_MAX));
	CHECK(zeros.uid == ones.uid || (!zeros.uid && ones.uid == UINT32_MAX));
	CHECK(zeros.gid == ones.gid || (!zeros.gid && ones.gid == UINT32_MAX));
	CHECK(zeros.threads == ones.threads || (!zeros.threads && ones.threads == UINT32_MAX));
	CHECK(zeros.state == ones.state || (!zeros.state && ones.state == (char)0xff));
	CHECK(zeros.values.present == ones.values.present);
	for (unsigned i = 0; i < N_PROCESS_METRICS; i++) {
		if (!metric_has(zeros.values.present, i)) {
			CHECK(!zeros.values.value[i] && ones.values.value[i] == UINT64_MAX);
			continue;
		}
		CHECK(zeros.values.value[i] == ones.values.value[i] && zeros.values.value[i] % 1024 == 0);
		CHECK(process_metrics.rows[i].source == METRIC_SOURCE_PID_STATUS);
	}
	return 0;
}
