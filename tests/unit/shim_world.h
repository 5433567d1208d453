/* SPDX-License-Identifier: MIT */
/*
 * A shim without hooks for tests: a region of this process, which stands for addresses of nobody.
 */
#pragma once

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "preload/region.h"
#include "preload/shim.h"

enum { DIRECTORY_BYTES = (SHADOW_REGION_LAST + 1) * 8 };

static inline int region_end(void **state)
{
	if (shim.base) {
		munmap(shim.base, SHADOW_KEEP_AT);
		munmap(shim.leaves, shim.leaves_mapped * shim.leaf_bytes);
		munmap((void *)shim.directory, DIRECTORY_BYTES);
	}
	memset(&shim_wiped, 0, sizeof(shim_wiped));
	memset(&shim, 0, sizeof(shim));
	shim.header = &shim_idle;
	return 0;
}

static inline struct shadow_header *region_begin(uint32_t granule_shift, uint64_t control)
{
	int fd = -1, error;

	region_end(NULL);
	shim.granule_shift = granule_shift;
	assert_int_equal(region_make(-1, SHADOW_OF_START, &fd, &error), SHADOW_FINE);
	close(fd);
	shim.header = (struct shadow_header *)shim.base;
	shim.header->control = control;
	shim_wiped.alive = 1;
	return shim.header;
}
