/* SPDX-License-Identifier: MIT */
/* What /proc/PID/maps says of shadow regions and of the shim. Takes the process's mmap lock: for workers. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "schema/base/kv.h"

enum { REGION_MAPS_MAX = 8, REGION_MAPS_DATA_MAX = 16 };

struct region_maps {
	struct {
		uint64_t start, end, inode;
	} region[REGION_MAPS_MAX]; /* beginnings of files that are called as a region is */
	struct {
		uint64_t start, end;
	} data[REGION_MAPS_DATA_MAX]; /* writable private mappings of the shim's library: the beacon is there */
	unsigned n_regions, n_data;
	bool any;       /* mapping at all */
	bool library;   /* the shim is mapped */
	bool sanitizer; /* a sanitizer's library is */
};

/* Takes in what is whole of the text; *rest begins behind it then. `maps` starts as all zero. Pure. */
void region_maps_take(struct region_maps *maps, struct span *rest, bool last);

/* Of a process's directory. PROC_OK, PROC_GONE, or -errno. */
int region_maps_read(int dir, struct region_maps *ret);

/*
 * Opens what is mapped as region i, if it is a memfd of that inode, to read and to write. The descriptor, or
 * -errno: -EPERM where we may not, for that takes CAP_CHECKPOINT_RESTORE (before Linux 5.9 CAP_SYS_ADMIN).
 */
int region_maps_open(int dir, const struct region_maps *maps, unsigned i);
