/* SPDX-License-Identifier: MIT */
/* /proc/PID/numa_maps: the sums of nodes are the sum of all, also when one text is added to another. */
#include "schema/proc/pid_numa_maps.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct pid_numa_units units = { 4096, 2 << 20 };
	struct pid_numa numa = { .bytes = 0 };
	uint64_t sum = 0;

	size_t n = pid_numa_maps_add(&numa, &units, (const char *)data, size);
	n += pid_numa_maps_add(&numa, &units, (const char *)data, size / 2);
	for (unsigned i = 0; i < NUMA_NODES_MAX; i++)
		CHECK(!__builtin_add_overflow(sum, numa.anon_bytes[i], &sum) &&
			!__builtin_add_overflow(sum, numa.file_bytes[i], &sum));
	CHECK(sum == numa.bytes && (n || !sum));
	return 0;
}
