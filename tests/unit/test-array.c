/* SPDX-License-Identifier: MIT */
/* Arrays that grow by one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "schema/base/array.h"

struct pair {
	uint32_t number;
	char name[9]; /* an odd size */
};

static void elements_stay_where_they_were_put(void **state)
{
	struct pair *pair = NULL;
	size_t n = 0, cap = 0;

	for (uint32_t i = 0; i < 1000; i++) {
		struct pair *place = array_push(&pair, &n, &cap);

		assert_non_null(place);
		assert_int_equal(n, i + 1);
		assert_true(place == &pair[i] && cap >= n);
		*place = (struct pair) { i, "eight..." };
	}
	for (uint32_t i = 0; i < n; i++) {
		assert_int_equal(pair[i].number, i);
		assert_string_equal(pair[i].name, "eight...");
	}
	free(pair);
}

/* At the begin, in the midst and at the end, with room and without. */
static void what_is_inserted_moves_the_rest(void **state)
{
	int64_t *number = NULL;
	size_t n = 0, cap = 0;

	for (int64_t i = 0; i < 300; i++) {
		size_t at = (size_t)i * 7919 % (n + 1);
		int64_t before = at ? number[at - 1] : -1, after = at < n ? number[at] : -1;
		int64_t *place = array_insert(&number, &n, &cap, at);

		assert_non_null(place);
		*place = i;
		assert_int_equal(n, i + 1);
		assert_int_equal(number[at], i);
		assert_int_equal(at ? number[at - 1] : -1, before);
		assert_int_equal(at + 1 < n ? number[at + 1] : -1, after);
	}
	bool seen[300] = { false };
	for (size_t i = 0; i < n; i++)
		seen[number[i]] = true;
	for (size_t i = 0; i < n; i++)
		assert_true(seen[i]);
	free(number);
}

static void without_memory_nothing_changes(void **state)
{
	char *byte = malloc(1), *was = byte;
	size_t n = SIZE_MAX / 2 + 2, cap = n; /* twice that is more than there is */

	assert_non_null(byte);
	assert_null(array_push(&byte, &n, &cap));
	assert_true(byte == was && n == SIZE_MAX / 2 + 2 && cap == n);
	uint64_t *wide = NULL;
	n = cap = SIZE_MAX / 8;
	assert_null(array_push(&wide, &n, &cap));
	assert_true(!wide && n == SIZE_MAX / 8 && cap == n);
	free(byte);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(elements_stay_where_they_were_put),
		cmocka_unit_test(what_is_inserted_moves_the_rest),
		cmocka_unit_test(without_memory_nothing_changes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
