/* SPDX-License-Identifier: MIT */
#include "collector/descriptors.h"

#include <sys/resource.h>

#include "collector/leaks/regions.h"
#include "collector/sample/sampler.h"

enum { FDS_OF_REGION = 2 };

size_t descriptors_for_sampler(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return 0;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur <= 2 * SAMPLER_FD_SPARE)
		return 0;
	/* Of few, regions have half. */
	rlim_t left = limit.rlim_cur - SAMPLER_FD_SPARE, regions = FDS_OF_REGION * REGIONS_MAX;
	left -= regions < left / 2 ? regions : left / 2;
	return left > BOARD_PIDS ? BOARD_PIDS : left;
}
