/* SPDX-License-Identifier: MIT */
/* /proc/PID/numa_maps (fs/proc/task_mmu.c, show_numa_map): a line a mapping, `start policy key=value...`. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NUMA_NODES_MAX = 1024 }; /* nodes that a kernel can be built for: NODES_SHIFT is at most 10 */

struct pid_numa {
	uint64_t anon_bytes[NUMA_NODES_MAX];
	uint64_t file_bytes[NUMA_NODES_MAX];
	uint64_t bytes; /* of all */
};

/* What a page is where the line does not say so by kernelpagesize_kB: before Linux 3.14. */
struct pid_numa_units {
	uint64_t page_bytes, huge_page_bytes;
};

/*
 * Adds the lines of the text to the sums. A line says how many pages of its mapping each node has (N0=) and
 * how many of all are anonymous (anon=), but not how many of those each node has: where a mapping has both
 * kinds on several nodes, its anonymous pages are shared out in proportion. Whatever is not anonymous counts
 * as file: shared memory too. A line cut off or that makes no sense adds nothing. Returns how many lines
 * added something. Pure; survives any bytes.
 */
size_t pid_numa_maps_add(
	struct pid_numa *numa, const struct pid_numa_units *units, const char *text, size_t len);
