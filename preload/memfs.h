/* SPDX-License-Identifier: MIT */
/*
 * For programs that want to tell memfs about their memory. Include this header and link nothing: the calls
 * reach libmemfs-preload.so where it is preloaded (memfs run), and do nothing elsewhere. C and C++; any
 * thread, but not from a signal handler, for the first call of a source file asks the loader.
 */
#pragma once

#include <dlfcn.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What the shim provides as the symbol memfs_calls. Only grows; `size` says how much there is. */
struct memfs_calls {
	size_t size;
	void (*keep)(void *block);
	void (*name)(void *block, const char *name);
	void (*trace_begin)(void);
	void (*trace_end)(void);
	int (*is_traced)(void);
};

static inline const struct memfs_calls *memfs_calls_find(void)
{
	static const struct memfs_calls none = { sizeof(none), NULL, NULL, NULL, NULL, NULL };
	static const struct memfs_calls *found; /* not `calls`, so that it is never seen half */
	const struct memfs_calls *calls = __atomic_load_n(&found, __ATOMIC_ACQUIRE);

	if (!calls) {
		calls = (const struct memfs_calls *)dlsym(NULL, "memfs_calls"); /* NULL is RTLD_DEFAULT */
		if (!calls || calls->size < sizeof(none))
			calls = &none;
		__atomic_store_n(&found, calls, __ATOMIC_RELEASE);
	}
	return calls;
}

/* This block is meant to live as long as the program: it is never a suspect, and stays so over realloc.
 * Returns it. */
static inline void *memfs_keep(void *block)
{
	const struct memfs_calls *calls = memfs_calls_find();

	if (calls->keep)
		calls->keep(block);
	return block;
}

/*
 * The block is accounted under the name, instead of under the place in the code that asked for it: say
 * "session" or "route table" rather than the allocator's wrapper. The first 63 bytes count; a program may
 * have 4,096 names. Returns the block.
 */
static inline void *memfs_name(void *block, const char *name)
{
	const struct memfs_calls *calls = memfs_calls_find();

	if (calls->name)
		calls->name(block, name);
	return block;
}

/*
 * Between the two, in all threads, every block is put on record; what is on record then is followed until it
 * is freed. They nest. Where tracing is on already, they change nothing.
 */
static inline void memfs_trace_begin(void)
{
	const struct memfs_calls *calls = memfs_calls_find();

	if (calls->trace_begin)
		calls->trace_begin();
}

static inline void memfs_trace_end(void)
{
	const struct memfs_calls *calls = memfs_calls_find();

	if (calls->trace_end)
		calls->trace_end();
}

/* Whether new blocks are put on record, all or some. */
static inline int memfs_is_traced(void)
{
	const struct memfs_calls *calls = memfs_calls_find();

	return calls->is_traced ? calls->is_traced() : 0;
}

#ifdef __cplusplus
}
#endif
