/* SPDX-License-Identifier: MIT */
/* A database in a directory of its own, and hands to put rows in and take them out. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/stat.h>

#include "schema/store/store.h"
#include "tests/unit/scratch.h"

enum { NOBODY = 65534 };

static inline int setup(void **state)
{
	struct scratch *scratch = calloc(1, sizeof(*scratch));

	*state = scratch;
	return scratch_make(scratch);
}

static inline int teardown(void **state)
{
	scratch_remove(*state);
	free(*state);
	return 0;
}

static inline struct store *writer(const struct scratch *scratch)
{
	struct store *store = NULL;
	struct err err = { 0 };
	int r = store_open_writer(scratch->path, &store, &err);

	if (r)
		print_error("%s\n", err.reason);
	assert_int_equal(r, STORE_OK);
	return store;
}

static inline int64_t put_process(
	struct store *store, int64_t boot, uint32_t pid, uint64_t start, const char *comm)
{
	struct store_subject subject = {
		.boot = boot, .pid = pid, .uid = 7, .start_ticks = start, .start_s = 1000, .comm = comm
	};
	int64_t id = 0;

	assert_int_equal(store_put_subject(store, &subject, &id), STORE_OK);
	return id;
}

static inline int take_minute(void *ctx, int64_t minute, const void *blob, size_t len)
{
	char *text = ctx;

	sprintf(text + strlen(text), "%d=%.*s ", (int)minute, (int)len, (const char *)blob);
	return 0;
}

static inline int take_tick(void *ctx, int64_t seq, int64_t time_ns, const void *blob, size_t len)
{
	char *text = ctx;

	sprintf(text + strlen(text), "%d:%d=%.*s ", (int)seq, (int)(time_ns / 1000000000), (int)len,
		(const char *)blob);
	return 0;
}

static inline int take_subject(void *ctx, const struct store_subject *subject)
{
	sprintf(ctx, "%u/%u/%d/%s", subject->pid, subject->uid, (int)subject->end_s, subject->comm);
	return 0;
}

static inline int stop_at_once(void *ctx, int64_t minute, const void *blob, size_t len)
{
	return 42;
}

static inline void put_number(struct store *store, int number)
{
	char text[16];

	sprintf(text, "%d", number);
	assert_int_equal(store_begin(store), STORE_OK);
	assert_int_equal(store_put_minute(store, 0, number, text, strlen(text)), STORE_OK);
	assert_int_equal(store_commit(store), STORE_OK);
}

static inline int count_minutes(void *ctx, int64_t minute, const void *blob, size_t len)
{
	++*(int *)ctx;
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
