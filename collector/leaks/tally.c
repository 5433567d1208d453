/* SPDX-License-Identifier: MIT */
#include "collector/leaks/tally.h"

#include <errno.h>
#include <stdlib.h>

#include "schema/base/array.h"

struct tallying {
	struct tally *tally;
	const struct tally_sites *sites;
	bool any_old;
	uint32_t old_epoch;
};

static struct tally_site *find_or_add(struct tally *tally, uint32_t site)
{
	if (tally->place[site])
		return &tally->site[tally->place[site] - 1];
	struct tally_site *made = array_push(&tally->site, &tally->n, &tally->cap);
	if (!made)
		return NULL;
	*made = (struct tally_site) { .site = site, .oldest_epoch = UINT32_MAX };
	tally->place[site] = (uint32_t)tally->n;
	return made;
}

static bool add_sample(struct tally *tally, const struct table_block *block, uint32_t site)
{
	struct tally_sample *made = array_push(&tally->sample, &tally->n_samples, &tally->cap_samples);
	if (!made)
		return false;
	*made = (struct tally_sample) { block->sample, site, block->number, block->weight_bytes };
	return true;
}

static int add_blocks(void *ctx, const struct table_block *block, size_t n)
{
	const struct tallying *tallying = ctx;
	struct tally *tally = tallying->tally;

	for (size_t i = 0; i < n; i++, block++) {
		uint32_t number =
			tallying->sites ? tallying->sites->of(tallying->sites->ctx, block) : block->site;
		struct tally_site *site = find_or_add(tally, number);
		if (!site || (block->sample != TABLE_NO_SAMPLE && !add_sample(tally, block, number)))
			return -ENOMEM;
		site->live_bytes += block->weight_bytes;
		site->live_blocks += block->weight_blocks;
		if (block->size > site->largest_bytes)
			site->largest_bytes = block->size;
		if (block->epoch < site->oldest_epoch)
			site->oldest_epoch = block->epoch;
		if (block->kept) {
			site->kept_bytes += block->weight_bytes;
			tally->kept_bytes += block->weight_bytes;
		} else if (tallying->any_old && block->epoch <= tallying->old_epoch) {
			site->suspect_bytes += block->weight_bytes;
			site->suspect_blocks += block->weight_blocks;
		}
		tally->live_bytes += block->weight_bytes;
		tally->live_blocks += block->weight_blocks;
	}
	return 0;
}

int tally_take(int fd, const struct table_head *head, int64_t now_boot_ns, uint64_t min_age_ms,
	const struct tally_sites *sites, struct tally *ret_tally)
{
	struct tally tally = { .place = calloc(TALLY_SITES, sizeof(*tally.place)) };
	struct tallying tallying = { &tally, sites, .any_old = true, .old_epoch = SHADOW_EPOCH_LAST };

	if (!tally.place)
		return -ENOMEM;
	if (min_age_ms)
		tallying.any_old = table_epoch_before(head, now_boot_ns, min_age_ms, &tallying.old_epoch);
	int r = table_each_block(fd, head, add_blocks, &tallying);
	if (r)
		tally_deinit(&tally);
	else
		*ret_tally = tally;
	return r;
}

void tally_deinit(struct tally *tally)
{
	free(tally->place);
	free(tally->site);
	free(tally->sample);
	*tally = (struct tally) { 0 };
}

const struct tally_site *tally_find(const struct tally *tally, uint32_t site)
{
	return site < TALLY_SITES && tally->place[site] ? &tally->site[tally->place[site] - 1] : NULL;
}
