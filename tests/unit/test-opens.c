/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "fs/fuse/opens.h"
#include "schema/base/clock.h"
#include "tests/unit/fs_world.h"

enum { PAGE = 4096, LARGE = 100000, NS_A_SECOND = 1000000000, ROOT = 0 };

struct bench {
	struct world world;
	struct opens *opens;
};

static struct bench begin(void)
{
	struct bench bench = { 0 };

	world_keep(&bench.world);
	assert_int_equal(opens_new(bench.world.keep, &bench.opens), 0);
	return bench;
}

static void begin_again(struct bench *bench)
{
	opens_free(bench->opens);
	world_map_again(&bench->world);
	assert_int_equal(opens_new(bench->world.keep, &bench->opens), 0);
}

static void end(struct bench *bench)
{
	opens_free(bench->opens);
	world_deinit(&bench->world);
}

static uint64_t add(struct bench *bench, uint64_t unique, const char *text)
{
	uint64_t handle = 0;

	assert_int_equal(opens_add(bench->opens, unique, 50, ROOT, text, strlen(text), 0, &handle), 0);
	return handle;
}

static void assert_reads(struct bench *bench, uint64_t handle, const char *text)
{
	const char *bytes;
	size_t len;

	assert_int_equal(opens_read(bench->opens, handle, 0, SIZE_MAX, &bytes, &len), 0);
	assert_int_equal(len, strlen(text));
	assert_memory_equal(bytes, text, len);
}

static void assert_gone(struct bench *bench, uint64_t handle)
{
	const char *bytes;
	size_t len;

	assert_int_equal(opens_read(bench->opens, handle, 0, 10, &bytes, &len), -ESTALE);
	assert_null(opens_get(bench->opens, handle));
}

static void reads_of_parts(void **state)
{
	struct bench bench = begin();
	uint64_t handle = add(&bench, 1, "0123456789"), empty = add(&bench, 2, "");
	const char *bytes;
	size_t len;

	assert_int_equal(opens_read(bench.opens, handle, 3, 4, &bytes, &len), 0);
	assert_int_equal(len, 4);
	assert_memory_equal(bytes, "3456", 4);
	assert_int_equal(opens_read(bench.opens, handle, 8, 4, &bytes, &len), 0);
	assert_int_equal(len, 2);
	static const size_t beyond[] = { 10, 11, SIZE_MAX };
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(opens_read(bench.opens, handle, beyond[i], 4, &bytes, &len), 0);
		assert_int_equal(len, 0);
	}
	assert_reads(&bench, empty, "");
	const struct keep_open *slot = opens_get(bench.opens, handle);
	assert_non_null(slot);
	assert_int_equal(slot->uid, ROOT);
	assert_int_equal(slot->id, 50);
	end(&bench);
}

static void an_error_is_for_the_read_to_bring(void **state)
{
	struct bench bench = begin();
	uint64_t handle;
	const char *bytes;
	size_t len;

	assert_int_equal(opens_add(bench.opens, 1, 50, 0, NULL, 0, ESRCH, &handle), 0);
	assert_int_equal(opens_read(bench.opens, handle, 0, 10, &bytes, &len), -ESRCH);
	begin_again(&bench);
	assert_int_equal(opens_read(bench.opens, handle, 0, 10, &bytes, &len), -ESRCH);
	end(&bench);
}

static void the_next_serve_reads_on(void **state)
{
	struct bench bench = begin();
	uint64_t a = add(&bench, 1, "first"), b = add(&bench, 2, "second"), c = add(&bench, 3, "third");
	uint64_t empty = add(&bench, 4, "");

	opens_release(bench.opens, b);
	begin_again(&bench);
	assert_reads(&bench, a, "first");
	assert_gone(&bench, b);
	assert_reads(&bench, c, "third");
	assert_reads(&bench, empty, "");
	/* What it opens anew lies beside. */
	uint64_t d = add(&bench, 5, "fourth");
	assert_reads(&bench, a, "first");
	assert_reads(&bench, c, "third");
	assert_reads(&bench, d, "fourth");
	end(&bench);
}

static void a_request_sent_again_finds_its_slot(void **state)
{
	struct bench bench = begin();
	uint64_t handle = add(&bench, 1234, "text"), found = 0;

	add(&bench, 1236, "other");
	begin_again(&bench);
	uint64_t again = OPENS_UNIQUE(UINT64_C(1) << 63 | 1234);
	assert_int_equal(again, 1234);
	assert_true(opens_find_request(bench.opens, again, 50, &found));
	assert_int_equal(found, handle);
	found = 77;
	assert_false(opens_find_request(bench.opens, again, 51, &found));
	assert_false(opens_find_request(bench.opens, 1235, 50, &found));
	assert_int_equal(found, 77);
	opens_release(bench.opens, handle);
	assert_false(opens_find_request(bench.opens, again, 50, &found));
	end(&bench);
}

static void a_slot_used_again_has_another_handle(void **state)
{
	struct bench bench = begin();
	uint64_t old = add(&bench, 1, "old");

	opens_release(bench.opens, old);
	assert_gone(&bench, old);
	for (unsigned i = 0; i < 5; i++) {
		uint64_t new = add(&bench, 2 + i, "new");
		assert_true(new % KEEP_OPENS == old % KEEP_OPENS);
		assert_int_not_equal(new, old);
		assert_gone(&bench, old);
		/* A release of the dead one does not touch it. */
		opens_release(bench.opens, old);
		assert_reads(&bench, new, "new");
		opens_release(bench.opens, new);
		begin_again(&bench);
		old = new;
	}
	assert_gone(&bench, 0);
	assert_gone(&bench, UINT64_MAX);
	end(&bench);
}

static void as_many_as_there_are_slots(void **state)
{
	struct bench bench = begin();
	uint64_t handle[KEEP_OPENS], more = 77;

	for (unsigned i = 0; i < KEEP_OPENS; i++)
		handle[i] = add(&bench, i, i % 2 ? "odd" : "");
	assert_int_equal(opens_add(bench.opens, 1, 50, 0, "x", 1, 0, &more), -ENFILE);
	assert_int_equal(more, 77);
	begin_again(&bench);
	assert_int_equal(opens_add(bench.opens, 1, 50, 0, "x", 1, 0, &more), -ENFILE);
	opens_release(bench.opens, handle[9]);
	handle[9] = add(&bench, 9, "nine");
	for (unsigned i = 0; i < KEEP_OPENS; i++)
		assert_reads(&bench, handle[i], i == 9 ? "nine" : i % 2 ? "odd" : "");
	end(&bench);
}

/* A length in the keep stands for bytes that a test need not have. */
static int add_of(struct bench *bench, uid_t uid, const char *text, uint64_t *ret_handle)
{
	return opens_add(bench->opens, 1, 50, uid, text, strlen(text), 0, ret_handle);
}

static void no_user_takes_them_all(void **state)
{
	struct bench bench = begin();
	uint64_t handle = 0, other, n = 0;

	while (!add_of(&bench, 1000, "x", &handle))
		n++;
	assert_int_equal(n, KEEP_OPENS / 4);
	assert_int_equal(opens_get(bench.opens, handle)->uid, 1000);
	assert_int_equal(add_of(&bench, 1000, "x", &other), -EMFILE);
	begin_again(&bench);
	assert_int_equal(add_of(&bench, 1000, "x", &other), -EMFILE);
	assert_int_equal(add_of(&bench, 1001, "x", &other), 0);
	opens_release(bench.opens, handle);
	assert_int_equal(add_of(&bench, 1000, "x", &handle), 0);
	/* Nor do many together leave nothing to root. */
	for (uid_t uid = 1001; uid < 1010; uid++) {
		while (!add_of(&bench, uid, "x", &other))
			n++;
	}
	assert_int_equal(add_of(&bench, 1010, "x", &other), -ENFILE);
	assert_true(n < KEEP_OPENS);
	add(&bench, 1, "root's");
	end(&bench);
}

static void pretend_length(struct bench *bench, uint64_t handle, uint64_t len)
{
	opens_get(bench->opens, handle)->len = len;
	begin_again(bench);
}

static void sizes_to_the_limit(void **state)
{
	struct bench bench = begin();
	char *text = malloc(3 * PAGE);
	uint64_t large = add(&bench, 1, "large"), handle;
	const char *bytes;
	size_t len;

	assert_non_null(text);
	memset(text, 'z', 3 * PAGE);
	pretend_length(&bench, large, KEEP_OPENS_BYTES - 2 * PAGE);
	assert_int_equal(opens_add(bench.opens, 2, 50, 0, text, 2 * PAGE + 1, 0, &handle), -EFBIG);
	assert_int_equal(opens_add(bench.opens, 2, 50, 0, text, 2 * PAGE, 0, &handle), 0);
	assert_int_equal(opens_get(bench.opens, handle)->offset, KEEP_OPENS_BYTES - 2 * PAGE);
	assert_int_equal(opens_read(bench.opens, handle, 2 * PAGE - 1, 5, &bytes, &len), 0);
	assert_int_equal(len, 1);
	assert_int_equal(*bytes, 'z');
	/* Not a byte more, but nothing needs no room. */
	assert_int_equal(opens_add(bench.opens, 3, 50, 0, text, 1, 0, &handle), -EFBIG);
	add(&bench, 3, "");
	opens_release(bench.opens, large);
	assert_int_equal(opens_add(bench.opens, 4, 50, 0, text, 1, 0, &handle), -EFBIG);
	end(&bench);
	/* One that has all of it. */
	bench = begin();
	large = add(&bench, 1, "x");
	pretend_length(&bench, large, KEEP_OPENS_BYTES);
	assert_int_equal(opens_read(bench.opens, large, KEEP_OPENS_BYTES - 1, 5, &bytes, &len), 0);
	assert_int_equal(len, 1);
	assert_int_equal(*bytes, 0);
	assert_int_equal(opens_add(bench.opens, 2, 50, 0, "y", 1, 0, &handle), -EFBIG);
	free(text);
	end(&bench);
}

static uint64_t next_random(uint64_t *seed)
{
	*seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407;
	return *seed >> 33;
}

struct extent {
	uint64_t handle, offset, len;
	char mark;
};

static void assert_apart(const struct extent *extents, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(extents[i].offset % PAGE, 0);
		assert_true(extents[i].offset + extents[i].len <= KEEP_OPENS_BYTES);
		for (unsigned j = 0; j < i; j++)
			assert_true(extents[i].offset + extents[i].len <= extents[j].offset ||
				    extents[j].offset + extents[j].len <= extents[i].offset);
	}
}

static void assert_marked(struct bench *bench, const struct extent *extent)
{
	const char *bytes;
	size_t len;

	assert_int_equal(opens_read(bench->opens, extent->handle, 0, SIZE_MAX, &bytes, &len), 0);
	assert_int_equal(len, extent->len);
	for (size_t i = 0; i < len; i++)
		assert_true(bytes[i] == extent->mark);
}

static void extents_never_overlap(void **state)
{
	enum { MANY = 60, ROUNDS = 4000 };
	struct bench bench = begin();
	struct extent extents[MANY];
	char *text = malloc(LARGE);
	unsigned n = 0;
	uint64_t seed = 42;

	assert_non_null(text);
	for (unsigned round = 0; round < ROUNDS; round++) {
		if (n == MANY || (n && next_random(&seed) % 5 < 2)) {
			unsigned victim = (unsigned)(next_random(&seed) % n);
			assert_marked(&bench, &extents[victim]);
			opens_release(bench.opens, extents[victim].handle);
			extents[victim] = extents[--n];
		} else {
			struct extent *new = &extents[n++];
			/* Up to what is used again at once when released. */
			new->len = 1 + next_random(&seed) % (next_random(&seed) % 4 ? 3 * PAGE : 60000);
			new->mark = (char)('a' + round % 26);
			memset(text, new->mark, new->len);
			assert_int_equal(
				opens_add(bench.opens, round, 50, 0, text, new->len, 0, &new->handle), 0);
			new->offset = opens_get(bench.opens, new->handle)->offset;
			assert_apart(extents, n);
		}
		if (round % 500 == 499)
			begin_again(&bench);
	}
	for (unsigned i = 0; i < n; i++) {
		assert_marked(&bench, &extents[i]);
		opens_release(bench.opens, extents[i].handle);
	}
	free(text);
	end(&bench);
}

static uint64_t offset_of(struct bench *bench, uint64_t handle)
{
	return opens_get(bench->opens, handle)->offset;
}

static void the_first_gap_that_is_large_enough(void **state)
{
	struct bench bench = begin();
	char text[2 * PAGE + 1];
	uint64_t handle[5], wide;

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = 0;
	for (unsigned i = 0; i < 5; i++) {
		handle[i] = add(&bench, i, i == 3 ? text : "page");
		assert_int_equal(offset_of(&bench, handle[i]), (i > 3 ? i + 1 : i) * PAGE);
	}
	opens_release(bench.opens, handle[1]);
	opens_release(bench.opens, handle[3]);
	wide = add(&bench, 10, text);
	assert_int_equal(offset_of(&bench, wide), 3 * PAGE);
	assert_int_equal(offset_of(&bench, add(&bench, 11, "page")), PAGE);
	assert_int_equal(offset_of(&bench, add(&bench, 12, "page")), 6 * PAGE);
	end(&bench);
}

static bool tidied(struct bench *bench, uint64_t offset)
{
	opens_tidy(bench->opens);
	return !bench->world.keep->open_bytes[offset];
}

static void large_ones_are_cleared_later(void **state)
{
	struct bench bench = begin();
	char *text = malloc(LARGE + 1);
	struct stat full, empty;

	assert_non_null(text);
	memset(text, 'x', LARGE);
	text[LARGE] = 0;
	uint64_t large = add(&bench, 1, text), offset = offset_of(&bench, large);
	int64_t released = clock_monotonic_ns();
	opens_release(bench.opens, large);
	assert_gone(&bench, large);
	/* The predecessor may be clearing it: for a time nobody uses the place, nor clears it. */
	assert_false(tidied(&bench, offset));
	assert_true(offset_of(&bench, add(&bench, 2, text)) >= LARGE);
	assert_int_equal(fstat(bench.world.keep_fd, &full), 0);
	begin_again(&bench);
	assert_gone(&bench, large);
	assert_false(tidied(&bench, offset));
	while (!tidied(&bench, offset) && clock_monotonic_ns() - released < 20LL * NS_A_SECOND)
		usleep(50000);
	assert_true(clock_monotonic_ns() - released >= 5LL * NS_A_SECOND);
	assert_int_equal(bench.world.keep->open_bytes[offset], 0);
	assert_int_equal(fstat(bench.world.keep_fd, &empty), 0);
	/* But for the page that was looked at. */
	assert_true(empty.st_blocks <= full.st_blocks - LARGE / 512 + PAGE / 512);
	assert_int_equal(offset_of(&bench, add(&bench, 3, text)), offset);
	free(text);
	end(&bench);
}

static void scribbled_slots_are_refused_not_followed(void **state)
{
	struct bench bench = begin();
	uint64_t good = add(&bench, 1, "good"), bad[6];
	struct keep_open *slot;

	for (unsigned i = 0; i < 6; i++)
		bad[i] = add(&bench, 2 + i, "bad");
	slot = opens_get(bench.opens, bad[0]);
	slot->offset = KEEP_OPENS_BYTES;
	slot = opens_get(bench.opens, bad[1]);
	slot->len = KEEP_OPENS_BYTES + 1;
	slot->offset = 0;
	slot = opens_get(bench.opens, bad[2]);
	slot->len = UINT64_MAX;
	slot = opens_get(bench.opens, bad[3]);
	slot->offset = 5;
	slot = opens_get(bench.opens, bad[4]);
	slot->offset = UINT64_MAX - PAGE + 1;
	slot = opens_get(bench.opens, bad[5]);
	slot->state = 99;
	begin_again(&bench);
	for (unsigned i = 0; i < 6; i++)
		assert_gone(&bench, bad[i]);
	assert_reads(&bench, good, "good");
	for (unsigned i = 0; i < KEEP_OPENS - 1; i++)
		add(&bench, 100 + i, "");
	assert_reads(&bench, good, "good");
	end(&bench);
}

/* Two of a predecessor's that overlap cannot be told apart; what is opened now overlaps neither. */
static void nothing_is_put_onto_scribbled_extents(void **state)
{
	struct bench bench = begin();
	uint64_t wide = add(&bench, 1, "wide"), within = add(&bench, 2, "within"),
		 far = add(&bench, 3, "far");

	opens_get(bench.opens, within)->offset = PAGE;
	opens_get(bench.opens, far)->offset = 200 * PAGE;
	pretend_length(&bench, wide, 100 * PAGE);
	uint64_t new = offset_of(&bench, add(&bench, 4, "new"));
	assert_int_equal(new, 100 * PAGE);
	end(&bench);
}

/* Times of a clock that stood elsewhere. */
static void scribbled_times_only_delay(void **state)
{
	static const int64_t times[] = { INT64_MIN, -1, INT64_MAX };
	struct bench bench = begin();
	char *text = malloc(LARGE + 1);

	assert_non_null(text);
	memset(text, 'x', LARGE);
	text[LARGE] = 0;
	for (int i = 0; i < 3; i++) {
		uint64_t handle = add(&bench, (uint64_t)i, text);
		struct keep_open *slot = opens_get(bench.opens, handle);
		opens_release(bench.opens, handle);
		slot->time_ns = times[i];
		begin_again(&bench);
		opens_tidy(bench.opens);
	}
	free(text);
	end(&bench);
}

static void lengths_are_remembered(void **state)
{
	struct bench bench = begin();

	assert_int_equal(opens_last_length(bench.opens, 50), -1);
	opens_remember_length(bench.opens, 50, 123);
	assert_int_equal(opens_last_length(bench.opens, 50), 123);
	opens_remember_length(bench.opens, 50, 0);
	assert_int_equal(opens_last_length(bench.opens, 50), 0);
	/* Many more than fit: each that is remembered is the right one. */
	for (uint64_t id = 1000; id < 50000; id++)
		opens_remember_length(bench.opens, id << 20, id);
	unsigned remembered = 0;
	for (uint64_t id = 1000; id < 50000; id++) {
		int64_t len = opens_last_length(bench.opens, id << 20);
		assert_true(len == -1 || len == (int64_t)id);
		remembered += len >= 0;
	}
	assert_true(remembered > 1000);
	end(&bench);
}

static void count(void *ctx, struct keep_open *slot)
{
	unsigned *n = ctx;
	*n += slot->uid == ROOT;
}

static void each_open_one(void **state)
{
	struct bench bench = begin();
	unsigned n = 0;

	add(&bench, 1, "a");
	opens_release(bench.opens, add(&bench, 2, "b"));
	add(&bench, 3, "");
	opens_each(bench.opens, count, &n);
	assert_int_equal(n, 2);
	end(&bench);
}

struct crowd {
	struct bench *bench;
	unsigned seed;
	unsigned wrong;
};

static void *open_and_close(void *ctx)
{
	struct crowd *crowd = ctx;
	struct opens *opens = crowd->bench->opens;
	uint64_t seed = crowd->seed;
	char *text = malloc(20000);

	for (unsigned i = 0; text && i < 3000; i++) {
		size_t size = 1 + next_random(&seed) % 20000, len;
		const char *bytes;
		uint64_t handle;
		memset(text, (char)('a' + crowd->seed), size);
		if (opens_add(opens, i, crowd->seed, 0, text, size, 0, &handle) ||
			opens_read(opens, handle, 0, SIZE_MAX, &bytes, &len) || len != size ||
			memcmp(bytes, text, len) != 0)
			crowd->wrong++;
		else
			opens_release(opens, handle);
	}
	free(text);
	return NULL;
}

static void threads_have_their_own_bytes(void **state)
{
	enum { THREADS = 4 };
	struct bench bench = begin();
	struct crowd crowd[THREADS];
	pthread_t thread[THREADS];

	for (unsigned i = 0; i < THREADS; i++) {
		crowd[i] = (struct crowd) { &bench, i, 0 };
		assert_int_equal(pthread_create(&thread[i], NULL, open_and_close, &crowd[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(thread[i], NULL);
		assert_int_equal(crowd[i].wrong, 0);
	}
	end(&bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_of_parts),
		cmocka_unit_test(an_error_is_for_the_read_to_bring),
		cmocka_unit_test(the_next_serve_reads_on),
		cmocka_unit_test(a_request_sent_again_finds_its_slot),
		cmocka_unit_test(a_slot_used_again_has_another_handle),
		cmocka_unit_test(as_many_as_there_are_slots),
		cmocka_unit_test(no_user_takes_them_all),
		cmocka_unit_test(sizes_to_the_limit),
		cmocka_unit_test(extents_never_overlap),
		cmocka_unit_test(the_first_gap_that_is_large_enough),
		cmocka_unit_test(large_ones_are_cleared_later),
		cmocka_unit_test(scribbled_slots_are_refused_not_followed),
		cmocka_unit_test(nothing_is_put_onto_scribbled_extents),
		cmocka_unit_test(scribbled_times_only_delay),
		cmocka_unit_test(lengths_are_remembered),
		cmocka_unit_test(each_open_one),
		cmocka_unit_test(threads_have_their_own_bytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
