/* SPDX-License-Identifier: MIT */
#include "collector/descriptors.h"

#include <sys/resource.h>

#include "collector/leaks/regions.h"
#include "collector/sample/sampler.h"

enum { FDS_OF_REGION = 2 };

/* What a reserve leaves of what may be had; 0 where that is hardly more. */
static size_t spare(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return 0;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur <= 2 * SAMPLER_FD_SPARE)
		return 0;
	return limit.rlim_cur - SAMPLER_FD_SPARE;
}

/* Of few, they have half. */
size_t descriptors_for_regions(void)
{
	size_t half = spare() / 2;

	return (half < FDS_OF_REGION * REGIONS_MAX ? half : FDS_OF_REGION * REGIONS_MAX) / FDS_OF_REGION;
}

size_t descriptors_for_sampler(void)
{
	size_t left = spare() - descriptors_for_regions() * FDS_OF_REGION;

	return left > BOARD_PIDS ? BOARD_PIDS : left;
}
