/* SPDX-License-Identifier: MIT */
/* Symbols that were found out, by build id and address; of too many the one that nobody asked for the longest
 * goes. */
#pragma once

#include "collector/symbols/symbols.h"
#include "collector/symbols/wire.h"

/* A reference; NULL where there is no memory. Control characters of the texts become `?`. */
struct symbol *symbol_new(const struct wire_symbol *from);

struct symbol_cache;
int symbol_cache_new(size_t max, struct symbol_cache **ret_cache); /* 0 or -ENOMEM */
void symbol_cache_free(struct symbol_cache *cache);                /* takes NULL */

/* A reference, or NULL. */
struct symbol *symbol_cache_get(struct symbol_cache *cache, const struct module_id *id, uint64_t address);

/* Takes a reference of its own; without memory nothing is remembered. */
void symbol_cache_put(
	struct symbol_cache *cache, const struct module_id *id, uint64_t address, struct symbol *symbol);

size_t symbol_cache_count(const struct symbol_cache *cache);
