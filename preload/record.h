/* SPDX-License-Identifier: MIT */
/*
 * The hot path: a block's slot is written when it was given out and cleared before it is given back. No lock,
 * no system call, no thread-local storage; two threads never write one slot at a time, for a block has one
 * owner.
 */
#pragma once

#include "preload/shim.h"
#include "preload/site.h"

/* Blocks that the inline path leaves: no leaf yet, a large one, a site that is not where it is looked for
 * first. */
void *record_slowly(void *block, size_t size, uintptr_t caller) hidden cold;

/* A slot that is not simply a block's: nothing on record, or a sample. */
void record_forget_slowly(void *block) hidden;

/* As record_block below, for granules of any size. */
void *record_block_any(void *block, size_t size, uintptr_t caller) hidden;

/*
 * realloc: takes a slot's word away while the allocator may move the block; then it is put back as it was, or
 * let go of for good.
 */
uint64_t record_take(_Atomic uint64_t *slot) hidden;
void record_put_back(_Atomic uint64_t *slot, uint64_t old) hidden;
void record_let_go(uintptr_t addr, uint64_t old) hidden;

/* Marks a block that is on record as deliberately kept. */
void record_keep(void *block) hidden;

/* Gives a block that is on record another site. False: it is not on record. */
bool record_attribute(void *block, uint64_t site) hidden;

/* Makes a leaf for the address, unless there is none left. Returns the slot or NULL. */
_Atomic uint64_t *record_cover(uintptr_t addr, size_t size) hidden cold;

/* The directory's word for an address; 0: no leaf covers it. */
static inline uint64_t record_leaf(uintptr_t addr)
{
	return atomic_load_explicit(
		&shim.directory[addr >> SHADOW_REGION_SHIFT & SHADOW_REGION_LAST], memory_order_relaxed);
}

static inline _Atomic uint64_t *record_slot_in(uint64_t leaf, uintptr_t addr, uint32_t granule_shift)
{
	return (_Atomic uint64_t *)(leaf + (addr >> granule_shift << 3));
}

/* NULL: no leaf covers the address. */
static inline _Atomic uint64_t *record_slot(uintptr_t addr, uint32_t granule_shift)
{
	uint64_t leaf = record_leaf(addr);

	return leaf ? record_slot_in(leaf, addr, granule_shift) : NULL;
}

static inline uint64_t record_odd(uintptr_t addr, uint32_t granule_shift)
{
	return (addr << 1 >> (granule_shift - 3)) & SHADOW_ODD;
}

/* Whole slots but for an extension; `site` is in its place already (site.h). */
static inline uint64_t record_word(
	uintptr_t addr, size_t size, uint64_t site, uint64_t stamp, uint32_t granule_shift)
{
	return (stamp + site + SHADOW_BLOCK) | record_odd(addr, granule_shift) |
	       (uint64_t)size << SHADOW_SIZE_SHIFT;
}

/* The block was given out to the caller, in exact mode; returned as it is. NULL is none. */
static inline __attribute__((always_inline)) void *record_block_as(
	void *block, size_t size, uintptr_t caller, uint32_t granule_shift)
{
	uintptr_t addr = (uintptr_t)block;
	uint64_t site = site_first(caller),
		 stamp = atomic_load_explicit(&shim.header->stamp, memory_order_relaxed);
	uint64_t leaf = record_leaf(addr);

	if (unlikely(!site_is(site, caller) || !leaf || size >= SHADOW_SIZE_FAR))
		return record_slowly(block, size, caller);
	atomic_store_explicit(record_slot_in(leaf, addr, granule_shift),
		record_word(addr, size, site, stamp, granule_shift), memory_order_relaxed);
	return block;
}

/*
 * The block is about to be given back, in a mode where every block may be on record. False: nothing was done,
 * and record_forget_slowly has to look.
 */
static inline __attribute__((always_inline)) bool record_forget_as(void *block, uint32_t granule_shift)
{
	uintptr_t addr = (uintptr_t)block;
	uint64_t leaf = record_leaf(addr);
	_Atomic uint64_t *slot = record_slot_in(leaf, addr, granule_shift);

	if (unlikely(!leaf ||
		     (atomic_load_explicit(slot, memory_order_relaxed) & SHADOW_TAG_MASK) != SHADOW_BLOCK))
		return false;
	atomic_store_explicit(slot, 0, memory_order_relaxed);
	return true;
}

/* In the mode of shim.fast_control, with shifts that the compiler knows. */
static inline void *record_block(void *block, size_t size, uintptr_t caller)
{
	return record_block_as(block, size, caller, SHADOW_GRANULE_SHIFT_MAX);
}

static inline bool record_forget(void *block)
{
	return record_forget_as(block, SHADOW_GRANULE_SHIFT_MAX);
}

/* Also takes it away, for realloc, where it is a block's without marks. False: nothing was done. */
static inline bool record_take_plain(void *block, _Atomic uint64_t **ret_slot, uint64_t *ret_old)
{
	uintptr_t addr = (uintptr_t)block;
	uint64_t leaf = record_leaf(addr);

	if (!leaf)
		return false;
	*ret_slot = record_slot_in(leaf, addr, SHADOW_GRANULE_SHIFT_MAX);
	*ret_old = atomic_load_explicit(*ret_slot, memory_order_relaxed);
	if ((*ret_old & (SHADOW_TAG_MASK | SHADOW_KEPT)) != SHADOW_BLOCK)
		return false;
	atomic_store_explicit(*ret_slot, 0, memory_order_relaxed);
	return true;
}
