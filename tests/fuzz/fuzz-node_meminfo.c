/* SPDX-License-Identifier: MIT */
/* meminfo of a NUMA node: whole kB, and a cut text sets no other than the whole one. */
#include "schema/proc/node_meminfo.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct node_meminfo node, torn;

	node_meminfo_parse(&node, (const char *)data, size);
	for (unsigned i = 0; i < N_NODE_METRICS; i++)
		CHECK(node.present >> i & 1 ? node.bytes[i] % 1024 == 0 : !node.bytes[i]);
	node_meminfo_parse(&torn, (const char *)data, size / 2);
	CHECK(!(torn.present & ~node.present));
	return 0;
}
