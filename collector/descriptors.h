/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>

/* Raises the bound of open descriptors to what may be had, and says how many of them the sampler may keep:
 * what regions and a reserve leave. */
size_t descriptors_for_sampler(void);

/* How many regions can be open beside. */
size_t descriptors_for_regions(void);
