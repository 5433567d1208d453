/* SPDX-License-Identifier: MIT */
/*
 * The calls of memfs.h.
 */
#include <errno.h>
#include <time.h>

#include "preload/memfs.h"
#include "preload/record.h"
#include "preload/start.h"

/* The region, if there is one and anything may be on record. */
static struct shadow_header *region_on(void)
{
	uint64_t control = atomic_load_explicit(&shim.header->control, memory_order_relaxed);

	return control && control != CONTROL_PENDING ? shim.header : NULL;
}

static void keep(void *block)
{
	if (region_on())
		record_keep(block);
}

static void name(void *block, const char *name)
{
	uint64_t site;

	if (!region_on())
		return;
	site = site_find_name(name);
	if (site)
		record_attribute(block, site);
}

/* The epoch of now, at least one more than the last. */
static uint64_t stamp_next(const struct shadow_header *header)
{
	uint32_t last = shadow_slot_epoch(atomic_load_explicit(&header->stamp, memory_order_relaxed)), now;
	struct timespec time = { 0 };

	clock_gettime(CLOCK_BOOTTIME, &time);
	now = shadow_epoch_at(
		((uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec - header->created_boot_ns) /
		1000000);
	return (uint64_t)(now > last                 ? now
			  : last < SHADOW_EPOCH_LAST ? last + 1
						     : last)
	       << SHADOW_EPOCH_SHIFT;
}

static void attach(struct shadow_header *header)
{
	uint64_t off = SHADOW_OFF, stamp = stamp_next(header);

	atomic_store_explicit(&header->stamp, stamp, memory_order_relaxed);
	atomic_store_explicit(&header->attached, stamp, memory_order_release);
	if (atomic_compare_exchange_strong(&header->control, &off, SHADOW_EXACT))
		atomic_store_explicit(&header->driver, SHADOW_BY_PROGRAM, memory_order_relaxed);
}

/* Whoever else drives the region knows better. */
static void trace_begin(void)
{
	struct shadow_header *header;
	uint64_t control;
	int error = errno;

	start();
	header = shim.header;
	if (header == &shim_idle || header == &shim_pending || atomic_fetch_add(&shim.trace_depth, 1))
		return;
	control = atomic_load(&header->control);
	if (control == SHADOW_OFF && !atomic_load(&header->owner))
		attach(header);
	else if (control == SHADOW_FOLLOW && atomic_load(&header->driver) == SHADOW_BY_PROGRAM)
		atomic_compare_exchange_strong(&header->control, &control, SHADOW_EXACT);
	errno = error;
}

static void trace_end(void)
{
	struct shadow_header *header = shim.header;
	uint64_t exact = SHADOW_EXACT;
	uint32_t depth = atomic_load(&shim.trace_depth);

	do {
		if (!depth)
			return; /* begun where there was no region, or in the parent */
	} while (!atomic_compare_exchange_weak(&shim.trace_depth, &depth, depth - 1));
	if (depth == 1 && header != &shim_idle && header != &shim_pending &&
		atomic_load(&header->driver) == SHADOW_BY_PROGRAM)
		atomic_compare_exchange_strong(&header->control, &exact, SHADOW_FOLLOW);
}

static int is_traced(void)
{
	const struct shadow_header *header = region_on();
	uint32_t mode =
		header ? shadow_control_mode(atomic_load_explicit(&header->control, memory_order_relaxed))
		       : 0;

	return mode != SHADOW_OFF && mode != SHADOW_FOLLOW;
}

extern const struct memfs_calls memfs_calls exported;
const struct memfs_calls memfs_calls = { sizeof(memfs_calls), keep, name, trace_begin, trace_end, is_traced };
