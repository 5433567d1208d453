/* SPDX-License-Identifier: MIT */
/* What the shim has on record: slots, sites, samples, stacks; sanitized, on addresses of nobody. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <math.h>
#include <pthread.h>
#include <stdio.h>

#include "preload/record.h"
#include "preload/sample.h"
#include "tests/unit/shim_world.h"

/* As a reader sees it: size of the block on record at the address, or -1. */
static int64_t size_on_record(uintptr_t addr)
{
	const _Atomic uint64_t *words = (const _Atomic uint64_t *)(shim.base + SHADOW_LEAVES_AT);
	uint32_t granule_shift = shim.header->granule_shift;

	for (uint64_t leaf = 0; leaf < shim.header->leaves_used; leaf++) {
		uint64_t region = shadow_leaf_region(words[leaf]), index, slot;
		const uint64_t *slots = (const uint64_t *)(shim.leaves + shadow_leaf_at(granule_shift, leaf) -
							   SHADOW_SLOTS_AT);

		if (!words[leaf] || region != addr >> SHADOW_REGION_SHIFT)
			continue;
		index = (addr & ((1 << SHADOW_REGION_SHIFT) - 1)) >> granule_shift;
		slot = slots[index];
		if (shadow_slot_addr(granule_shift, region, index, slot) != addr)
			return -1;
		if (shadow_slot_tag(slot) == SHADOW_SAMPLED)
			return (int64_t)((struct shadow_sample *)(shim.base +
								  SHADOW_SAMPLES_AT))[shadow_slot_site(slot)]
				.size;
		if (shadow_slot_tag(slot) != SHADOW_BLOCK)
			return -1;
		if (shadow_slot_size(slot) != SHADOW_SIZE_FAR)
			return shadow_slot_size(slot);
		assert_int_equal(shadow_slot_tag(slots[index + 1]), SHADOW_EXTENSION);
		return (int64_t)shadow_extension_size(slots[index + 1]);
	}
	return -1;
}

static void *at(uintptr_t addr)
{
	return (void *)addr;
}

static void a_block_is_on_record_until_it_is_freed(void **state)
{
	for (uint32_t shift = SHADOW_GRANULE_SHIFT_MIN; shift <= SHADOW_GRANULE_SHIFT_MAX; shift++) {
		const uintptr_t base = UINT64_C(0x7f1234560000),
				step = shift == 5 ? 48 : UINT64_C(1) << shift;

		region_begin(shift, SHADOW_EXACT);
		for (unsigned i = 0; i < 1000; i++)
			assert_ptr_equal(record_block_any(at(base + i * step), i, 0x400000 + i % 7 * 5),
				at(base + i * step));
		for (unsigned i = 0; i < 1000; i += 2)
			assert_true(record_forget_as(at(base + i * step), shift));
		for (unsigned i = 0; i < 1000; i++)
			assert_int_equal(size_on_record(base + i * step), i % 2 ? (int64_t)i : -1);
		assert_int_equal(shim.header->sites_used, 7);
		assert_int_equal(shim.header->leaves_used, 1);
		assert_int_equal(shim.header->older_freed, 0);
		assert_false(record_forget_as(at(base), shift));
		record_forget_slowly(at(base));
		assert_int_equal(shim.header->older_freed, 1);
		record_forget_slowly(NULL);
		assert_int_equal(shim.header->older_freed, 1);
	}
}

static void large_blocks_have_their_size_beside(void **state)
{
	static const size_t sizes[] = { SHADOW_SIZE_FAR - 1, SHADOW_SIZE_FAR, SHADOW_SIZE_FAR + 1,
		(size_t)1 << 40 };
	/* The last granule of what a leaf covers, whose extension is in the leaf's slot too many. */
	const uintptr_t last = (UINT64_C(0x1000) << SHADOW_REGION_SHIFT) - 16;

	region_begin(5, SHADOW_EXACT);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		record_block_any(at(last), sizes[i], 5);
		assert_int_equal(size_on_record(last), sizes[i]);
	}
	record_block_any(at(last + 16), 3, 5);
	assert_int_equal(size_on_record(last), (size_t)1 << 40);
	assert_int_equal(size_on_record(last + 16), 3);
	assert_int_equal(shim.header->leaves_used, 2);
}

static void what_no_leaf_is_left_for_is_counted(void **state)
{
	region_begin(5, SHADOW_EXACT);
	region_shrink(2 * shim.leaf_bytes);
	assert_int_equal(shim.leaves_mapped, 2);
	for (uintptr_t region = 1; region <= 4; region++)
		record_block_any(at(region << SHADOW_REGION_SHIFT), 10 * region, 5);
	assert_int_equal(shim.header->uncovered_blocks, 2);
	assert_int_equal(shim.header->uncovered_bytes, 70);
	assert_int_equal(size_on_record(UINT64_C(2) << SHADOW_REGION_SHIFT), 20);
	/* What is in use stays. */
	region_shrink(0);
	assert_int_equal(shim.leaves_mapped, 2);
	assert_int_equal(size_on_record(UINT64_C(1) << SHADOW_REGION_SHIFT), 10);
	assert_null(record_block_any(NULL, 5, 5));
	assert_int_equal(shim.header->uncovered_blocks, 2);
}

static void a_child_past_the_handlers_of_fork_records_nothing(void **state)
{
	region_begin(5, SHADOW_EXACT);
	shim_wiped.alive = 0;
	record_block_any(at(0x10000000), 10, 5);
	assert_int_equal(shim.header->leaves_used, 0);
}

static void sites_are_found_again_until_the_table_is_full(void **state)
{
	uint64_t first, refused = 0;

	region_begin(5, SHADOW_EXACT);
	first = site_find(0x401000);
	assert_int_not_equal(first, 0);
	assert_int_equal(site_find(0x401000), first);
	assert_int_not_equal(site_find(0x401005), first);
	assert_int_equal(site_find(0), 0);
	/* The same group, over and over. */
	for (uint64_t i = 1; i < 200; i++) {
		uint64_t site = site_find(0x401000 + i * SITE_FIRST);
		if (site)
			assert_int_equal(site_find(0x401000 + i * SITE_FIRST), site);
	}
	for (uint64_t key = 1; key < 400000; key++)
		refused += !site_find(key * 5 + (UINT64_C(1) << 40));
	assert_true(refused > 100000);
	assert_true(shim.header->sites_refused >= refused);
	assert_true(shim.header->sites_used < SHADOW_SITES);
	assert_int_equal(site_find(0x401000), first);
}

static void names_are_sites_too(void **state)
{
	char text[200];
	uint64_t site;

	region_begin(5, SHADOW_EXACT);
	site = site_find_name("session");
	assert_int_not_equal(site, 0);
	assert_int_equal(site_find_name("session"), site);
	assert_int_not_equal(site_find_name("s"), site);
	assert_int_equal(site_find_name(""), 0);
	assert_int_equal(site_find_name(NULL), 0);
	memset(text, 'x', sizeof(text));
	text[199] = '\0';
	site = site_find_name(text);
	text[100] = '\0';
	assert_int_equal(site_find_name(text), site);
	for (unsigned i = 0; i < SHADOW_NAMES + 10; i++) {
		snprintf(text, sizeof(text), "name %u", i);
		site = site_find_name(text);
	}
	assert_int_equal(site, 0);
	record_block_any(at(0x10000000), 10, 5);
	assert_true(record_attribute(at(0x10000000), site_find_name("session")));
	assert_false(record_attribute(at(0x10000040), site_find_name("session")));
	assert_int_equal(size_on_record(0x10000000), 10);
}

static void what_realloc_takes_is_put_back_or_let_go(void **state)
{
	_Atomic uint64_t *slot;
	uint64_t old;

	region_begin(5, SHADOW_EXACT);
	record_block_any(at(0x10000010), 10, 5);
	record_keep(at(0x10000010));
	slot = record_slot(0x10000010, 5);
	old = record_take(slot);
	assert_true(old & SHADOW_KEPT);
	assert_int_equal(size_on_record(0x10000010), -1);
	record_put_back(slot, old);
	assert_int_equal(size_on_record(0x10000010), 10);
	record_let_go(0x10000010, record_take(slot));
	assert_int_equal(shim.header->older_freed, 0);
	record_let_go(0x10000010, record_take(slot));
	assert_int_equal(shim.header->older_freed, 1);
}

/* A block goes by as in the hooks: the fast half first. */
static void allocate_sampled(uintptr_t addr, size_t size, uint64_t control)
{
	if (!sample_passes(size, control) && sample_is_due(size, control))
		sample_record(at(addr), size, 5, control);
}

static void samples_weigh_what_was_allocated(void **state)
{
	const uint64_t control = shadow_control(SHADOW_SAMPLE, 10000);
	const struct shadow_sample *samples;
	double total = 0, bytes = 0;
	uint64_t random = 7;

	region_begin(5, control);
	for (uintptr_t i = 0; i < 200000; i++) {
		size_t size = 16 + (random = random * 6364136223846793005 + 1442695040888963407) % 1000;
		allocate_sampled(0x10000000 + i * 64, size, control);
		bytes += (double)size;
	}
	samples = (const struct shadow_sample *)(shim.base + SHADOW_SAMPLES_AT);
	for (uint32_t i = 0; i < shim.samples_used; i++)
		total += (double)samples[i].size /
			 (1 - exp(-(double)samples[i].size / (double)samples[i].rate));
	/* 10,000 samples: a deviation of 1 %. */
	assert_true(fabs(total / bytes - 1) < 0.05);
	for (uintptr_t i = 0; i < 200000; i++) {
		uintptr_t addr = 0x10000000 + i * 64;
		if (size_on_record(addr) >= 0)
			assert_true(sample_is_near(addr));
		if (sample_is_near(addr))
			record_forget_slowly(at(addr));
		assert_int_equal(size_on_record(addr), -1);
	}
	for (uint32_t i = 0; i < shim.samples_used; i++)
		assert_int_equal(samples[i].number, 0);
	assert_false(sample_is_near(0x10000000));
}

static void samples_of_blocks_that_are_gone_are_used_again(void **state)
{
	const uint64_t control = shadow_control(SHADOW_SAMPLE, 1);
	uint64_t made;

	region_begin(5, control);
	for (uintptr_t i = 0; i < SHADOW_SAMPLES; i++)
		sample_record(at(0x10000000 + i * 32), 10, 5, control);
	assert_int_equal(shim.header->samples_refused, 0);
	sample_record(at(0x1000), 10, 5, control);
	assert_int_equal(shim.header->samples_refused, 1);
	/* Freed and seen: the very next one has its place. */
	record_forget_slowly(at(0x10000000));
	sample_record(at(0x1000), 10, 5, control);
	assert_int_equal(size_on_record(0x1000), 10);
	/* Attached anew: what was on record does not count any more. */
	shim.header->stamp = shim.header->attached = UINT64_C(1) << SHADOW_EPOCH_SHIFT;
	made = shim.header->samples_made;
	for (uintptr_t i = 0; i < 1000; i++)
		sample_record(at(0x40000000 + i * 32), 10, 5, control);
	assert_int_equal(shim.header->samples_refused, 1);
	assert_int_equal(shim.header->samples_made, made + 1000);
	assert_int_equal(size_on_record(0x40000000), 10);
}

static void a_changed_rate_holds_from_the_next_block_on(void **state)
{
	const uint64_t rare = shadow_control(SHADOW_SAMPLE, UINT64_C(1) << 50),
		       often = shadow_control(SHADOW_SAMPLE, 1);

	region_begin(5, rare);
	allocate_sampled(0x10000000, 100, rare);
	assert_int_equal(shim.header->samples_made, 0);
	for (uintptr_t i = 0; i < 100; i++)
		allocate_sampled(0x10000000 + i * 128, 100, often);
	assert_int_equal(shim.header->samples_made, 100);
}

static void what_no_allocator_gives_disturbs_no_count(void **state)
{
	const uint64_t control = shadow_control(SHADOW_SAMPLE, 10000);
	const size_t sizes[] = { PTRDIFF_MAX, (size_t)PTRDIFF_MAX + 1, SIZE_MAX };

	region_begin(5, control);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		allocate_sampled(0, sizes[i], control);
		assert_true(sample_thread(sample_self())->left_bytes < 10000 * 50);
	}
	assert_int_equal(shim.header->samples_made, 0);
}

static void stacks_wait_for_who_empties_the_ring(void **state)
{
	const uint64_t control = shadow_control(SHADOW_STACK, 1);
	struct shadow_stack *ring;

	region_begin(5, control);
	for (uintptr_t i = 0; i < SHADOW_STACKS + 10; i++)
		sample_record(at(0x10000000 + i * 32), 10, 5, control);
	ring = (struct shadow_stack *)(shim.base + SHADOW_STACKS_AT);
	assert_int_equal(shim.header->stacks_dropped, 10);
	assert_int_equal(ring[3].number, 5);
	/* The end of this stack is not known. */
	assert_int_equal(ring[3].len, 0);
	ring[SHADOW_STACKS - 1].number = 0;
	sample_record(at(0x20000000), 10, 5, control);
	assert_int_equal(shim.header->stacks_dropped, 11);
}

static void *record_many(void *arg)
{
	uintptr_t number = (uintptr_t)arg;

	/* All threads come to new regions at the same time. */
	for (uintptr_t i = 0; i < 50000; i++) {
		uintptr_t addr = 0x40000000 + (i % 40 << SHADOW_REGION_SHIFT) + (i * 4 + number) * 64;

		record_block_any(at(addr), i + 1, 0x400000 + i % 100);
		if (i % 10)
			record_forget_as(at(addr), 5);
	}
	return NULL;
}

static void threads_do_not_meet(void **state)
{
	pthread_t thread[4];

	region_begin(5, SHADOW_EXACT);
	for (uintptr_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, record_many, (void *)i), 0);
	for (unsigned i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	for (uintptr_t i = 0; i < 50000; i += 7)
		for (uintptr_t number = 0; number < 4; number++)
			assert_int_equal(size_on_record(0x40000000 + (i % 40 << SHADOW_REGION_SHIFT) +
							(i * 4 + number) * 64),
				i % 10 ? -1 : (int64_t)i + 1);
	assert_int_equal(shim.header->sites_used, 100);
}

static void *sample_many(void *arg)
{
	const uint64_t control = shadow_control(SHADOW_SAMPLE, 200);
	uintptr_t base = 0x40000000 + ((uintptr_t)arg << 24);

	for (uintptr_t i = 0; i < 100000; i++) {
		uintptr_t addr = base + i % 64 * 256;

		if (sample_is_near(addr))
			record_forget_slowly(at(addr));
		assert_int_equal(size_on_record(addr), -1);
		allocate_sampled(addr, 100 + i % 100, control);
	}
	for (uintptr_t i = 0; i < 64; i++)
		record_forget_slowly(at(base + i * 256));
	return NULL;
}

/* The free ones are shared by all: none is used twice, none is lost. */
static void threads_share_samples(void **state)
{
	const struct shadow_sample *samples;
	pthread_t thread[4];

	region_begin(5, shadow_control(SHADOW_SAMPLE, 200));
	record_cover(0x40000000, 0);
	for (uintptr_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, sample_many, (void *)i), 0);
	for (unsigned i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	samples = (const struct shadow_sample *)(shim.base + SHADOW_SAMPLES_AT);
	assert_true(shim.header->samples_made > 100000);
	assert_true(shim.samples_used <= 4 * 64);
	for (uint32_t i = 0; i < shim.samples_used; i++)
		assert_int_equal(samples[i].number, 0);
	for (uint32_t i = 0; i < SAMPLE_FILTER; i++)
		assert_int_equal(shim_wiped.sample_filter[i], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_block_is_on_record_until_it_is_freed),
		cmocka_unit_test(large_blocks_have_their_size_beside),
		cmocka_unit_test(what_no_leaf_is_left_for_is_counted),
		cmocka_unit_test(a_child_past_the_handlers_of_fork_records_nothing),
		cmocka_unit_test(sites_are_found_again_until_the_table_is_full),
		cmocka_unit_test(names_are_sites_too),
		cmocka_unit_test(what_realloc_takes_is_put_back_or_let_go),
		cmocka_unit_test(samples_weigh_what_was_allocated),
		cmocka_unit_test(samples_of_blocks_that_are_gone_are_used_again),
		cmocka_unit_test(what_no_allocator_gives_disturbs_no_count),
		cmocka_unit_test(a_changed_rate_holds_from_the_next_block_on),
		cmocka_unit_test(stacks_wait_for_who_empties_the_ring),
		cmocka_unit_test(threads_do_not_meet),
		cmocka_unit_test(threads_share_samples),
	};

	return cmocka_run_group_tests(tests, NULL, region_end);
}
