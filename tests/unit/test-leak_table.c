/* SPDX-License-Identifier: MIT */
/* What is read of a region: every block once, nothing that is left over, cut or out of bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "collector/leaks/records.h"
#include "collector/leaks/table.h"
#include "collector/leaks/tally.h"
#include "tests/unit/shadow_world.h"

#define HEAP UINT64_C(0x55d5c0000000)
enum { AGE_MS = 100000 };

static struct table_head head_of(const struct shadow_world *world)
{
	struct table_head head;
	const char *fault = NULL;

	assert_int_equal(table_read_head(world->fd, &head, &fault), 0);
	assert_null(fault);
	return head;
}

static struct tally tally_of(const struct shadow_world *world, uint64_t min_age_ms)
{
	struct table_head head = head_of(world);
	struct tally tally;

	assert_int_equal(tally_take(world->fd, &head, shadow_boot_ns(), min_age_ms, NULL, &tally), 0);
	return tally;
}

static struct records records_of(const struct shadow_world *world, uint64_t min_age_ms)
{
	struct table_head head = head_of(world);
	struct records records;

	assert_int_equal(records_take(world->fd, &head, shadow_boot_ns(), min_age_ms, NULL, &records), 0);
	return records;
}

static void every_granule_finds_its_blocks(void **state)
{
	for (uint32_t shift = SHADOW_GRANULE_SHIFT_MIN; shift <= SHADOW_GRANULE_SHIFT_MAX; shift++) {
		struct shadow_world world;
		shadow_world_make(&world, shift, SHADOW_EXACT, AGE_MS);
		uint64_t granule = UINT64_C(1) << shift;
		/* The first and the last of a leaf, one across chunks, one whose size is next to the limit.
		 */
		const struct record put[] = {
			{ HEAP, 1, 7, 3 },
			{ HEAP + granule, 0, 7, 3 },
			{ HEAP + 0x123400, SHADOW_SIZE_FAR - 1, 8, 5 },
			{ HEAP + 0x223400, SHADOW_SIZE_FAR, 8, 4 },
			{ HEAP + 32768 * granule - granule, UINT64_C(1) << 40, 9, 2 },
			{ HEAP + (1 << SHADOW_REGION_SHIFT) - granule, 300000, 9, 6 },
			{ (SHADOW_REGION_LAST << SHADOW_REGION_SHIFT) + 4096, 24, SHADOW_SITES - 1, 1 },
		};
		for (size_t i = 0; i < sizeof(put) / sizeof(*put); i++)
			shadow_world_put(&world, put[i].addr, put[i].size, put[i].site, put[i].epoch, 0);

		struct records records = records_of(&world, 0);
		assert_int_equal(records.n, sizeof(put) / sizeof(*put));
		uint32_t epoch = 0;
		for (size_t i = 0; i < records.n; i++) {
			const struct record *record = &records.record[records.order[i]];
			size_t at = 0;
			while (at < sizeof(put) / sizeof(*put) && put[at].addr != record->addr)
				at++;
			assert_true(at < sizeof(put) / sizeof(*put));
			assert_memory_equal(record, &put[at], sizeof(*record));
			assert_true(record->epoch >= epoch);
			epoch = record->epoch;
		}
		records_deinit(&records);
		close(world.fd);
	}
}

static void what_is_left_over_is_no_block(void **state)
{
	struct shadow_world world;
	shadow_world_make(&world, 4, SHADOW_EXACT, AGE_MS);
	SHADOW_POKE_HEADER(&world, attached, UINT64_C(100) << SHADOW_EPOCH_SHIFT);
	shadow_world_put(&world, HEAP, 10, 1, 99, 0);
	shadow_world_put(&world, HEAP + 64, 20, 1, 100, 0);
	/* What the allocator did not give. */
	shadow_world_put(&world, 0, 30, 1, 100, 0);
	/* An extension whose block is gone. */
	shadow_poke_u64(&world, shadow_extension(1 << 20), shadow_world_slot_at(&world, HEAP + 128));
	struct tally tally = tally_of(&world, 0);
	assert_int_equal(tally.live_blocks, 1);
	assert_int_equal(tally.live_bytes, 20);
	tally_deinit(&tally);
	close(world.fd);
}

static void suspects_are_old_and_not_kept(void **state)
{
	struct shadow_world world;
	uint32_t now = shadow_epoch_at(AGE_MS), old = shadow_epoch_at(AGE_MS - 61000);
	shadow_world_make(&world, 4, SHADOW_EXACT, AGE_MS);
	shadow_world_put(&world, HEAP, 100, 1, old, 0);
	shadow_world_put(&world, HEAP + 0x200, 200, 1, now, 0);
	shadow_world_put(&world, HEAP + 0x400, 400, 2, old, SHADOW_KEPT);
	shadow_world_put(&world, HEAP + 0x800, 800, 2, now + 1000, 0);

	struct tally tally = tally_of(&world, 60000);
	assert_int_equal(tally.n, 2);
	assert_int_equal(tally_find(&tally, 1)->suspect_bytes, 100);
	assert_int_equal(tally_find(&tally, 1)->suspect_blocks, 1);
	assert_int_equal(tally_find(&tally, 1)->live_bytes, 300);
	assert_int_equal(tally_find(&tally, 1)->oldest_epoch, old);
	assert_int_equal(tally_find(&tally, 2)->suspect_bytes, 0);
	assert_int_equal(tally_find(&tally, 2)->kept_bytes, 400);
	assert_null(tally_find(&tally, 3));
	assert_null(tally_find(&tally, UINT32_MAX));
	tally_deinit(&tally);

	tally = tally_of(&world, 0);
	assert_int_equal(tally_find(&tally, 1)->suspect_bytes, 300);
	assert_int_equal(tally_find(&tally, 2)->suspect_bytes, 800);
	tally_deinit(&tally);
	/* Nothing is older than the region. */
	tally = tally_of(&world, AGE_MS + 10000);
	assert_int_equal(tally_find(&tally, 1)->suspect_bytes, 0);
	tally_deinit(&tally);
	tally = tally_of(&world, UINT64_MAX);
	assert_int_equal(tally_find(&tally, 1)->suspect_bytes, 0);
	tally_deinit(&tally);
	struct records records = records_of(&world, 60000);
	assert_int_equal(records.n, 2);
	records_deinit(&records);
	close(world.fd);
}

static void samples_stand_for_others(void **state)
{
	struct shadow_world world;
	shadow_world_make(&world, 4, shadow_control(SHADOW_SAMPLE, 1 << 19), AGE_MS);
	shadow_world_put_sample(&world, HEAP, 1024, 5, 1, 0, 1 << 19);
	shadow_world_put_sample(&world, HEAP + 0x1000, 64 << 20, 5, 1, 1, 1 << 19);
	shadow_world_put_sample(&world, HEAP + 0x2000, 4096, 6, 1, SHADOW_SAMPLES - 1, 0);
	/* A sample that another block has by now, one being written, and one of a site out of bounds. */
	shadow_world_put_sample(&world, HEAP + 0x3000, 4096, 6, 1, 3, 1 << 19);
	shadow_world_put_sample(&world, HEAP + 0x4000, 4096, 6, 1, 3, 1 << 19);
	shadow_world_put_sample(&world, HEAP + 0x5000, 4096, 6, 1, 4, 1 << 19);
	shadow_poke_u64(&world, 1, SHADOW_SAMPLES_AT + 4 * sizeof(struct shadow_sample));
	shadow_world_put_sample(&world, HEAP + 0x6000, 4096, SHADOW_SITES, 1, 5, UINT64_MAX);
	SHADOW_POKE_HEADER(&world, control, shadow_control(SHADOW_SAMPLE, 1 << 19));

	struct tally tally = tally_of(&world, 0);
	const struct tally_site *site = tally_find(&tally, 5);
	double small = 1024 / -expm1(-1024.0 / (1 << 19));
	assert_int_equal(site->live_bytes, (uint64_t)(small + 0.5) + (64 << 20));
	assert_int_equal(site->live_blocks, (uint64_t)(small / 1024 + 0.5) + 1);
	site = tally_find(&tally, 6);
	assert_int_equal(site->live_blocks, 1 + 129); /* HEAP + 0x2000, HEAP + 0x4000 */
	assert_int_equal(tally_find(&tally, 0)->live_bytes, 4096);
	tally_deinit(&tally);
	close(world.fd);
}

static void places_are_named_by_what_there_is(void **state)
{
	struct shadow_world world;
	struct table_places places;
	shadow_world_make(&world, 4, SHADOW_EXACT, AGE_MS);
	uint32_t module = shadow_world_module(&world, "/usr/bin/server", 0x400000);
	shadow_world_site(&world, 3, 0x401234, module);
	shadow_world_site(&world, 4, shadow_world_name(&world, "cache"), 0);
	shadow_world_site(&world, 5, 0x401234, module + 1); /* of a module that there is not */
	shadow_world_site(&world, 6, SHADOW_SITE_NAMED | 77, 0);
	shadow_world_site(&world, 7, 0x401234 | SHADOW_SITE_GONE, 0);
	assert_int_equal(table_read_places(world.fd, &places), 0);
	assert_string_equal(table_site_module(&places, 3)->path, "/usr/bin/server");
	assert_int_equal(table_site_caller(&places, 3), 0x401234);
	assert_null(table_site_name(&places, 3));
	assert_string_equal(table_site_name(&places, 4), "cache");
	assert_int_equal(table_site_caller(&places, 4), 0);
	assert_null(table_site_module(&places, 4));
	assert_null(table_site_module(&places, 5));
	assert_null(table_site_name(&places, 6));
	assert_int_equal(table_site_caller(&places, 7), 0x401234);
	assert_null(table_site_module(&places, 0));
	assert_int_equal(table_site_caller(&places, 0), 0);
	table_places_deinit(&places);
	close(world.fd);
}

static void a_header_that_is_none_is_refused(void **state)
{
	struct shadow_world world;
	struct table_head head;
	const char *fault = NULL;
	shadow_world_make(&world, 4, SHADOW_EXACT, AGE_MS);
	SHADOW_POKE_HEADER(&world, state, SHADOW_CLAIMED);
	assert_int_equal(table_read_head(world.fd, &head, &fault), -EAGAIN);
	SHADOW_POKE_HEADER(&world, state, SHADOW_READY);
	SHADOW_POKE_HEADER(&world, granule_shift, 60);
	assert_int_equal(table_read_head(world.fd, &head, &fault), -EPROTO);
	assert_non_null(fault);
	SHADOW_POKE_HEADER(&world, granule_shift, 4);
	SHADOW_POKE_HEADER(&world, leaves, UINT64_MAX);
	assert_int_equal(table_read_head(world.fd, &head, &fault), -EPROTO);
	SHADOW_POKE_HEADER(&world, leaves, 10);
	SHADOW_POKE_HEADER(&world, leaves_used, UINT64_MAX);
	SHADOW_POKE_HEADER(&world, modules_used, UINT64_MAX);
	SHADOW_POKE_HEADER(&world, names_used, UINT64_MAX);
	SHADOW_POKE_HEADER(&world, control, UINT64_MAX);
	assert_int_equal(table_read_head(world.fd, &head, &fault), 0);
	assert_int_equal(head.leaves, 10);
	assert_int_equal(head.modules_used, SHADOW_MODULES);
	assert_int_equal(head.names_used, SHADOW_NAMES);
	assert_int_equal(head.mode, SHADOW_OFF);
	close(world.fd);
}

static void a_wall_clock_that_was_set_since_counts_as_it_is_now(void **state)
{
	struct shadow_world world;
	struct table_head head;
	const char *fault = NULL;
	shadow_world_make(&world, 4, SHADOW_EXACT, AGE_MS);
	assert_int_equal(table_read_head(world.fd, &head, &fault), 0);
	const uint64_t made_ns = head.began_real_ns;
	const int64_t second_ns = 1000000000;
	int64_t now_ns = table_epoch_ns(&head, head.stamp_epoch);

	/* What is no step is that of then, to the nanosecond. */
	SHADOW_POKE_HEADER(&world, created_real_ns, made_ns - 2000000);
	assert_int_equal(table_read_head(world.fd, &head, &fault), 0);
	assert_int_equal(head.began_real_ns, made_ns - 2000000);
	const uint64_t elsewhere[] = { 0, made_ns - 3600 * (uint64_t)second_ns,
		made_ns + 3600 * (uint64_t)second_ns, UINT64_MAX };
	for (size_t i = 0; i < sizeof(elsewhere) / sizeof(*elsewhere); i++) {
		SHADOW_POKE_HEADER(&world, created_real_ns, elsewhere[i]);
		assert_int_equal(table_read_head(world.fd, &head, &fault), 0);
		assert_int_equal(head.created_real_ns, elsewhere[i]);
		int64_t again_ns = table_epoch_ns(&head, head.stamp_epoch);
		assert_true(again_ns > now_ns - second_ns && again_ns < now_ns + second_ns);
	}
	close(world.fd);
}

static void holes_stay_holes(void **state)
{
	struct shadow_world world;
	shadow_world_make(&world, 5, SHADOW_EXACT, AGE_MS);
	shadow_world_put(&world, HEAP + 4096, 10, 1, 1, 0);
	uint64_t before = table_region_bytes(world.fd);
	struct table_places places;
	struct tally tally = tally_of(&world, 0);
	struct records records = records_of(&world, 0);
	assert_int_equal(table_read_places(world.fd, &places), 0);
	assert_int_equal(tally.live_blocks, 1);
	assert_int_equal(table_region_bytes(world.fd), before);
	tally_deinit(&tally);
	records_deinit(&records);
	table_places_deinit(&places);
	close(world.fd);
}

/* A process at work: blocks of one size and their extensions come and go. */
struct writer {
	struct shadow_world *world;
	_Atomic uint64_t *words;
	atomic_bool stop;
};
enum { STILL = 1000, MOVING = 4000 };
#define BIG (UINT64_C(3) << 20)

static void *write_slots(void *ctx)
{
	struct writer *writer = ctx;
	uint64_t big = shadow_slot_make(SHADOW_BLOCK, 2, 1, BIG, 0),
		 small = shadow_slot_make(SHADOW_BLOCK, 3, 1, 48, 0);

	for (unsigned i = 0; !atomic_load(&writer->stop); i++) {
		_Atomic uint64_t *slot = &writer->words[i % MOVING * 2];
		/* free, then another block: of the next granule too. */
		atomic_store(slot, 0);
		if (i / MOVING % 2) {
			atomic_store(slot + 1, small);
			atomic_store(slot, small);
		} else {
			atomic_store(slot + 1, shadow_extension(BIG));
			atomic_store(slot, big);
		}
	}
	return NULL;
}

static int check_sizes(void *ctx, const struct table_block *block, size_t n)
{
	size_t *still = ctx;

	for (size_t i = 0; i < n; i++) {
		assert_true(block[i].size == (block[i].site == 2 ? BIG : block[i].site == 1 ? 24 : 48));
		*still += block[i].site == 1;
	}
	return 0;
}

static void a_running_writer_is_read_whole(void **state)
{
	struct shadow_world world;
	pthread_t thread;
	shadow_world_make(&world, 4, SHADOW_EXACT, AGE_MS);
	for (unsigned i = 0; i < STILL; i++)
		shadow_world_put(&world, HEAP + 0x100000 + i * 32, 24, 1, 1, 0);
	uint64_t at = shadow_world_slot_at(&world, HEAP);
	char *map = mmap(NULL, 1 << 17, PROT_READ | PROT_WRITE, MAP_SHARED, world.fd, (off_t)at);
	assert_true(map != MAP_FAILED);
	struct writer writer = { &world, (_Atomic uint64_t *)map, false };
	assert_int_equal(pthread_create(&thread, NULL, write_slots, &writer), 0);
	struct table_head head = head_of(&world);
	for (int i = 0; i < 300; i++) {
		size_t still = 0;
		assert_int_equal(table_each_block(world.fd, &head, check_sizes, &still), 0);
		assert_int_equal(still, STILL);
	}
	atomic_store(&writer.stop, true);
	pthread_join(thread, NULL);
	munmap(map, 1 << 17);
	close(world.fd);
}

static int stop_at_once(void *ctx, const struct table_block *block, size_t n)
{
	return -ECANCELED;
}

static void whoever_has_enough_ends_the_walk(void **state)
{
	struct shadow_world world;
	shadow_world_make(&world, 4, SHADOW_EXACT, AGE_MS);
	shadow_world_put(&world, HEAP, 24, 1, 1, 0);
	struct table_head head = head_of(&world);
	assert_int_equal(table_each_block(world.fd, &head, stop_at_once, NULL), -ECANCELED);
	close(world.fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_granule_finds_its_blocks),
		cmocka_unit_test(what_is_left_over_is_no_block),
		cmocka_unit_test(suspects_are_old_and_not_kept),
		cmocka_unit_test(samples_stand_for_others),
		cmocka_unit_test(places_are_named_by_what_there_is),
		cmocka_unit_test(a_header_that_is_none_is_refused),
		cmocka_unit_test(a_wall_clock_that_was_set_since_counts_as_it_is_now),
		cmocka_unit_test(holes_stay_holes),
		cmocka_unit_test(a_running_writer_is_read_whole),
		cmocka_unit_test(whoever_has_enough_ends_the_walk),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
