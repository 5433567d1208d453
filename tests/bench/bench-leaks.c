/* SPDX-License-Identifier: MIT */
/*
 * What a region of a million live blocks costs the collector: the walk, totals by site, the blocks in order,
 * and their text up to its first MiB. Processor time of the thread, which neighbours disturb little.
 */
#include <stdio.h>
#include <stdlib.h>

#include "collector/leaks/records.h"
#include "collector/leaks/report.h"
#include "collector/leaks/table.h"
#include "schema/base/clock.h"
#include "schema/leak_text.h"
#include "tests/unit/shadow_world.h"

enum { BLOCKS = 1000000, SITES = 1000, ROUNDS = 11, AGE_MS = 3600000 };
#define HEAP UINT64_C(0x55d5c0000000)

static int compare(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;
	return left < right ? -1 : left > right;
}

static void say(const char *what, double *ms)
{
	qsort(ms, ROUNDS, sizeof(*ms), compare);
	printf("%-40s %8.1f ms (%.1f to %.1f)\n", what, ms[ROUNDS / 2], ms[0], ms[ROUNDS - 1]);
}

static double cpu_ms(void)
{
	return (double)clock_ns(CLOCK_THREAD_CPUTIME_ID) / 1e6;
}

/* As malloc would have it: sizes of 16 to 512 bytes, one behind the other, made over an hour. */
static void fill(struct shadow_world *world)
{
	uint64_t addr = HEAP;
	uint64_t *leaf = malloc(shadow_leaf_bytes(5));
	uint64_t region = 0;
	uint32_t last = shadow_epoch_at(AGE_MS);

	for (unsigned i = 0; i <= BLOCKS; i++) {
		if (i == BLOCKS || addr >> SHADOW_REGION_SHIFT != region) {
			if (region)
				shadow_poke(world, leaf, shadow_leaf_bytes(5),
					shadow_world_slot_at(world, region << SHADOW_REGION_SHIFT));
			memset(leaf, 0, shadow_leaf_bytes(5));
			region = addr >> SHADOW_REGION_SHIFT;
		}
		uint64_t size = 16 + i * 7919 % 497;
		leaf[(addr & ((1 << SHADOW_REGION_SHIFT) - 1)) >> 5] =
			shadow_slot_make(SHADOW_BLOCK, 1 + i % SITES * 257 % SHADOW_SITES,
				(uint32_t)((uint64_t)i * 31337 % last), size, addr & 16 ? SHADOW_ODD : 0);
		addr += (size + 8 + 31) / 32 * 32;
	}
	free(leaf);
	for (unsigned i = 0; i < SITES; i++)
		shadow_world_site(world, 1 + i * 257 % SHADOW_SITES, 0x401000 + i * 16, 1);
	shadow_world_module(world, "/usr/bin/server", 0x400000);
}

static int count_blocks(void *ctx, const struct table_block *block, size_t n)
{
	*(size_t *)ctx += n;
	return 0;
}

int main(void)
{
	struct shadow_world world;
	struct table_head head;
	struct book book;
	const char *fault;
	double walk[ROUNDS], report_ms[ROUNDS], records_ms[ROUNDS], first[ROUNDS], all[ROUNDS];
	const struct report_options options = { .min_age_ms = 60000 };
	size_t n = 0, bytes = 0;

	shadow_world_make(&world, 5, SHADOW_EXACT, AGE_MS);
	fill(&world);
	book_init(&book);
	if (table_read_head(world.fd, &head, &fault))
		return 1;
	for (int i = 0; i < ROUNDS; i++) {
		struct report report;
		struct records records;
		double begin = cpu_ms();

		n = 0;
		table_each_block(world.fd, &head, count_blocks, &n);
		walk[i] = cpu_ms() - begin;
		begin = cpu_ms();
		if (report_take(world.fd, &book, &options, &report))
			return 1;
		report_ms[i] = cpu_ms() - begin;
		report_deinit(&report);

		begin = cpu_ms();
		struct record_text *text;
		if (records_take(world.fd, &head, clock_boottime_ns(), 0, NULL, &records) ||
			record_text_new(world.fd, &head, 4711, &records, NULL, &text))
			return 1;
		records_ms[i] = cpu_ms() - begin;
		char *to = malloc(1 << 20);
		size_t got = record_text_read(text, to, 1 << 20);
		first[i] = cpu_ms() - begin;
		for (bytes = got; (got = record_text_read(text, to, 1 << 20)); bytes += got)
			;
		all[i] = cpu_ms() - begin;
		free(to);
		record_text_free(text);
		records_deinit(&records);
	}
	printf("%zu blocks in %llu bytes of region, %zu bytes of records\n", n,
		(unsigned long long)table_region_bytes(world.fd), bytes);
	say("walk", walk);
	say("report (totals, callers)", report_ms);
	say("records, in order", records_ms);
	say("and their first MiB", first);
	say("and all of their text", all);
	book_deinit(&book);
	close(world.fd);
	return 0;
}
