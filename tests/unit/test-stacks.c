/* SPDX-License-Identifier: MIT */
/* Stacks of samples: those of one path share it, and it goes with the last of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "collector/leaks/stacks.h"

enum { DEPTH = 3 };

static struct stack_path *path_of(uint64_t caller, size_t text_bytes)
{
	struct stack_path *path = calloc(1, sizeof(*path) + DEPTH * sizeof(*path->call));

	path->n = DEPTH;
	for (unsigned i = 0; i < DEPTH; i++)
		path->call[i].caller = caller + i;
	path->folded = calloc(1, text_bytes + 1);
	memset(path->folded, 'f', text_bytes);
	return path;
}

static unsigned n_paths(const struct stacks *stacks)
{
	return g_hash_table_size(stacks->path);
}

static void one_path_is_kept_once(void **state)
{
	struct stacks stacks;

	stacks_init(&stacks);
	assert_true(stacks_note(&stacks, 1, 100, path_of(0x1000, 10)));
	size_t bytes = stacks.bytes;
	assert_true(stacks_note(&stacks, 2, 200, path_of(0x1000, 10)));
	assert_int_equal(stacks.bytes, bytes);
	assert_ptr_equal(stacks_find(&stacks, 1, 100)->path, stacks_find(&stacks, 2, 200)->path);
	assert_true(stacks_note(&stacks, 3, 300, path_of(0x2000, 10)));
	assert_int_equal(n_paths(&stacks), 2);
	assert_null(stacks_find(&stacks, 1, 101));
	assert_null(stacks_find(&stacks, 4, 100));

	/* The sample is another block's now, which came the same way, and then none. */
	assert_true(stacks_note(&stacks, 3, 301, path_of(0x2000, 10)));
	assert_null(stacks_find(&stacks, 3, 300));
	assert_true(stacks_note(&stacks, 3, 302, path_of(0x1000, 10)));
	assert_int_equal(n_paths(&stacks), 1);
	assert_int_equal(stacks_find(&stacks, 3, 302)->path->users, 3);
	assert_int_equal(stacks.bytes, bytes);
	stacks_deinit(&stacks);
}

static void what_is_gone_takes_no_room(void **state)
{
	enum { MANY = 5000 };
	struct tally_sample live = { .sample = 7, .number = 1007 };
	const struct tally tally = { .sample = &live, .n_samples = 1 };
	struct stacks stacks;

	stacks_init(&stacks);
	for (uint32_t i = 0; i < MANY; i++)
		assert_true(stacks_note(&stacks, i, 1000 + i, path_of(0x1000 + i * 16, 10)));
	stacks_tidy(&stacks, &tally);
	assert_int_equal(n_paths(&stacks), 1);
	assert_non_null(stacks_find(&stacks, 7, 1007));
	assert_null(stacks_find(&stacks, 8, 1008));
	stacks_deinit(&stacks);
}

static void too_many_are_refused_and_what_was_noted_goes(void **state)
{
	enum { TEXT = 1 << 20 };
	struct stacks stacks;
	uint32_t i = 0;

	stacks_init(&stacks);
	while (stacks_note(&stacks, i, 1, path_of(i * 16, TEXT)))
		i++;
	assert_true(i > STACKS_BYTES / TEXT / 2 && stacks.bytes <= STACKS_BYTES);
	assert_null(stacks_find(&stacks, i, 1));
	/* Its predecessor's room is its own, unless it is too large for that. */
	assert_true(stacks_note(&stacks, 0, 2, path_of(0x100000, TEXT)));
	assert_false(stacks_note(&stacks, 0, 3, path_of(0x200000, 2 * TEXT)));
	assert_null(stacks_find(&stacks, 0, 2));
	assert_true(stacks_note(&stacks, i, 1, path_of(0x300000, TEXT)));
	/* What is known already takes none. */
	assert_true(stacks_note(&stacks, 0, 4, path_of(16, TEXT)));

	struct tally_sample live = { .sample = i, .number = 1 };
	const struct tally tally = { .sample = &live, .n_samples = 1 };
	stacks_tidy(&stacks, &tally);
	assert_int_equal(n_paths(&stacks), 1);
	stacks_deinit(&stacks);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_path_is_kept_once),
		cmocka_unit_test(what_is_gone_takes_no_room),
		cmocka_unit_test(too_many_are_refused_and_what_was_noted_goes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
