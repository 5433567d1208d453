/* SPDX-License-Identifier: MIT */
/*
 * The state of the shim: one struct, for there is one shim in a process. The first lines are what every
 * malloc and free reads; they are written when the shim starts and in children of fork, and hardly ever else.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schema/shadow.h"

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define hidden      __attribute__((visibility("hidden")))
#define exported    __attribute__((visibility("default")))
#define cold        __attribute__((noinline, cold))

/* The allocator behind the shim, the next one in the order of search. */
struct real_allocator {
	void *(*malloc)(size_t size);
	void (*free)(void *block);
	void *(*calloc)(size_t n, size_t size);
	void *(*realloc)(void *block, size_t size);
	void *(*memalign)(size_t alignment, size_t size);
	void *(*aligned_alloc)(size_t alignment, size_t size);
	int (*posix_memalign)(void **ret_block, size_t alignment, size_t size);
	void *(*valloc)(size_t size);
	void *(*pvalloc)(size_t size);
	size_t (*malloc_usable_size)(void *block);
};

/* Not a mode of the contract: the first call of a process image, and of a child of fork, has to start the
 * shim. */
enum { CONTROL_PENDING = SHADOW_MODE_MASK };

enum shim_stage {
	STAGE_NEW,       /* the allocator is not known */
	STAGE_RESOLVING, /* one thread asks the loader; whoever allocates meanwhile gets boot memory */
	STAGE_RESOLVED,
	STAGE_STARTING, /* one thread makes the region; calls are passed on */
	STAGE_STARTED,
};

/* A thread's way to its next sample. Private to the thread but for threads that share one where the table is
 * full. */
struct sampler {
	uint64_t key; /* sample_key() of the thread and of the control word that left_bytes was drawn for */
	uint64_t left_bytes;      /* until the next sample: the block that has more */
	_Atomic uintptr_t thread; /* its thread pointer; 0: free */
	uint64_t random;
	uintptr_t stack_low, stack_high; /* of the thread; 0: not known */
} __attribute__((aligned(64)));

enum {
	SAMPLERS = 1024,
	SAMPLE_FILTER = 1 << 15, /* counters, each for so many bytes of addresses and those that share it */
	SAMPLE_FILTER_SHIFT = 14,
	RUN_DIR_MAX = 90, /* with the socket's name within sun_path */
};

struct shim {
	struct shadow_header *header; /* the region's, or one that says off or CONTROL_PENDING */
	_Atomic uint64_t *directory;  /* address >> SHADOW_REGION_SHIFT: where the leaf's slot of address 0
					 would be; 0: none */
	struct shadow_site *sites;
	uint64_t fast_control; /* SHADOW_EXACT, or 0 where granules are not those of the fast path */
	uint32_t granule_shift;
	struct real_allocator real;  /* what hooks call */
	struct real_allocator below; /* the allocator itself */

	_Atomic uint32_t stage; /* enum shim_stage */
	bool sandboxed; /* a filter of system calls is there or on its way: none that the program makes not */
	bool follow;    /* children get regions */
	bool configured;        /* the environment has been read */
	bool wiped;             /* the kernel wipes what a child must not inherit */
	bool forked;            /* this is a child whose parent had a region */
	uint64_t first_control; /* what a region begins with, and on whose word */
	uint32_t first_driver;
	char run_dir[RUN_DIR_MAX];

	/* The region, where there is one. */
	char *base;          /* of [0, SHADOW_KEEP_AT) */
	char *leaves;        /* of what begins at SHADOW_SLOTS_AT */
	uint64_t leaf_bytes; /* of one */
	_Atomic uint64_t leaves_mapped;
	uint64_t seed; /* of the samplers */
	_Atomic uint64_t
		samples_free; /* stack of free samples: number of the first, from 1 | changes << 32 */
	_Atomic uint64_t samples_used, samples_stolen;
	_Atomic uint32_t trace_depth; /* of memfs_trace_begin */
	_Atomic uint32_t
		site_of_module[SHADOW_MODULES];    /* the last one that was found in it; chained by `about` */
	uintptr_t fork_stack_low, fork_stack_high; /* of the thread that forks: the child's */
};

/*
 * What a child of fork must not inherit, not even one that comes by without the handlers of fork, as by _Fork
 * or clone(2): there the kernel wipes it (MADV_WIPEONFORK), and `directory` of struct shim, so that no block
 * is found on record and none is put there: the region is the parent's.
 */
struct shim_wiped {
	struct sampler sampler[SAMPLERS];
	_Atomic uint32_t sample_filter[SAMPLE_FILTER]; /* how many are on record there */
	_Atomic uint32_t alive; /* 1 where there is a region, and it is this process's */
} __attribute__((aligned(4096)));

extern struct shim shim hidden;
extern struct shim_wiped shim_wiped hidden;
extern struct shadow_beacon memfs_beacon exported;
extern struct shadow_header shim_idle hidden, shim_pending hidden;
