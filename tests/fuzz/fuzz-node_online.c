/* SPDX-License-Identifier: MIT */
/* The list of NUMA nodes: what is found is not below what was asked for, and is found again. */
#include "schema/proc/node_online.h"
#include "tests/fuzz/fuzz.h"

enum { STEPS = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	uint32_t node, again;

	for (uint32_t from = 0, i = 0; i < STEPS && node_online_next(text, size, from, &node); i++) {
		CHECK(node >= from);
		CHECK(node_online_next(text, size, node, &again) && again == node);
		if (node == UINT32_MAX)
			break;
		from = node + 1;
	}
	return 0;
}
