/* SPDX-License-Identifier: MIT */
#include "preload/shim.h"

#include "preload/start.h"

struct shadow_header shim_idle;
struct shadow_header shim_pending = { .control = CONTROL_PENDING };
struct shim_wiped shim_wiped;
struct shim shim __attribute__((aligned(64))) = {
	.header = &shim_pending,
	.follow = true,
	.real = {
		.malloc = start_malloc,
		.free = start_free,
		.calloc = start_calloc,
		.realloc = start_realloc,
		.memalign = start_memalign,
		.aligned_alloc = start_memalign,
		.posix_memalign = start_posix_memalign,
		.valloc = start_valloc,
		.pvalloc = start_pvalloc,
	},
};

exported struct shadow_beacon memfs_beacon __attribute__((aligned(4096))) = {
	.magic = SHADOW_BEACON_MAGIC,
	.version = SHADOW_VERSION,
	.reason = SHADOW_NOT_STARTED,
};
