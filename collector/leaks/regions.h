/* SPDX-License-Identifier: MIT */
/*
 * The regions of the machine: offered through shim.sock, found in processes that began before us or could not
 * reach it, or handed back by the supervisor, who holds a duplicate of each (schema/holding.h), so that the
 * table of a process survives the death of the process and of the collector, in either order.
 *
 * One thread, the loop's; what takes a process's mmap lock is done by a worker of its own. Others read a
 * region that they have a reference of.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "collector/jobs.h"
#include "collector/leaks/region.h"
#include "collector/remains.h"
#include "collector/sample/sampler.h"
#include "schema/board.h"
#include "schema/holding.h"
#include "schema/proc/root.h"

enum {
	REGIONS_MAX = HOLDING_MAX,                  /* at once, the ended among them */
	REGIONS_OF_USERS_MAX = REGIONS_MAX * 3 / 4, /* of all but root together */
	REGIONS_OF_ONE_MAX = 1024,                  /* of one user but root */
	REGIONS_OF_PROCESS_MAX = 64, /* of one process: images that ended and are not packed yet */
};

/* The loop's thread. Each may be NULL. */
struct regions_hooks {
	/*
	 * A program's table can be read from now on: region->ready is set, process is whole. `again`: it was
	 * handed back by the supervisor, so a predecessor of this collector had it.
	 */
	void (*found)(void *ctx, struct region *region, bool again);
	/*
	 * The program ended (region->end says how); its table stays as it is, until regions_release. Whoever
	 * packs it calls that when the packed table is safely stored: a collector that is killed before is
	 * succeeded by one that is told again, so packing one region twice (by inode and
	 * fixed.created_boot_ns) must give one. Where the hook is NULL the region is released at once.
	 */
	void (*ended)(void *ctx, struct region *region);
	/* Another collector was driving it, and ended: it is ours now (region->ours). */
	void (*taken_over)(void *ctx, struct region *region);
	void *ctx;
};

struct regions_options {
	const struct proc_root *root;
	struct sampler *sampler;                /* whose processes they are; outlives the regions */
	struct board *board;                    /* births and execs */
	const struct board_health *predecessor; /* whose totals go on; read by regions_new alone */
	int offers_fd; /* SOCK_DGRAM, bound to shim.sock; -1: none. Not closed here. */
	int holder_fd; /* our end of the link to the supervisor; -1: none. Not closed here. */
	size_t max;    /* that there are descriptors for; REGIONS_MAX at most. 0: none is taken */
	struct regions_hooks hooks;
};

struct regions;

/* 0 or -errno; *ret_regions is the caller's. Asks the supervisor for what it holds, and looks for the rest.
 */
int regions_new(const struct regions_options *options, struct regions **ret_regions);

/* Lets go of those we drive, so that they can be another's; the supervisor holds them still. Takes NULL.
 * Waits for what is under way: see regions_busy. */
void regions_free(struct regions *regions);

/* Whether a worker looks into a process, which may take for ever where that keeps its mmap lock. */
bool regions_busy(const struct regions *regions);

/* Readable when regions_dispatch has something to do. */
int regions_fd(const struct regions *regions);
void regions_dispatch(struct regions *regions);

/* Once a tick, after sampler_tick and before its remains are handed on: clocks, ends, births to look at. */
void regions_tick(struct regions *regions);

/* The kernel told that the process runs another program: the region of the former one ends. */
void regions_told_exec(struct regions *regions, uint32_t pid);

/* That of the program which (pid, start_ticks) runs; NULL: it has none (region_absence.h says why). */
struct region *regions_find(const struct regions *regions, uint32_t pid, uint64_t start_ticks);

/* Of all, also the ended that are not released; NULL first and last. Releasing the one in hand is allowed
 * after the next one was fetched. */
struct region *regions_next(const struct regions *regions, const struct region *before);

/*
 * As region_set_mode (region_drive.h), for control files: off gives memory back too, by a worker; a mode that
 * is set while that is under way begins when it is done. 0, REGION_OTHERS, -ESRCH or -EINVAL.
 */
int regions_set_mode(
	struct regions *regions, struct region *region, enum shadow_mode mode, uint64_t rate_bytes);

/* Its table is stored: it is held no longer, not by the supervisor either. References stay good. */
void regions_release(struct regions *regions, struct region *region);

struct regions_stat {
	uint64_t live, ended;   /* held now */
	uint64_t found_total;   /* since the board was made, as all totals */
	uint64_t refused_total; /* offers of what is no region, or over a bound */
	uint64_t unheld;        /* of those held, how many the supervisor has not been given yet */
};
void regions_read_stat(const struct regions *regions, struct regions_stat *ret);
