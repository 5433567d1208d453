/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "fs/fuse/snapshot.h"
#include "tests/unit/fs_world.h"

/* The value in decimal, repeated until `length` bytes are full, and a newline. */
static int number_render(
	struct view *view, const struct place *place, const struct caller *caller, struct buf *out)
{
	struct world *world = world_of(view);
	unsigned value = atomic_fetch_add(&world->value, 1), length = world->length;

	world->renders++;
	if (world->error)
		return -world->error;
	do {
		buf_put_u64(out, value);
	} while (out->len + 1 < length && !out->failed);
	if (length && out->len >= length)
		out->len = length - 1;
	buf_putc(out, '\n');
	return 0;
}

static const struct node nodes[] = {
	{ "number", 0444, NODE_NUMBER, NULL, "a number", .render = number_render },
	{ "setting", 0644, NODE_SETTING, NULL, "a setting", .render = number_render },
	{ 0 },
};
static const struct node root = { "", 0555, NODE_DIR, NULL, "the root", .children = nodes };

static const struct place number = { .row = 1, .name = PLACE_NO_NAME };
static const struct place setting = { .row = 2, .name = PLACE_NO_NAME };

static struct place number_of(uint32_t pid)
{
	return (struct place) { .row = 1, .pid = pid, .name = PLACE_NO_NAME };
}

struct bench {
	struct world world;
	struct snapshots *snapshots;
	uint64_t warm[SNAPSHOT_WARM_MAX];
};

static struct bench *begin(void)
{
	struct bench *bench = calloc(1, sizeof(*bench));

	assert_non_null(bench);
	world_keep(&bench->world);
	bench->world.view.freshness_ms = 250;
	assert_int_equal(tree_init(&bench->world.tree, &root), 0);
	assert_int_equal(
		snapshots_new(bench->world.keep, &bench->world.tree, &bench->world.view, &bench->snapshots),
		0);
	return bench;
}

static void begin_again(struct bench *bench)
{
	snapshots_free(bench->snapshots);
	world_map_again(&bench->world);
	assert_int_equal(
		snapshots_new(bench->world.keep, &bench->world.tree, &bench->world.view, &bench->snapshots),
		0);
}

static void end(struct bench *bench)
{
	snapshots_free(bench->snapshots);
	world_deinit(&bench->world);
	free(bench);
}

static struct snapshot_attr attr_of(struct bench *bench, const struct place *place)
{
	struct snapshot_attr attr;

	snapshot_attr(bench->snapshots, place, &attr);
	return attr;
}

static void assert_reads(struct bench *bench, const struct place *place, const char *text)
{
	char bytes[KEEP_LARGE_BYTES];
	size_t len = 0;

	assert_int_equal(snapshot_read(bench->snapshots, place, 0, sizeof(bytes), bytes, &len), 0);
	assert_int_equal(len, strlen(text));
	assert_memory_equal(bytes, text, len);
}

/* What the ticker does. */
static size_t tick(struct bench *bench)
{
	size_t n = snapshots_take_warm(bench->snapshots, bench->warm);

	for (size_t i = 0; i < n; i++)
		assert_true(snapshot_invalidated(bench->snapshots, bench->warm[i]));
	return n;
}

static void one_rendering_between_two_invalidations(void **state)
{
	struct bench *bench = begin();

	bench->world.value = 10;
	for (unsigned round = 0; round < 3; round++) {
		char text[8];
		snprintf(text, sizeof(text), "%u\n", 10 + round);
		for (int i = 0; i < 4; i++) {
			struct snapshot_attr attr = attr_of(bench, &number);
			assert_int_equal(attr.len, strlen(text));
			assert_int_equal(attr.timeout_ms, 0);
			assert_true(attr.mtime_ns > 0);
			assert_reads(bench, &number, text);
		}
		assert_int_equal(bench->world.renders, round + 1);
		assert_int_equal(tick(bench), 1);
		/* A read after the invalidation still serves the bytes whose size is known. */
		assert_reads(bench, &number, text);
		assert_int_equal(bench->world.renders, round + 1);
		assert_int_equal(tick(bench), 1);
	}
	end(bench);
}

static void a_tick_takes_what_was_handed_out_since_and_nothing_else(void **state)
{
	struct bench *bench = begin();
	struct place first = number_of(1), second = number_of(2);

	assert_int_equal(tick(bench), 0);
	attr_of(bench, &first);
	attr_of(bench, &first);
	attr_of(bench, &second);
	assert_int_equal(snapshots_take_warm(bench->snapshots, bench->warm), 2);
	assert_int_equal(bench->warm[0], tree_id(&first));
	assert_int_equal(bench->warm[1], tree_id(&second));
	assert_true(snapshot_invalidated(bench->snapshots, tree_id(&first)));
	assert_true(snapshot_invalidated(bench->snapshots, tree_id(&second)));
	assert_int_equal(tick(bench), 0);
	assert_true(snapshot_invalidated(bench->snapshots, 12345));
	end(bench);
}

static void handed_out_during_an_invalidation_must_be_invalidated_again(void **state)
{
	struct bench *bench = begin();
	uint64_t id = tree_id(&number);

	bench->world.value = 10;
	attr_of(bench, &number);
	assert_int_equal(snapshots_take_warm(bench->snapshots, bench->warm), 1);
	/* Until it is invalidated it is not stale: the same bytes. */
	attr_of(bench, &number);
	assert_reads(bench, &number, "10\n");
	assert_false(snapshot_invalidated(bench->snapshots, id));
	assert_false(snapshot_invalidated(bench->snapshots, id));
	assert_reads(bench, &number, "10\n");
	assert_int_equal(attr_of(bench, &number).len, 3);
	assert_int_equal(bench->world.renders, 1);
	/* It is on the next list. */
	assert_int_equal(tick(bench), 1);
	attr_of(bench, &number);
	assert_reads(bench, &number, "11\n");
	end(bench);
}

static void a_read_alone_counts_as_handed_out(void **state)
{
	struct bench *bench = begin();

	attr_of(bench, &number);
	assert_int_equal(tick(bench), 1);
	assert_reads(bench, &number, "0\n");
	assert_int_equal(snapshots_take_warm(bench->snapshots, bench->warm), 1);
	assert_reads(bench, &number, "0\n");
	assert_false(snapshot_invalidated(bench->snapshots, tree_id(&number)));
	end(bench);
}

static void reads_of_parts(void **state)
{
	struct bench *bench = begin();
	char bytes[16];
	size_t len;

	bench->world.value = 123456;
	attr_of(bench, &number);
	assert_int_equal(snapshot_read(bench->snapshots, &number, 2, 3, bytes, &len), 0);
	assert_int_equal(len, 3);
	assert_memory_equal(bytes, "345", 3);
	assert_int_equal(snapshot_read(bench->snapshots, &number, 5, sizeof(bytes), bytes, &len), 0);
	assert_int_equal(len, 2);
	assert_memory_equal(bytes, "6\n", 2);
	static const size_t beyond[] = { 7, 8, 5000, SIZE_MAX };
	for (size_t i = 0; i < sizeof(beyond) / sizeof(*beyond); i++) {
		len = 99;
		assert_int_equal(
			snapshot_read(bench->snapshots, &number, beyond[i], sizeof(bytes), bytes, &len), 0);
		assert_int_equal(len, 0);
	}
	assert_int_equal(bench->world.renders, 1);
	end(bench);
}

/* With a size of 0 the kernel would not ask for content at all, and an error would be an empty file. */
static void what_failed_has_length_1_and_the_read_brings_the_errno(void **state)
{
	struct bench *bench = begin();
	char bytes[16];
	size_t len = 99;

	bench->world.error = ESRCH;
	assert_int_equal(attr_of(bench, &number).len, 1);
	assert_int_equal(snapshot_read(bench->snapshots, &number, 0, sizeof(bytes), bytes, &len), -ESRCH);
	assert_int_equal(len, 99);
	/* Until the next tick, as any content. */
	bench->world.error = 0;
	assert_int_equal(attr_of(bench, &number).len, 1);
	assert_int_equal(snapshot_read(bench->snapshots, &number, 0, sizeof(bytes), bytes, &len), -ESRCH);
	tick(bench);
	assert_int_equal(attr_of(bench, &number).len, 2);
	assert_reads(bench, &number, "1\n");
	end(bench);
}

static void content_beyond_a_page_is_an_error_not_a_cut(void **state)
{
	struct bench *bench = begin();
	char bytes[KEEP_LARGE_BYTES];
	size_t len;

	bench->world.length = KEEP_LARGE_BYTES;
	assert_int_equal(attr_of(bench, &number).len, KEEP_LARGE_BYTES);
	assert_int_equal(snapshot_read(bench->snapshots, &number, 0, sizeof(bytes), bytes, &len), 0);
	assert_int_equal(len, KEEP_LARGE_BYTES);
	assert_int_equal(bytes[KEEP_LARGE_BYTES - 1], '\n');
	tick(bench);
	bench->world.length = KEEP_LARGE_BYTES + 2;
	assert_int_equal(attr_of(bench, &number).len, 1);
	assert_int_equal(snapshot_read(bench->snapshots, &number, 0, sizeof(bytes), bytes, &len), -EFBIG);
	end(bench);
}

static void grows_and_shrinks_over_the_size_of_a_small_one(void **state)
{
	static const unsigned lengths[] = { 10, KEEP_SMALL_BYTES, KEEP_SMALL_BYTES + 1, 4000, 20,
		KEEP_LARGE_BYTES, KEEP_SMALL_BYTES };
	struct bench *bench = begin();

	for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
		char bytes[KEEP_LARGE_BYTES], text[8];
		size_t len;
		bench->world.length = lengths[i];
		bench->world.value = 7000 + (unsigned)i;
		snprintf(text, sizeof(text), "%u", 7000 + (unsigned)i);
		assert_int_equal(attr_of(bench, &number).len, lengths[i]);
		assert_int_equal(snapshot_read(bench->snapshots, &number, 0, sizeof(bytes), bytes, &len), 0);
		assert_int_equal(len, lengths[i]);
		assert_memory_equal(bytes, text, 4);
		assert_int_equal(tick(bench), 1);
	}
	end(bench);
}

static void settings_are_rendered_at_each_look_and_never_on_the_tickers_list(void **state)
{
	struct bench *bench = begin();

	bench->world.value = 10;
	for (unsigned i = 0; i < 3; i++) {
		char text[8];
		snprintf(text, sizeof(text), "%u\n", 10 + i);
		assert_int_equal(attr_of(bench, &setting).timeout_ms, 1);
		assert_reads(bench, &setting, text);
		assert_reads(bench, &setting, text);
		assert_int_equal(bench->world.renders, i + 1);
		assert_int_equal(tick(bench), 0);
	}
	end(bench);
}

static void beyond_the_warm_ones_there_is_a_timeout_and_no_promise(void **state)
{
	struct bench *bench = begin();
	struct place late = number_of(SNAPSHOT_WARM_MAX + 1);

	for (uint32_t pid = 1; pid <= SNAPSHOT_WARM_MAX; pid++) {
		struct place place = number_of(pid);
		assert_int_equal(attr_of(bench, &place).timeout_ms, 0);
	}
	unsigned renders = bench->world.renders;
	for (unsigned i = 1; i <= 3; i++) {
		char text[16];
		snprintf(text, sizeof(text), "%u\n", (unsigned)bench->world.value);
		assert_int_equal(attr_of(bench, &late).timeout_ms, 250);
		assert_reads(bench, &late, text);
		/* When the timeout is over the kernel asks again, and gets what is new then. */
		assert_int_equal(bench->world.renders, renders + i);
	}
	/* Those that were promised to be told of are not rendered again. */
	struct place first = number_of(1);
	assert_int_equal(attr_of(bench, &first).timeout_ms, 0);
	assert_int_equal(bench->world.renders, renders + 3);
	assert_int_equal(tick(bench), SNAPSHOT_WARM_MAX);
	assert_int_equal(attr_of(bench, &late).timeout_ms, 0);
	assert_int_equal(tick(bench), 1);
	end(bench);
}

static void more_files_than_room_evict_the_oldest_and_are_read_all_the_same(void **state)
{
	/* Twice what the large ones have room for. */
	enum { FILES = 2 * KEEP_LARGE_SETS * KEEP_WAYS };
	struct bench *bench = begin();
	char bytes[KEEP_LARGE_BYTES];
	unsigned evicted = 0;
	size_t len;

	bench->world.length = 200;
	for (uint32_t pid = 1; pid <= FILES; pid++) {
		struct place place = number_of(pid);
		attr_of(bench, &place);
		if (pid % 1000 == 0)
			tick(bench);
	}
	assert_int_equal(bench->world.renders, FILES);
	for (uint32_t pid = FILES; pid >= 1; pid--) {
		struct place place = number_of(pid);
		unsigned renders = bench->world.renders;
		assert_int_equal(snapshot_read(bench->snapshots, &place, 0, sizeof(bytes), bytes, &len), 0);
		assert_int_equal(len, 200);
		evicted += bench->world.renders - renders;
	}
	assert_true(evicted >= FILES / 2);
	assert_true(evicted < FILES);
	end(bench);
}

static void the_next_serve_serves_the_same_bytes_until_they_are_invalidated(void **state)
{
	struct bench *bench = begin();
	struct place fails = number_of(9);

	bench->world.value = 10;
	struct snapshot_attr attr = attr_of(bench, &number);
	bench->world.error = ENODATA;
	attr_of(bench, &fails);
	bench->world.error = 0;
	begin_again(bench);
	assert_reads(bench, &number, "10\n");
	assert_int_equal(attr_of(bench, &number).len, 3);
	assert_int_equal(attr_of(bench, &number).mtime_ns, attr.mtime_ns);
	assert_int_equal(attr_of(bench, &fails).len, 1);
	assert_int_equal(bench->world.renders, 2);
	/* The kernel has both from the predecessor: they are on the first list. */
	assert_int_equal(tick(bench), 2);
	assert_int_equal(attr_of(bench, &number).len, 3);
	assert_reads(bench, &number, "12\n");
	tick(bench);
	begin_again(bench);
	/* What was invalidated needs no telling, but a read gets what its size was told for. */
	assert_int_equal(snapshots_take_warm(bench->snapshots, bench->warm), 0);
	assert_reads(bench, &number, "12\n");
	assert_int_equal(bench->world.renders, 3);
	end(bench);
}

/* Killed between taking the list and invalidating, with the next list full as well. */
static void all_that_a_predecessor_handed_out_is_invalidated(void **state)
{
	enum { FILES = 2 * SNAPSHOT_WARM_MAX };
	struct bench *bench = begin();
	char *seen = calloc(FILES + 1, 1);
	size_t n;

	assert_non_null(seen);
	for (uint32_t pid = 1; pid <= FILES; pid++) {
		struct place place = number_of(pid);
		assert_int_equal(attr_of(bench, &place).timeout_ms, 0);
		if (pid == SNAPSHOT_WARM_MAX)
			snapshots_take_warm(bench->snapshots, bench->warm);
	}
	begin_again(bench);
	while ((n = tick(bench))) {
		for (size_t i = 0; i < n; i++) {
			struct place place;
			assert_true(tree_place(&bench->world.tree, bench->warm[i], &place));
			seen[place.pid] = 1;
		}
	}
	for (uint32_t pid = 1; pid <= FILES; pid++)
		assert_int_equal(seen[pid], 1);
	free(seen);
	end(bench);
}

static void a_half_made_rendering_was_never_there(void **state)
{
	struct bench *bench = begin();
	char bytes[16];
	size_t len;

	attr_of(bench, &number);
	for (size_t i = 0; i < KEEP_SMALL_SETS * KEEP_WAYS; i++) {
		struct keep_small *slot = &bench->world.keep->small[i / KEEP_WAYS][i % KEEP_WAYS];
		if (slot->id == tree_id(&number)) {
			slot->id = 0;
			memset(slot->bytes, 'x', sizeof(slot->bytes));
		}
	}
	begin_again(bench);
	assert_int_equal(snapshots_take_warm(bench->snapshots, bench->warm), 0);
	assert_int_equal(snapshot_read(bench->snapshots, &number, 0, sizeof(bytes), bytes, &len), 0);
	assert_int_equal(len, 2);
	assert_memory_equal(bytes, "1\n", 2);
	end(bench);
}

/* 24 MiB, where each set that could hold something were looked at. */
static void takes_memory_for_what_was_rendered_alone(void **state)
{
	enum { LOOKS = 20, BLOCK = 512, PAGE = 4096 };
	struct bench *bench = begin();
	struct stat st;
	char bytes[16];
	size_t len;

	begin_again(bench);
	assert_int_equal(fstat(bench->world.keep_fd, &st), 0);
	int64_t before = st.st_blocks;
	for (uint32_t pid = 1; pid <= LOOKS; pid++) {
		struct place place = number_of(pid);
		assert_false(snapshot_park(bench->snapshots, &place, 1));
		assert_int_equal(snapshot_read(bench->snapshots, &place, 0, sizeof(bytes), bytes, &len), 0);
	}
	begin_again(bench);
	assert_int_equal(fstat(bench->world.keep_fd, &st), 0);
	assert_in_range(before, 0, 8 * PAGE / BLOCK);
	assert_in_range(st.st_blocks - before, 1, (LOOKS + 8) * PAGE / BLOCK);
	end(bench);
}

/* --- threads: what the kernel's two requests see, while the ticker does its work --- */

struct crowd {
	struct bench *bench;
	atomic_bool stop;
	atomic_uint reads, torn;
};

/* Between two looks with the same time the bytes are of the length that was told for that rendering. */
static void *look_and_read(void *ctx)
{
	struct crowd *crowd = ctx;
	struct snapshots *snapshots = crowd->bench->snapshots;

	for (uint32_t i = 0; !crowd->stop; i++) {
		struct place place = number_of(i % 5);
		struct snapshot_attr before, after;
		char bytes[KEEP_LARGE_BYTES];
		size_t len;
		snapshot_attr(snapshots, &place, &before);
		int r = snapshot_read(snapshots, &place, 0, sizeof(bytes), bytes, &len);
		snapshot_attr(snapshots, &place, &after);
		if (before.mtime_ns != after.mtime_ns)
			continue;
		bool whole =
			!r && len == before.len && bytes[len - 1] == '\n' && !memchr(bytes, '\n', len - 1);
		crowd->torn += !whole;
		crowd->reads++;
	}
	return NULL;
}

static void *tick_on(void *ctx)
{
	struct crowd *crowd = ctx;
	struct snapshots *snapshots = crowd->bench->snapshots;

	while (!crowd->stop) {
		size_t n = snapshots_take_warm(snapshots, crowd->bench->warm);
		for (size_t i = 0; i < n; i++) {
			for (int tries = 0; tries < 4; tries++) {
				if (snapshot_invalidated(snapshots, crowd->bench->warm[i]))
					break;
			}
		}
		/* Lengths on both sides of a small one. */
		crowd->bench->world.length = (crowd->bench->world.length * 7 + 13) % 300 + 12;
	}
	return NULL;
}

static void threads_never_see_bytes_of_another_length(void **state)
{
	enum { READERS = 3, ENOUGH = 20000 };
	struct bench *bench = begin();
	struct crowd crowd = { .bench = bench };
	pthread_t reader[READERS], ticker;

	bench->world.length = 12;
	assert_int_equal(pthread_create(&ticker, NULL, tick_on, &crowd), 0);
	for (int i = 0; i < READERS; i++)
		assert_int_equal(pthread_create(&reader[i], NULL, look_and_read, &crowd), 0);
	while (crowd.reads < ENOUGH || bench->world.renders < 500)
		sched_yield();
	crowd.stop = true;
	for (int i = 0; i < READERS; i++)
		pthread_join(reader[i], NULL);
	pthread_join(ticker, NULL);
	assert_int_equal(crowd.torn, 0);
	end(bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_rendering_between_two_invalidations),
		cmocka_unit_test(a_tick_takes_what_was_handed_out_since_and_nothing_else),
		cmocka_unit_test(handed_out_during_an_invalidation_must_be_invalidated_again),
		cmocka_unit_test(a_read_alone_counts_as_handed_out),
		cmocka_unit_test(reads_of_parts),
		cmocka_unit_test(what_failed_has_length_1_and_the_read_brings_the_errno),
		cmocka_unit_test(content_beyond_a_page_is_an_error_not_a_cut),
		cmocka_unit_test(grows_and_shrinks_over_the_size_of_a_small_one),
		cmocka_unit_test(settings_are_rendered_at_each_look_and_never_on_the_tickers_list),
		cmocka_unit_test(beyond_the_warm_ones_there_is_a_timeout_and_no_promise),
		cmocka_unit_test(more_files_than_room_evict_the_oldest_and_are_read_all_the_same),
		cmocka_unit_test(the_next_serve_serves_the_same_bytes_until_they_are_invalidated),
		cmocka_unit_test(all_that_a_predecessor_handed_out_is_invalidated),
		cmocka_unit_test(a_half_made_rendering_was_never_there),
		cmocka_unit_test(takes_memory_for_what_was_rendered_alone),
		cmocka_unit_test(threads_never_see_bytes_of_another_length),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
