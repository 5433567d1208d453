/* SPDX-License-Identifier: MIT */
/*
 * Sites: where in the code a block was asked for, by return address, or a name that the program gave.
 *
 * The table is insert-only, so that reading it takes no lock. Its first SITE_FIRST entries, in groups of a
 * cache line, hold the sites of all but huge programs on few pages; what finds its group full goes to the
 * rest. Sites are passed about as `index << SHADOW_SITE_SHIFT`, which is both the distance into the table and
 * the bits of a slot.
 */
#pragma once

#include "preload/shim.h"

enum {
	SITE_FIRST = 8192,
	SITE_GROUP = 4,
	SITE_PROBES = 64, /* entries beyond the first group that are looked at */
};

_Static_assert(sizeof(struct shadow_site) == 1 << SHADOW_SITE_SHIFT, "an index is a distance");

static inline struct shadow_site *site_at(uint64_t site)
{
	return (struct shadow_site *)((char *)shim.sites + site);
}

/* Calls that follow each other in code are five bytes apart at least: the low bits spread well as they are.
 */
static inline uint64_t site_first(uint64_t key)
{
	return key << SHADOW_SITE_SHIFT & (SITE_FIRST - 1) << SHADOW_SITE_SHIFT;
}

/* Whether the key, which is not 0, has that site. Never of site 0, whose key stays 0. */
static inline bool site_is(uint64_t site, uint64_t key)
{
	return atomic_load_explicit(&site_at(site)->key, memory_order_relaxed) == key;
}

/* Finds or adds it; 0 where the table is full. Async-signal-safe. */
uint64_t site_find(uint64_t key) hidden;

/* A name that the program gave; the same for the same text. 0: the table is full. */
uint64_t site_find_name(const char *name) hidden;

/* After something was unloaded: the sites of modules that are gone are not found any more. */
void site_drop_gone(void) hidden;
