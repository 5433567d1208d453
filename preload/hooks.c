/* SPDX-License-Identifier: MIT */
/*
 * malloc and its like. Off: a jump to the allocator's. Exact: its block is put on record as it comes, and
 * taken off before it goes, or another thread could have the address before. Nothing here sets errno, takes a
 * lock or makes a system call; what the allocator does stays as it is, refusals and aborts too.
 */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>

#include "preload/control.h"

/* A start, a sample that may be due, or blocks that may be at any address. */
static __attribute__((noinline)) void *malloc_rarely(size_t size, uintptr_t caller, uint64_t control)
{
	void *block;

	control = control_settle(control);
	block = shim.real.malloc(size);
	control_note(block, size, caller, control);
	return block;
}

/* Reached by a jump, so that its caller is that of malloc. */
static __attribute__((noinline)) void *malloc_exact(size_t size)
{
	void *block = shim.real.malloc(size);

	return record_block(block, size, CALLER_AGAIN);
}

exported void *malloc(size_t size)
{
	uint64_t control = control_get();

	if (likely(!control))
		return shim.real.malloc(size);
	if (likely(control == shim.fast_control))
		return malloc_exact(size);
	if (likely(control_is_sampling(control) && sample_passes(size, control)))
		return shim.real.malloc(size);
	return malloc_rarely(size, CALLER, control);
}

extern __typeof__(malloc) hooks_malloc hidden __attribute__((alias("malloc"), copy(malloc)));

static __attribute__((noinline)) void free_slowly(void *block)
{
	record_forget_slowly(block);
	shim.real.free(block);
}

static __attribute__((noinline)) void free_rarely(void *block, uint64_t control)
{
	if (control_may_have(block, control))
		return free_slowly(block);
	shim.real.free(block);
}

exported void free(void *block)
{
	uint64_t control = control_get();

	if (likely(!control)) {
		shim.real.free(block);
		return;
	}
	if (likely(control == shim.fast_control)) {
		if (unlikely(!record_forget(block)))
			return free_slowly(block);
	} else if (unlikely(!control_is_only_sampling(control) || sample_is_near((uintptr_t)block))) {
		return free_rarely(block, control);
	}
	shim.real.free(block);
}

static __attribute__((noinline)) void *calloc_rarely(
	size_t n, size_t size, uintptr_t caller, uint64_t control)
{
	void *block;

	control = control_settle(control);
	block = shim.real.calloc(n, size);
	/* Where it was given, the product is a size. */
	if (control && block)
		control_note(block, n * size, caller, control);
	return block;
}

static __attribute__((noinline)) void *calloc_exact(size_t n, size_t size)
{
	void *block = shim.real.calloc(n, size);

	return block ? record_block(block, n * size, CALLER_AGAIN) : NULL;
}

exported void *calloc(size_t n, size_t size)
{
	uint64_t control = control_get();
	size_t bytes;

	if (likely(!control))
		return shim.real.calloc(n, size);
	if (likely(control == shim.fast_control))
		return calloc_exact(n, size);
	if (likely(control_is_sampling(control) && !__builtin_mul_overflow(n, size, &bytes) &&
		    sample_passes(bytes, control)))
		return shim.real.calloc(n, size);
	return calloc_rarely(n, size, CALLER, control);
}

/* A block that could not be moved stays what it was; of size 0 some allocators free, and give NULL for that.
 */
static __attribute__((noinline)) void *realloc_noted(
	void *block, size_t size, uintptr_t caller, uint64_t control)
{
	_Atomic uint64_t *slot = NULL;
	uint64_t old = 0;
	void *moved;

	control = control_settle(control);
	if (!control)
		return shim.real.realloc(block, size);
	/* To look where nothing is would take a page of the region. */
	if (block && control_may_have(block, control) &&
		(slot = record_slot((uintptr_t)block, shim.granule_shift)))
		old = record_take(slot);
	moved = shim.real.realloc(block, size);
	if (!moved && size) {
		if (slot)
			record_put_back(slot, old);
		return NULL;
	}
	if (block)
		record_let_go((uintptr_t)block, old);
	if (moved) {
		control_note(moved, size, caller, control);
		if (unlikely(old & SHADOW_KEPT))
			record_keep(moved);
	}
	return moved;
}

/* The same for a block that is simply on record, and the caller of realloc as in malloc_exact. */
static __attribute__((noinline)) void *realloc_exact(void *block, size_t size)
{
	_Atomic uint64_t *slot;
	uint64_t old;
	void *moved;

	if (unlikely(!record_take_plain(block, &slot, &old)))
		return realloc_noted(block, size, CALLER_AGAIN, shim.fast_control);
	moved = shim.real.realloc(block, size);
	if (likely(moved != NULL))
		return record_block(moved, size, CALLER_AGAIN);
	if (size)
		record_put_back(slot, old);
	return NULL;
}

exported void *realloc(void *block, size_t size)
{
	uint64_t control = control_get();

	if (likely(!control))
		return shim.real.realloc(block, size);
	if (likely(control == shim.fast_control))
		return realloc_exact(block, size);
	if (likely(control_is_only_sampling(control) && !sample_is_near((uintptr_t)block) &&
		    sample_passes(size, control)))
		return shim.real.realloc(block, size);
	return realloc_noted(block, size, CALLER, control);
}

/* Not the C library's, which comes back by realloc: the caller would be the C library. */
exported void *reallocarray(void *block, size_t n, size_t size)
{
	uint64_t control = control_get();
	size_t bytes;

	if (__builtin_mul_overflow(n, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	if (likely(!control))
		return shim.real.realloc(block, bytes);
	return realloc_noted(block, bytes, CALLER, control);
}

exported void *memalign(size_t alignment, size_t size)
{
	uint64_t control = control_settle(control_get());
	void *block = shim.real.memalign(alignment, size);

	if (unlikely(control))
		control_note(block, size, CALLER, control);
	return block;
}

exported void *aligned_alloc(size_t alignment, size_t size)
{
	uint64_t control = control_settle(control_get());
	void *block = shim.real.aligned_alloc(alignment, size);

	if (unlikely(control))
		control_note(block, size, CALLER, control);
	return block;
}

exported int posix_memalign(void **ret_block, size_t alignment, size_t size)
{
	uint64_t control = control_settle(control_get());
	int r = shim.real.posix_memalign(ret_block, alignment, size);

	if (unlikely(control) && !r)
		control_note(*ret_block, size, CALLER, control);
	return r;
}

exported void *valloc(size_t size)
{
	uint64_t control = control_settle(control_get());
	void *block = shim.real.valloc(size);

	if (unlikely(control))
		control_note(block, size, CALLER, control);
	return block;
}

exported void *pvalloc(size_t size)
{
	uint64_t control = control_settle(control_get());
	void *block = shim.real.pvalloc(size);

	if (unlikely(control))
		control_note(block, size, CALLER, control);
	return block;
}

/* Names of free that the C library may not have: of old, and of C23. What they are told of a block is not
 * needed. */
void cfree(void *block) exported;
void free_sized(void *block, size_t size) exported;
void free_aligned_sized(void *block, size_t alignment, size_t size) exported;

exported void cfree(void *block)
{
	free(block);
}

exported void free_sized(void *block, size_t size)
{
	free(block);
}

exported void free_aligned_sized(void *block, size_t alignment, size_t size)
{
	free(block);
}

/* Programs that allocate nothing have a region too, and no library may register handlers from within malloc.
 */
__attribute__((constructor)) static void construct(void)
{
	start();
	pthread_atfork(start_before_fork, NULL, start_in_child);
}
