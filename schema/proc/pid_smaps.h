/* SPDX-License-Identifier: MIT */
/*
 * /proc/PID/smaps (fs/proc/task_mmu.c, show_smap): for each mapping a line as in maps, then `Key:  N kB`.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schema/base/kv.h"

/* Numbers of a mapping, in bytes. */
enum pid_region_number { REGION_RSS, REGION_PSS, REGION_SWAP, REGION_REFERENCED, N_REGION_NUMBERS };

struct pid_region {
	uint64_t start, end;
	struct span perms; /* "rw-p" */
	struct span name;  /* as the kernel writes it, a newline as \012; empty for one without a name */
	uint64_t bytes[N_REGION_NUMBERS];
	unsigned present; /* bit n: bytes[n] is known; kernels differ */
};

/*
 * The next mapping of *rest, which then begins behind it; its spans point into the text. A mapping is whole
 * once the line of the next one is there, or all of the text (`last`): false where none is, and *rest begins
 * with what was not taken. Text before the first mapping is passed over. Pure; survives any bytes.
 */
bool pid_smaps_next(struct span *rest, bool last, struct pid_region *ret);
