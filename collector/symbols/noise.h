/* SPDX-License-Identifier: MIT */
/*
 * Blocks that the runtime allocates once and keeps to the end on purpose: no leak, and nobody can act on
 * them. Pure.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum noise {
	NOISE_NONE,
	NOISE_STDIO,     /* buffers of FILEs, as large as st_blksize */
	NOISE_THREAD,    /* stacks, thread vectors (DTV) and dynamic TLS */
	NOISE_CXX_POOL,  /* the emergency pool of libstdc++ for exceptions */
	NOISE_LOADER,    /* what dlopen, dlerror and the loader keep */
	NOISE_LOCALE,    /* setlocale, message catalogues, iconv */
	NOISE_TIME_ZONE, /* tzset */
	NOISE_EXIT,      /* lists of atexit and its like */
	N_NOISES
};

/* "stdio", "thread", ...; "-" for none. */
extern const char *const noise_name[N_NOISES];

/*
 * What a block is, by the function and module that asked for it and the block's size: of a sampled stack any
 * frame from the innermost outwards may be tried. `function` may be NULL where it is unknown.
 */
enum noise noise_of(const char *function, const char *module, uint64_t size_bytes);
