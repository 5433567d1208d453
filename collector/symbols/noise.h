/* SPDX-License-Identifier: MIT */
/*
 * Blocks that the runtime allocates once and keeps to the end on purpose: nobody can act on them, so they are
 * no leaks. Pure.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum noise {
	NOISE_NONE,
	NOISE_STDIO,     /* buffers of FILEs */
	NOISE_THREAD,    /* vectors of thread-local storage, and such storage */
	NOISE_CXX_POOL,  /* the emergency pool of libstdc++ for exceptions */
	NOISE_LOADER,    /* what the loader, dlopen and dlerror keep */
	NOISE_LOCALE,    /* setlocale, message catalogues, conversions */
	NOISE_TIME_ZONE, /* tzset */
	NOISE_LOOKUP,    /* name service switch and resolver */
	NOISE_EXIT,      /* lists of atexit and its like */
	N_NOISES
};

/* "stdio", "thread", ...; "-" for none. */
extern const char *const noise_name[N_NOISES];

/*
 * What a block is, by the function and module that asked for it and by its size; of a sampled stack the
 * frames of the C library and the loader may be tried from the innermost on. Either may be NULL where it is
 * unknown.
 */
enum noise noise_of(const char *function, const char *module, uint64_t size_bytes);
