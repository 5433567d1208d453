/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "schema/proc/node_online.h"

static void check(const char *text, const char *nodes)
{
	char found[128] = "";
	uint32_t node;

	for (uint32_t from = 0; node_online_next(text, strlen(text), from, &node) && strlen(found) < 100;
		from = node + 1)
		snprintf(found + strlen(found), sizeof(found) - strlen(found), "%u ", node);
	assert_string_equal(found, nodes);
}

static void lists_and_ranges_ascend(void **state)
{
	check("0\n", "0 ");
	check("0-3\n", "0 1 2 3 ");
	check("0-1,4,6-7\n", "0 1 4 6 7 ");
	check("6-7,0-1\n", "0 1 6 7 ");
	check("0-2,1-3\n", "0 1 2 3 ");
}

static void nonsense_is_no_node(void **state)
{
	uint32_t node;

	check("", "");
	check("\n", "");
	check("x", "");
	check("3-1\n", "");
	check("1,,2\n", "1 ");
	check("0-\n", "");
	assert_false(node_online_next("99999999999", 11, 0, &node));
	assert_false(node_online_next(NULL, 0, 0, &node));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_and_ranges_ascend),
		cmocka_unit_test(nonsense_is_no_node),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
