/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "fs/names.h"
#include "tests/unit/fs_world.h"

static struct span span(const char *text)
{
	return (struct span) { text, strlen(text) };
}

static struct names *begin(struct world *world)
{
	struct names *names;

	assert_int_equal(names_new(world->keep, &names), 0);
	return names;
}

/* As the next serve finds it. */
static struct names *begin_again(struct world *world, struct names *names)
{
	names_free(names);
	world_map_again(world);
	return begin(world);
}

static uint32_t intern(struct names *names, uint64_t parent, struct span name)
{
	uint32_t number = UINT32_MAX;

	assert_int_equal(names_intern(names, parent, name, &number), 0);
	return number;
}

static void assert_name(struct names *names, uint32_t number, uint64_t parent, const char *text)
{
	uint64_t of = 0;
	struct span name = names_get(names, number, &of);

	assert_int_equal(of, parent);
	assert_int_equal(name.n, strlen(text));
	assert_memory_equal(name.p, text, name.n);
}

static void assert_nobody(struct names *names, uint32_t number)
{
	uint64_t parent = 77;
	struct span name = names_get(names, number, &parent);

	assert_int_equal(name.n, 0);
	assert_non_null(name.p);
	assert_int_equal(parent, 77);
}

static void numbers_in_the_order_of_first_use(void **state)
{
	struct world world;
	world_keep(&world);
	struct names *names = begin(&world);

	assert_int_equal(names_count(names), 0);
	assert_nobody(names, 0);
	assert_int_equal(intern(names, 5, span("bash")), 0);
	assert_int_equal(intern(names, 5, span("cat")), 1);
	assert_int_equal(intern(names, 6, span("bash")), 2);
	assert_int_equal(intern(names, 5, span("")), 3);
	assert_int_equal(intern(names, 5, (struct span) { "a\0b", 3 }), 4);
	assert_int_equal(intern(names, 5, (struct span) { "a\0c", 3 }), 5);
	assert_int_equal(intern(names, 5, span("bash")), 0);
	assert_int_equal(intern(names, 5, span("bas")), 6);
	assert_int_equal(names_count(names), 7);
	assert_name(names, 0, 5, "bash");
	assert_name(names, 2, 6, "bash");
	assert_name(names, 3, 5, "");
	assert_nobody(names, 7);
	assert_nobody(names, UINT32_MAX);
	char text[8];
	struct buf buf = BUF_FIXED(text);
	names_put(names, 1, &buf);
	names_put(names, 99, &buf);
	assert_int_equal(buf.len, 3);
	assert_memory_equal(text, "cat", 3);
	names_free(names);
	world_deinit(&world);
}

static void the_next_serve_has_the_same_numbers(void **state)
{
	struct world world;
	world_keep(&world);
	struct names *names = begin(&world);
	char text[32];

	for (uint32_t i = 0; i < 5000; i++) {
		snprintf(text, sizeof(text), "name %u", i);
		assert_int_equal(intern(names, i % 3, span(text)), i);
	}
	names = begin_again(&world, names);
	assert_int_equal(names_count(names), 5000);
	for (uint32_t i = 5000; i--;) {
		snprintf(text, sizeof(text), "name %u", i);
		assert_name(names, i, i % 3, text);
		assert_int_equal(intern(names, i % 3, span(text)), i);
	}
	assert_int_equal(intern(names, 9, span("name 1")), 5000);
	names_free(names);
	world_deinit(&world);
}

/* Killed at any point of an append before it is published. */
static void a_half_made_name_was_never_there(void **state)
{
	struct world world;
	world_keep(&world);
	struct names *names = begin(&world);

	intern(names, 5, span("whole"));
	uint32_t used = world.keep->names.used;
	intern(names, 5, span("torn"));
	/* Everything but the count was written. */
	world.keep->names.n = 1;
	names = begin_again(&world, names);
	assert_nobody(names, 1);
	assert_int_equal(intern(names, 5, span("other")), 1);
	assert_name(names, 0, 5, "whole");
	assert_name(names, 1, 5, "other");
	/* The record was written, the rest was not. */
	world.keep->names.n = 1;
	world.keep->names.used = used;
	world.keep->names.offset[1] = 0;
	names = begin_again(&world, names);
	assert_int_equal(intern(names, 5, span("third")), 1);
	assert_name(names, 0, 5, "whole");
	assert_name(names, 1, 5, "third");
	names_free(names);
	world_deinit(&world);
}

static void what_is_no_record_is_nobody(void **state)
{
	struct world world;
	world_keep(&world);
	struct names *names = begin(&world);
	struct keep_names *kept = &world.keep->names;

	for (int i = 0; i < 6; i++)
		intern(names, 5, (struct span) { "abcdef", (size_t)i + 1 });
	kept->offset[1] = 3;
	kept->offset[2] = KEEP_NAMES_BYTES;
	kept->offset[3] = UINT32_MAX & ~7U;
	memset(kept->bytes + kept->offset[4] + 8, 0xff, 4);
	names = begin_again(&world, names);
	kept = &world.keep->names;
	for (uint32_t i = 1; i < 5; i++)
		assert_nobody(names, i);
	assert_name(names, 0, 5, "a");
	assert_name(names, 5, 5, "abcdef");
	/* They get new numbers, which last. */
	assert_int_equal(intern(names, 5, span("ab")), 6);
	names = begin_again(&world, names);
	assert_int_equal(intern(names, 5, span("ab")), 6);
	names_free(names);
	world_deinit(&world);
}

static void a_wrong_end_of_the_bytes_is_found_again(void **state)
{
	static const uint32_t wrong[] = { 0, 4, 13, UINT32_MAX, KEEP_NAMES_BYTES, KEEP_NAMES_BYTES - 1 };

	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		struct world world;
		world_keep(&world);
		struct names *names = begin(&world);
		intern(names, 5, span("first"));
		intern(names, 5, span("second"));
		world.keep->names.used = wrong[i];
		names = begin_again(&world, names);
		assert_int_equal(intern(names, 5, span("third")), 2);
		assert_name(names, 0, 5, "first");
		assert_name(names, 1, 5, "second");
		assert_name(names, 2, 5, "third");
		names_free(names);
		world_deinit(&world);
	}
}

static void a_count_beyond_the_table_is_none(void **state)
{
	struct world world;
	world_keep(&world);
	struct names *names = begin(&world);

	intern(names, 5, span("lost"));
	world.keep->names.n = KEEP_NAMES + 1;
	assert_int_equal(names_count(names), 0);
	assert_nobody(names, 0);
	names = begin_again(&world, names);
	assert_int_equal(names_count(names), 0);
	assert_int_equal(intern(names, 5, span("new")), 0);
	names_free(names);
	world_deinit(&world);
}

static void full_of_numbers(void **state)
{
	struct world world;
	world_keep(&world);
	struct names *names = begin(&world);
	char text[16];
	uint32_t number = 123;

	for (uint32_t i = 0; i < KEEP_NAMES; i++) {
		snprintf(text, sizeof(text), "%u", i);
		assert_int_equal(intern(names, 1, span(text)), i);
	}
	assert_int_equal(names_intern(names, 1, span("more"), &number), -ENOSPC);
	assert_int_equal(number, 123);
	assert_int_equal(intern(names, 1, span("77")), 77);
	names = begin_again(&world, names);
	assert_int_equal(names_count(names), KEEP_NAMES);
	assert_int_equal(intern(names, 1, span("262143")), 262143);
	assert_int_equal(names_intern(names, 1, span("more"), &number), -ENOSPC);
	names_free(names);
	world_deinit(&world);
}

static void full_of_bytes(void **state)
{
	enum { LONG = 1 << 20 };
	struct world world;
	world_keep(&world);
	struct names *names = begin(&world);
	char *text = calloc(1, LONG);
	uint32_t number = 123, n = 0;
	int r;

	assert_non_null(text);
	while (!(r = names_intern(names, n, (struct span) { text, LONG }, &number)))
		n++;
	assert_int_equal(r, -ENOSPC);
	assert_int_equal(n, KEEP_NAMES_BYTES / LONG - 1);
	/* A short one finds room still. */
	assert_int_equal(intern(names, 1, span("short")), n);
	assert_name(names, n, 1, "short");
	free(text);
	names_free(names);
	world_deinit(&world);
}

struct crowd {
	struct names *names;
	uint32_t number[1000];
};

static void *intern_all(void *ctx)
{
	struct crowd *crowd = ctx;
	char text[32];

	for (uint32_t i = 0; i < 1000; i++) {
		snprintf(text, sizeof(text), "name %u", i);
		if (names_intern(crowd->names, 1, span(text), &crowd->number[i]))
			crowd->number[i] = UINT32_MAX;
		struct span name = names_get(crowd->names, crowd->number[i], NULL);
		if (name.n != strlen(text) || memcmp(name.p, text, name.n) != 0)
			crowd->number[i] = UINT32_MAX;
	}
	return NULL;
}

static void threads_agree_on_numbers(void **state)
{
	enum { THREADS = 4 };
	struct world world;
	world_keep(&world);
	struct names *names = begin(&world);
	struct crowd *crowd = calloc(THREADS, sizeof(*crowd));
	pthread_t thread[THREADS];

	assert_non_null(crowd);
	for (int i = 0; i < THREADS; i++) {
		crowd[i].names = names;
		assert_int_equal(pthread_create(&thread[i], NULL, intern_all, &crowd[i]), 0);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(thread[i], NULL);
	assert_int_equal(names_count(names), 1000);
	for (int i = 0; i < THREADS; i++)
		assert_memory_equal(crowd[i].number, crowd[0].number, sizeof(crowd->number));
	for (int i = 0; i < 1000; i++)
		assert_true(crowd[0].number[i] < 1000);
	free(crowd);
	names_free(names);
	world_deinit(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_in_the_order_of_first_use),
		cmocka_unit_test(the_next_serve_has_the_same_numbers),
		cmocka_unit_test(a_half_made_name_was_never_there),
		cmocka_unit_test(what_is_no_record_is_nobody),
		cmocka_unit_test(a_wrong_end_of_the_bytes_is_found_again),
		cmocka_unit_test(a_count_beyond_the_table_is_none),
		cmocka_unit_test(full_of_numbers),
		cmocka_unit_test(full_of_bytes),
		cmocka_unit_test(threads_agree_on_numbers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
