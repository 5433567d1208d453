/* SPDX-License-Identifier: MIT */
/*
 * One shadow region (schema/shadow.h), opened and checked up to its header: what is behind that, slots and
 * tables, its readers check. A region is of one program image of one process. It outlives both: whoever has
 * a reference reads on from a table that nobody writes any more.
 *
 * Everything in a region may be scribbled over at any moment by its process. `fixed` is a copy that was
 * checked; `shared` is not, so copy a word before you look at it.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "schema/base/err.h"
#include "schema/proc/root.h"
#include "schema/shadow.h"

enum region_end {
	REGION_LIVES, /* its program runs */
	REGION_EXEC,  /* the process runs another program now */
	REGION_DIED,  /* the process ended */
};

/* Whose it is. */
struct region_process {
	uint32_t pid;         /* as the collector sees it */
	uint32_t uid;         /* who may look into it: the effective user, or root (proc_read_owner) */
	uint64_t start_ticks; /* of its /proc/PID/stat; 0: it ended before anybody saw when it began */
	uint64_t image;       /* which program of it (pid_stat_image); 0: not known, or not yet */
};

struct region {
	atomic_uint references;
	atomic_bool giving_back; /* holes are being punched: it stays off meanwhile */
	int fd;                  /* read and write: pread, SEEK_DATA, FALLOC_FL_PUNCH_HOLE; the region's */
	uint64_t inode, file_bytes;
	struct region_process process;
	struct shadow_header *shared; /* the header's page, mapped */
	struct shadow_header fixed;   /* what the shim writes once; valid where `ready` */
	bool ready; /* else the program has not begun: `memfs run` handed it over and is not there yet */
	enum region_end end;
	int64_t end_boot_ns; /* CLOCK_BOOTTIME: when the end was seen; 0 while it lives */
	bool ours;           /* this collector drives it (region_drive.h); else another does, or none yet */
	uint32_t epoch;      /* the last that we know of, whatever the process scribbled; region_drive's */
	struct region_state *state; /* what regions.c keeps of it; nobody else's */
	void *leaks;                /* what reads the tables keeps of it; freed before regions_release */
};

/*
 * Takes fd over, also where it fails. Checks seals, kind and links of the file, maps the header and copies
 * it, where it is ready. 0: *ret_region has one reference. -EBADMSG with the reason where it is no region
 * that can be trusted to stay as it is; -errno.
 */
int region_open(int fd, struct region **ret_region, struct err *err);

enum region_outcome { REGION_OK = 0, REGION_NOT_READY = 1 };

/* Looks again at a region that was not ready. REGION_OK: it is; REGION_NOT_READY; -EBADMSG with the reason.
 */
int region_settle(struct region *region, struct err *err);

/* Any thread. The last one closes the file; region_unref takes NULL. */
struct region *region_ref(struct region *region);
void region_unref(struct region *region);

/* Since the region was made, CLOCK_BOOTTIME, in ms: what shadow_epoch_at takes. Of one that claims to be of
 * the future: 0. */
uint64_t region_age_ms(const struct region *region, int64_t now_boot_ns);
