/* SPDX-License-Identifier: MIT */
/*
 * Sampling by bytes: each thread counts down an exponentially distributed number of bytes, and the block that
 * takes it below zero is on record. So the chance of a block is 1 - exp(-size / rate) whatever was allocated
 * before, and sums weighed by its inverse have no bias. A thread is found by its thread pointer in a table:
 * the shim has no thread-local storage, for the loader may allocate it when it is first touched, in malloc.
 */
#pragma once

#include "preload/shim.h"

/* Whether a block is a sample; if not, its bytes are counted. Also after sample_passes said false. */
bool sample_is_due(size_t size, uint64_t control) hidden;

/* Puts a block on record that is due, and draws the thread's next. */
void sample_record(void *block, size_t size, uintptr_t caller, uint64_t control) hidden cold;

/* The sample of a block that was on record at the address and is not any more. */
void sample_release(uintptr_t addr, uint32_t index) hidden cold;

/* Gives a sample another site. */
void sample_attribute(uint32_t index, uint32_t site) hidden;

/* The calling thread's sampler. NULL never: the last of the table is for all who find it full. */
struct sampler *sample_thread(uintptr_t thread) hidden;

/* An exponentially distributed number of bytes; advances *random. */
uint64_t sample_draw(uint64_t *random, uint64_t rate_bytes) hidden;

static inline uintptr_t sample_self(void)
{
	return (uintptr_t)__builtin_thread_pointer();
}

/* Thread pointers differ from bit 12 on; an entry is 64 bytes, so that they are a distance as they are. */
static inline struct sampler *sample_first(uintptr_t thread)
{
	return (struct sampler *)((char *)shim_wiped.sampler + (thread >> 6 & (SAMPLERS - 1) << 6));
}

_Static_assert(sizeof(struct sampler) == 1 << 6, "an entry is 64 bytes");

static inline uint64_t sample_key(uintptr_t thread, uint64_t control)
{
	return thread ^ control;
}

/* The fast half of sample_is_due: true for nearly all, that are counted and no sample. False: nothing was
 * done. */
static inline bool sample_passes(size_t size, uint64_t control)
{
	uintptr_t thread = sample_self();
	struct sampler *sampler = sample_first(thread);

	if (unlikely(sampler->key != sample_key(thread, control)))
		return false;
	/* Taken off first and, if that was too much, given back: one instruction for nearly all. */
	if (likely(!__builtin_sub_overflow(sampler->left_bytes, size, &sampler->left_bytes)))
		return true;
	sampler->left_bytes += size;
	return false;
}

static inline _Atomic uint32_t *sample_filter(uintptr_t addr)
{
	return &shim_wiped.sample_filter[addr >> SAMPLE_FILTER_SHIFT & (SAMPLE_FILTER - 1)];
}

/* Whether a sample may be on record there. */
static inline bool sample_is_near(uintptr_t addr)
{
	return atomic_load_explicit(sample_filter(addr), memory_order_relaxed) != 0;
}
