/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "schema/proc/node_meminfo.h"
#include "tests/unit/fixtures.h"

static void check(const char *fixture, uint64_t total_kb, uint64_t free_kb, uint64_t used_kb,
	uint64_t anon_kb, uint64_t file_kb)
{
	CLEANUP_BUF struct buf text = BUF_INIT;
	struct node_meminfo node;

	fixture_read(fixture, &text);
	node_meminfo_parse(&node, text.data, text.len);
	assert_int_equal(node.present, (1 << N_NODE_METRICS) - 1);
	assert_int_equal(node.bytes[NODE_METRIC_TOTAL], total_kb * 1024);
	assert_int_equal(node.bytes[NODE_METRIC_FREE], free_kb * 1024);
	assert_int_equal(node.bytes[NODE_METRIC_USED], used_kb * 1024);
	assert_int_equal(node.bytes[NODE_METRIC_ANON], anon_kb * 1024);
	assert_int_equal(node.bytes[NODE_METRIC_FILE], file_kb * 1024);
}

static void reads_several_nodes(void **state)
{
	check("linux-5.10/sys/devices/system/node/node0/meminfo", 4005116, 2816404, 1188712, 210112, 1221784);
	check("linux-5.10/sys/devices/system/node/node1/meminfo", 4005116, 2000000, 2005116, 200000, 999896);
}

static void a_torn_text_gives_no_false_value(void **state)
{
	static const char text[] = "Node 3 MemTotal:       4005116 kB\nNode 3 MemFree:        28 kB\n";
	struct node_meminfo node;

	for (size_t n = 0; n < sizeof(text); n++) {
		node_meminfo_parse(&node, text, n);
		if (node.present & 1 << NODE_METRIC_TOTAL)
			assert_int_equal(node.bytes[NODE_METRIC_TOTAL], UINT64_C(4005116) * 1024);
		if (node.present & 1 << NODE_METRIC_FREE)
			assert_int_equal(node.bytes[NODE_METRIC_FREE], 28 * 1024);
	}
	assert_int_equal(node.present, 1 << NODE_METRIC_TOTAL | 1 << NODE_METRIC_FREE);
}

static void other_lines_are_passed_over(void **state)
{
	static const char text[] = "MemTotal: 1 kB\nNode\nNode 0\nNode 0 MemTotal:\nNode 0 MemTotal: 1\n"
				   "Node 0 MemFree: -1 kB\nNode 0 AnonPages: 7 kB\n";
	struct node_meminfo node;

	node_meminfo_parse(&node, text, sizeof(text) - 1);
	assert_int_equal(node.present, 1 << NODE_METRIC_ANON);
	assert_int_equal(node.bytes[NODE_METRIC_ANON], 7 * 1024);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_several_nodes),
		cmocka_unit_test(a_torn_text_gives_no_false_value),
		cmocka_unit_test(other_lines_are_passed_over),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
