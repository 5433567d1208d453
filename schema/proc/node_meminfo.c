/* SPDX-License-Identifier: MIT */
#include "schema/proc/node_meminfo.h"

#include "schema/base/kv.h"
#include "schema/base/num.h"

static const char *const keys[N_NODE_METRICS] = {
	[NODE_METRIC_TOTAL] = "MemTotal",
	[NODE_METRIC_FREE] = "MemFree",
	[NODE_METRIC_USED] = "MemUsed",
	[NODE_METRIC_ANON] = "AnonPages",
	[NODE_METRIC_FILE] = "FilePages",
};

void node_meminfo_parse(struct node_meminfo *node, const char *text, size_t len)
{
	struct kv_cursor cursor = kv_begin_lines(text, len);
	struct span word, rest, key, value;

	*node = (struct node_meminfo) { 0 };
	while (kv_next(&cursor, &word, &rest)) {
		if (!span_equals(word, "Node") || !span_word(&rest, &word))
			continue;
		struct kv_cursor line = kv_begin(rest.p, rest.n);
		if (!kv_next(&line, &key, &value))
			continue;
		for (unsigned i = 0; i < N_NODE_METRICS; i++) {
			if (span_equals(key, keys[i]) && num_parse_kb(value.p, value.n, &node->bytes[i]))
				node->present |= UINT32_C(1) << i;
		}
	}
}
