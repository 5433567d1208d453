/* SPDX-License-Identifier: MIT */
#include "preload/site.h"

#include <string.h>

#include "preload/module.h"

/* `about`: bits 0-15 the module, from 16 on the next site of the same module, for site_drop_gone. */
enum { ABOUT_NEXT_SHIFT = 16 };

/* Places in the order in which a key is looked for: its group among the first, then a run in the rest. 0: no
 * more. */
static uint64_t site_place(uint64_t key, unsigned probe)
{
	uint64_t first = key & (SITE_FIRST - 1), index;

	if (probe < SITE_GROUP)
		return (first & ~(uint64_t)(SITE_GROUP - 1)) | ((first + probe) & (SITE_GROUP - 1));
	index = SITE_FIRST +
		((key * UINT64_C(0x9e3779b97f4a7c15) >> 40) + probe) % (SHADOW_SITES - SITE_FIRST);
	return probe < SITE_GROUP + SITE_PROBES ? index : 0;
}

/* A new site of a place in code: which module that is in, for as long as it is there. */
static void site_describe(uint64_t index, uint64_t key)
{
	struct shadow_site *site = &shim.sites[index];
	uint32_t module = module_find((uintptr_t)key), next;

	if (!module)
		return;
	next = atomic_load_explicit(&shim.site_of_module[module - 1], memory_order_relaxed);
	do {
		atomic_store_explicit(
			&site->about, module | (uint64_t)next << ABOUT_NEXT_SHIFT, memory_order_relaxed);
	} while (!atomic_compare_exchange_weak_explicit(&shim.site_of_module[module - 1], &next,
		(uint32_t)index, memory_order_release, memory_order_relaxed));
}

/* Where the key is, or was put. 0: full. */
static uint64_t site_insert(uint64_t key)
{
	for (unsigned probe = 0; probe < SITE_GROUP + SITE_PROBES; probe++) {
		uint64_t index = site_place(key, probe), found = 0;

		if (!index)
			continue;
		if (atomic_compare_exchange_strong_explicit(&shim.sites[index].key, &found, key,
			    memory_order_relaxed, memory_order_relaxed)) {
			atomic_fetch_add_explicit(&shim.header->sites_used, 1, memory_order_relaxed);
			if (!(key & SHADOW_SITE_NAMED))
				site_describe(index, key);
			return index;
		}
		if (found == key)
			return index;
	}
	return 0;
}

uint64_t site_find(uint64_t key)
{
	uint64_t index = 0;

	if (!key)
		return 0;
	for (unsigned probe = 0; probe < SITE_GROUP + SITE_PROBES; probe++) {
		uint64_t found;

		index = site_place(key, probe);
		if (!index)
			continue;
		found = atomic_load_explicit(&shim.sites[index].key, memory_order_relaxed);
		if (found == key)
			return index << SHADOW_SITE_SHIFT;
		if (!found)
			break;
	}
	index = site_insert(key);
	if (!index)
		atomic_fetch_add_explicit(&shim.header->sites_refused, 1, memory_order_relaxed);
	return index << SHADOW_SITE_SHIFT;
}

/* The first byte is written last: a name is there when its text begins. */
static void name_put(char *text, const char *name)
{
	size_t len = strnlen(name, SHADOW_NAME_BYTES - 1);

	memcpy(text + 1, name + 1, len - 1);
	text[len] = '\0';
	__atomic_store_n(&text[0], name[0], __ATOMIC_RELEASE);
}

uint64_t site_find_name(const char *name)
{
	char *names = shim.base + SHADOW_NAMES_AT;
	uint64_t used, index;

	if (!name || !name[0])
		return 0;
	used = atomic_load_explicit(&shim.header->names_used, memory_order_acquire);
	for (index = 0; index < used && index < SHADOW_NAMES; index++)
		if (!strncmp(names + index * SHADOW_NAME_BYTES, name, SHADOW_NAME_BYTES - 1))
			return site_find(SHADOW_SITE_NAMED | index);
	index = atomic_fetch_add_explicit(&shim.header->names_used, 1, memory_order_acq_rel);
	if (index >= SHADOW_NAMES) {
		atomic_store_explicit(&shim.header->names_used, SHADOW_NAMES, memory_order_relaxed);
		return 0;
	}
	name_put(names + index * SHADOW_NAME_BYTES, name);
	return site_find(SHADOW_SITE_NAMED | index);
}

void site_drop_gone(void)
{
	uint64_t modules = atomic_load_explicit(&shim.header->modules_used, memory_order_acquire);

	for (uint32_t module = 1; module <= modules && module <= SHADOW_MODULES; module++) {
		uint32_t index;

		if (!module_drop_gone(module))
			continue;
		index = atomic_exchange_explicit(&shim.site_of_module[module - 1], 0, memory_order_acquire);
		while (index) {
			struct shadow_site *site = &shim.sites[index];

			atomic_fetch_or_explicit(&site->key, SHADOW_SITE_GONE, memory_order_relaxed);
			index = (uint32_t)(atomic_load_explicit(&site->about, memory_order_relaxed) >>
					   ABOUT_NEXT_SHIFT);
		}
	}
}
