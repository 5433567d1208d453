/* SPDX-License-Identifier: MIT */
/*
 * Stacks: a sample's registers and the bytes of its stack, copied as they are into the region's ring.
 * Unwinding them is the collector's: an unwinder in malloc takes the loader's locks, and hangs sooner or
 * later.
 */
#pragma once

#include "preload/shim.h"

/*
 * Copies the calling thread's stack for the sample. Without bytes where the stack pointer is not on the stack
 * that the thread was started with, whose end is known: on a signal's stack, on a coroutine's.
 */
void stack_copy(uint32_t sample, uint64_t number, const struct sampler *sampler) hidden;

/* Notes where the stack of the calling thread is. */
void stack_learn(uintptr_t low, uintptr_t high) hidden;

/* The same for the first thread of the process, if that is the caller. */
void stack_learn_first(void) hidden;
