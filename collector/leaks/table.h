/* SPDX-License-Identifier: MIT */
/*
 * What a shadow region says: which blocks live, how large and how old they are, and where they were made.
 * The region's process goes on meanwhile, and may have written anything: whatever is out of bounds is passed
 * over (schema/shadow.h lists the bounds), and no hole is ever read through a mapping. Not for the loop's
 * thread: a large region takes tens of milliseconds.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schema/shadow.h"

/* The header of a region, copied and checked. */
struct table_head {
	uint32_t granule_shift;
	uint32_t leaves; /* that have slots, at most SHADOW_LEAVES */
	uint32_t mode;   /* enum shadow_mode */
	uint32_t origin; /* enum shadow_origin */
	bool mixed;      /* sampled now, but there was SHADOW_EXACT since the attach */
	uint64_t rate_bytes;
	uint32_t first_epoch; /* what is older is left over from an earlier attach */
	uint32_t stamp_epoch; /* that of now, or of when nobody drove the region any more */
	uint64_t created_boot_ns;
	uint64_t created_real_ns;  /* by the wall clock as it was then: no two of a process have the same */
	uint64_t began_real_ns;    /* by the wall clock as it is set now */
	uint64_t attached_boot_ns; /* 0: nobody drives it */
	uint64_t mapped_bytes;     /* of the process's address space */
	uint32_t sites_used, modules_used, names_used;
	uint64_t sites_refused, uncovered_blocks, uncovered_bytes, samples_refused, stacks_dropped,
		older_freed;
};

/* 0, or -errno: -EAGAIN of a region that is not ready yet, -EPROTO of one that cannot be read, with the
 * reason. */
int table_read_head(int fd, struct table_head *ret_head, const char **ret_fault);

/* Epoch time in nanoseconds at which an epoch began. */
int64_t table_epoch_ns(const struct table_head *head, uint32_t epoch);

/* The last epoch whose blocks are at least age_ms old at a time of CLOCK_BOOTTIME; false where none can be.
 */
bool table_epoch_before(const struct table_head *head, int64_t boot_ns, uint64_t age_ms, uint32_t *ret_epoch);

enum { TABLE_NO_SAMPLE = UINT32_MAX };

struct table_block {
	uint64_t addr;
	uint64_t size; /* bytes, as asked for */
	uint32_t site; /* < SHADOW_SITES; 0: not known */
	uint32_t epoch;
	uint32_t sample;  /* index; TABLE_NO_SAMPLE of one recorded as itself */
	uint64_t number;  /* of the sample */
	uint32_t verdict; /* what a collector wrote beside this sample; 0: nothing */
	bool kept;        /* the program said that it means to keep it */
	/* What it stands for: itself, or where it was chosen at random others as well. */
	uint64_t weight_bytes, weight_blocks;
};

/* Sees blocks by the hundred. Not 0 ends the walk, which returns it. */
typedef int table_block_fn(void *ctx, const struct table_block *block, size_t n);

/*
 * Walks all live blocks, in no particular order. A block that lives from the beginning to the end is there
 * once; one that came or went meanwhile may be. 0, what fn returned, or -errno.
 */
int table_each_block(int fd, const struct table_head *head, table_block_fn *fn, void *ctx);

/* Places and their modules: to be read after the blocks, so that none of theirs is missing. */
struct table_places {
	struct shadow_site *site;     /* SHADOW_SITES */
	struct shadow_module *module; /* [n_modules]: number 1 is the first */
	struct shadow_name *name;     /* [n_names] */
	uint32_t n_modules, n_names;
};
int table_read_places(int fd, struct table_places *ret_places); /* 0 or -errno */
void table_places_deinit(struct table_places *places);

/* The module of a site; NULL where it is not known. */
const struct shadow_module *table_site_module(const struct table_places *places, uint32_t site);

/* The return address of a site, 0 where it has none: not known, or named by the program. */
uint64_t table_site_caller(const struct table_places *places, uint32_t site);

/* The name that the program gave a site; NULL where it gave none. At most SHADOW_NAME_BYTES, any bytes. */
const char *table_site_name(const struct table_places *places, uint32_t site);

/* Bytes of memory that a region takes, from its file. 0 where it cannot be asked. */
uint64_t table_region_bytes(int fd);
