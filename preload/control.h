/* SPDX-License-Identifier: MIT */
/*
 * What hooks ask first: the mode, and what it says of a block.
 */
#pragma once

#include "preload/record.h"
#include "preload/sample.h"
#include "preload/start.h"

#define CALLER ((uintptr_t)__builtin_return_address(0))

/* The same, read from the stack where it is written, after a call, rather than kept over it. */
#if defined(__x86_64__)
#define CALLER_AGAIN (((const volatile uintptr_t *)__builtin_dwarf_cfa())[-1])
#else
#define CALLER_AGAIN CALLER
#endif

static inline uint64_t control_get(void)
{
	return atomic_load_explicit(&shim.header->control, memory_order_relaxed);
}

static inline bool control_is_exact(uint64_t control)
{
	return (control & SHADOW_MODE_MASK) == SHADOW_EXACT;
}

/* SHADOW_SAMPLE or SHADOW_STACK. */
static inline bool control_is_sampling(uint64_t control)
{
	return (control & (SHADOW_MODE_MASK - 1)) == SHADOW_SAMPLE;
}

_Static_assert(SHADOW_SAMPLE == 2 && SHADOW_STACK == 3, "they differ in the lowest bit");

/* The control word once the shim has started, if it has not yet. */
static inline uint64_t control_settle(uint64_t control)
{
	if (likely((control & SHADOW_MODE_MASK) != CONTROL_PENDING))
		return control;
	start();
	control = control_get();
	return (control & SHADOW_MODE_MASK) == CONTROL_PENDING ? 0 : control;
}

/* After the allocator, whatever the mode. */
static inline void control_note(void *block, size_t size, uintptr_t caller, uint64_t control)
{
	if (control_is_exact(control))
		record_block_any(block, size, caller);
	else if (control_is_sampling(control) && sample_is_due(size, control))
		sample_record(block, size, caller, control);
}

/* Whether what is given back has to be looked for. Where only samples are on record, hardly ever. */
static inline bool control_may_have(void *block, uint64_t control)
{
	if (likely(control_is_sampling(control)))
		return sample_is_near((uintptr_t)block) || control & SHADOW_MIXED;
	return control_is_exact(control) || (control & SHADOW_MODE_MASK) == SHADOW_FOLLOW;
}
