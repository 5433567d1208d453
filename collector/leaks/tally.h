/* SPDX-License-Identifier: MIT */
/* What each place in the code has: the live blocks of a region summed up by site. */
#pragma once

#include "collector/leaks/table.h"

struct tally_site {
	uint32_t site;
	uint32_t oldest_epoch; /* of its live blocks */
	uint64_t live_bytes, live_blocks;
	uint64_t suspect_bytes, suspect_blocks; /* old enough, and not kept */
	uint64_t kept_bytes;
	uint64_t largest_bytes; /* of one block: what kind of block it is */
};

/* A block that was chosen at random, for whom a stack may be known. */
struct tally_sample {
	uint32_t sample, site;
	uint64_t number, live_bytes;
};

enum {
	TALLY_MERGED = 4096, /* sites that are not the region's own: see tally_sites */
	TALLY_SITES = SHADOW_SITES + TALLY_MERGED,
};

struct tally {
	uint32_t *place;         /* [TALLY_SITES]: of a site in `site`, from 1; 0: it has nothing */
	struct tally_site *site; /* [n] */
	size_t n, cap;
	uint64_t live_bytes, live_blocks, kept_bytes;
	struct tally_sample *sample; /* [n_samples] */
	size_t n_samples, cap_samples;
};

/* Which site a block is counted for, < TALLY_SITES: its own, or one that says more. */
struct tally_sites {
	uint32_t (*of)(void *ctx, const struct table_block *block);
	void *ctx;
};

/*
 * Suspects are the blocks that were at least min_age_ms old at now_boot_ns (CLOCK_BOOTTIME); with 0 all are.
 * sites NULL: each is of its own. 0, or -errno. tally_deinit frees, also what is all zero.
 */
int tally_take(int fd, const struct table_head *head, int64_t now_boot_ns, uint64_t min_age_ms,
	const struct tally_sites *sites, struct tally *ret_tally);
void tally_deinit(struct tally *tally);

/* NULL where the site has nothing. */
const struct tally_site *tally_find(const struct tally *tally, uint32_t site);
