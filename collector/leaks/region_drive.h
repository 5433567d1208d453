/* SPDX-License-Identifier: MIT */
/*
 * Driving a region: its owner word, its clock, and whether and how its process records. All of it is a few
 * stores into the header's page; the process never waits, and never has to answer. The loop's thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "collector/leaks/region.h"

enum region_drive_outcome {
	REGION_DRIVEN = 0, /* by us */
	REGION_OTHERS = 1, /* by another collector, which lives */
};

/*
 * Takes the region where nobody drives it, or one who is dead (owners are looked up below `root`). `self`:
 * our own shadow_owner(). What the shim was told by its environment goes on, with a clock from now on.
 */
int region_own(struct region *region, const struct proc_root *root, uint64_t self);

/* Lets it go, as it is: records go on where they are on. */
void region_disown(struct region *region, uint64_t self);

/* The clock: once a tick for each region that records; nothing where it is off, or another's. */
void region_tick(struct region *region, int64_t now_boot_ns);

/* What it does: mode (enum shadow_mode), mean bytes between samples (0: not one that samples), and since
 * when: CLOCK_BOOTTIME, 0 where it is off. Whatever the process scribbled, mode is one of the enum. */
struct region_driving {
	uint32_t mode;
	uint64_t rate_bytes;
	int64_t attached_boot_ns;
	uint32_t attached_epoch; /* slots below it are left over */
	uint32_t epoch;          /* the present one: slots above it are of this one */
	uint32_t driver;         /* enum shadow_driver; SHADOW_BY_NOBODY for what is none */
};
void region_read_driving(const struct region *region, struct region_driving *ret);

/*
 * From off to a mode, from one mode to another, or to off; rate_bytes 0: SHADOW_SAMPLE_BYTES. A mode that it
 * has already changes nothing but its rate. Off does not give memory back: region_give_back does. regions_set_mode
 * (regions.h) does both. REGION_DRIVEN; REGION_OTHERS; -ESRCH where its program ended; -EINVAL where that
 * mode is none, or the region is not ready; -EBUSY while memory is being given back.
 */
int region_set_mode(struct region *region, enum shadow_mode mode, uint64_t rate_bytes, int64_t now_boot_ns);

/*
 * Punches holes into the leaves of a region that is off, and nowhere else; may take milliseconds a GiB, any
 * thread. The loop has set giving_back before, and clears it after. 0, -EBUSY where it is not off, or -errno.
 */
int region_give_back(const struct region *region);
