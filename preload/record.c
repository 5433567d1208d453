/* SPDX-License-Identifier: MIT */
#include "preload/record.h"

#include "preload/sample.h"

/* Where the leaf's slot of address 0 would be: what the directory has. */
static uint64_t leaf_origin(uint64_t leaf, uint64_t region)
{
	return (uint64_t)(uintptr_t)(shim.leaves + leaf * shim.leaf_bytes) -
	       (region << SHADOW_REGION_SHIFT >> shim.granule_shift << 3);
}

/* Takes a leaf; SHADOW_LEAVES: none is left. In one order with region_shrink, which unmaps what is not taken.
 */
static uint64_t leaf_take(void)
{
	uint64_t used = atomic_load(&shim.header->leaves_used);

	do {
		if (used >= atomic_load(&shim.leaves_mapped))
			return SHADOW_LEAVES;
	} while (!atomic_compare_exchange_weak(&shim.header->leaves_used, &used, used + 1));
	return used < atomic_load(&shim.leaves_mapped) ? used : SHADOW_LEAVES;
}

_Atomic uint64_t *record_cover(uintptr_t addr, size_t size)
{
	uint64_t region = addr >> SHADOW_REGION_SHIFT, origin, found = 0, leaf;
	_Atomic uint64_t *words = (_Atomic uint64_t *)(shim.base + SHADOW_LEAVES_AT);

	if (!addr || region > SHADOW_REGION_LAST)
		return NULL;
	/* A child whose fork ran no handlers: the directory is wiped, and the region is the parent's. */
	if (!atomic_load_explicit(&shim_wiped.alive, memory_order_relaxed))
		return NULL;
	leaf = leaf_take();
	if (leaf == SHADOW_LEAVES) {
		atomic_fetch_add_explicit(&shim.header->uncovered_blocks, 1, memory_order_relaxed);
		atomic_fetch_add_explicit(&shim.header->uncovered_bytes, size, memory_order_relaxed);
		return NULL;
	}
	origin = leaf_origin(leaf, region);
	/* Readers must know what a leaf covers before it has slots. Who loses this race leaves one that
	 * covers nothing. */
	atomic_store_explicit(&words[leaf], shadow_leaf_word(region), memory_order_relaxed);
	if (!atomic_compare_exchange_strong_explicit(
		    &shim.directory[region], &found, origin, memory_order_release, memory_order_relaxed))
		atomic_store_explicit(&words[leaf], 0, memory_order_relaxed);
	return record_slot(addr, shim.granule_shift);
}

void *record_slowly(void *block, size_t size, uintptr_t caller)
{
	uintptr_t addr = (uintptr_t)block;
	_Atomic uint64_t *slot = record_slot(addr, shim.granule_shift);
	uint64_t stamp = atomic_load_explicit(&shim.header->stamp, memory_order_relaxed), site;
	size_t near = size;

	if (!block || (!slot && !(slot = record_cover(addr, size))))
		return block;
	site = site_find(caller);
	if (size >= SHADOW_SIZE_FAR) {
		near = SHADOW_SIZE_FAR;
		/* Behind it lies the block itself, so that no other can have this slot. */
		atomic_store_explicit(slot + 1, shadow_extension(size), memory_order_relaxed);
	}
	atomic_store_explicit(
		slot, record_word(addr, near, site, stamp, shim.granule_shift), memory_order_release);
	return block;
}

void record_let_go(uintptr_t addr, uint64_t old)
{
	enum shadow_tag tag = shadow_slot_tag(old);
	uint64_t control = atomic_load_explicit(&shim.header->control, memory_order_relaxed);

	if (tag == SHADOW_SAMPLED)
		sample_release(addr, shadow_slot_site(old));
	else if (tag != SHADOW_BLOCK && shadow_control_mode(control) == SHADOW_EXACT)
		atomic_fetch_add_explicit(&shim.header->older_freed, 1, memory_order_relaxed);
}

void record_forget_slowly(void *block)
{
	_Atomic uint64_t *slot = record_slot((uintptr_t)block, shim.granule_shift);

	/* No leaf: as little is known as of a block without a slot. */
	if (block)
		record_let_go((uintptr_t)block, slot ? record_take(slot) : 0);
}

void *record_block_any(void *block, size_t size, uintptr_t caller)
{
	return record_block_as(block, size, caller, shim.granule_shift);
}

/* An extension is left alone: it is of another block, and means nothing here. */
uint64_t record_take(_Atomic uint64_t *slot)
{
	uint64_t old = atomic_load_explicit(slot, memory_order_relaxed);
	enum shadow_tag tag = shadow_slot_tag(old);

	if (tag != SHADOW_BLOCK && tag != SHADOW_SAMPLED)
		return 0;
	atomic_store_explicit(slot, 0, memory_order_relaxed);
	return old;
}

void record_put_back(_Atomic uint64_t *slot, uint64_t old)
{
	if (old)
		atomic_store_explicit(slot, old, memory_order_release);
}

/* The slot of a block on record, with its word; NULL: it is not. */
static _Atomic uint64_t *slot_of(void *block, uint64_t *ret_word)
{
	_Atomic uint64_t *slot = block ? record_slot((uintptr_t)block, shim.granule_shift) : NULL;
	uint64_t word = slot ? atomic_load_explicit(slot, memory_order_relaxed) : 0;
	enum shadow_tag tag = shadow_slot_tag(word);

	if (tag != SHADOW_BLOCK && tag != SHADOW_SAMPLED)
		return NULL;
	*ret_word = word;
	return slot;
}

void record_keep(void *block)
{
	uint64_t word;
	_Atomic uint64_t *slot = slot_of(block, &word);

	if (slot)
		atomic_store_explicit(slot, word | SHADOW_KEPT, memory_order_relaxed);
}

bool record_attribute(void *block, uint64_t site)
{
	const uint64_t mask = (uint64_t)(SHADOW_SITES - 1) << SHADOW_SITE_SHIFT;
	uint64_t word;
	_Atomic uint64_t *slot = slot_of(block, &word);

	if (!slot)
		return false;
	if (shadow_slot_tag(word) == SHADOW_SAMPLED)
		sample_attribute(shadow_slot_site(word), (uint32_t)(site >> SHADOW_SITE_SHIFT));
	else
		atomic_store_explicit(slot, (word & ~mask) | site, memory_order_relaxed);
	return true;
}
