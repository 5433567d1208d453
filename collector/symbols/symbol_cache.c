/* SPDX-License-Identifier: MIT */
#include "collector/symbols/symbol_cache.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* Stands before what an owner of a reference sees. */
struct counter {
	_Alignas(max_align_t) atomic_uint references;
};

struct entry {
	struct entry *chained;
	struct entry *newer, *older;
	struct module_id id;
	uint64_t address;
	struct symbol *symbol;
};

struct symbol_cache {
	size_t n, max, buckets; /* a power of two */
	struct entry *newest, *oldest;
	struct entry *bucket[];
};

static struct counter *counter_of(struct symbol *symbol)
{
	return (struct counter *)(void *)symbol - 1;
}

static const char *put_text(char **at, const char *text, size_t n)
{
	char *begin = *at;

	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)text[i];
		begin[i] = c < 0x20 || c == 0x7f ? '?' : text[i];
	}
	begin[n] = 0;
	*at += n + 1;
	return begin;
}

struct symbol *symbol_new(const struct wire_symbol *from)
{
	size_t bytes = sizeof(struct counter) + sizeof(struct symbol) + from->n * sizeof(struct symbol_frame);
	size_t texts = 0;

	for (unsigned i = 0; i < from->n; i++)
		texts += from->frame[i].function_n + 1U +
			 (from->frame[i].file ? from->frame[i].file_n + 1U : 0);
	struct counter *counter = malloc(bytes + texts);
	if (!counter)
		return NULL;
	struct symbol *symbol = (struct symbol *)(void *)(counter + 1);
	char *at = (char *)counter + bytes;
	atomic_init(&counter->references, 1);
	symbol->n = from->n;
	for (unsigned i = 0; i < from->n; i++) {
		const struct wire_frame *frame = &from->frame[i];
		symbol->frame[i] = (struct symbol_frame) {
			.function = put_text(&at, frame->function, frame->function_n),
			.file = frame->file ? put_text(&at, frame->file, frame->file_n) : NULL,
			.line = frame->line,
		};
	}
	return symbol;
}

struct symbol *symbol_ref(struct symbol *symbol)
{
	atomic_fetch_add_explicit(&counter_of(symbol)->references, 1, memory_order_relaxed);
	return symbol;
}

void symbol_unref(struct symbol *symbol)
{
	if (symbol &&
		atomic_fetch_sub_explicit(&counter_of(symbol)->references, 1, memory_order_acq_rel) == 1)
		free(counter_of(symbol));
}

int symbol_cache_new(size_t max, struct symbol_cache **ret_cache)
{
	size_t buckets = 16;

	while (buckets < max && buckets < SIZE_MAX / 32)
		buckets *= 2;
	struct symbol_cache *cache = calloc(1, sizeof(*cache) + buckets * sizeof(cache->bucket[0]));
	if (!cache)
		return -ENOMEM;
	cache->buckets = buckets;
	cache->max = max ? max : 1;
	*ret_cache = cache;
	return 0;
}

/* FNV-1a over the id, and the address with its low bits spread. */
static struct entry **bucket_of(struct symbol_cache *cache, const struct module_id *id, uint64_t address)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (unsigned i = 0; i < id->n; i++)
		hash = (hash ^ id->bytes[i]) * UINT64_C(0x100000001b3);
	hash = (hash ^ address) * UINT64_C(0x9e3779b97f4a7c15);
	return &cache->bucket[(hash >> 32) & (cache->buckets - 1)];
}

static bool is_of(const struct entry *entry, const struct module_id *id, uint64_t address)
{
	return entry->address == address && entry->id.n == id->n && entry->id.built == id->built &&
	       !memcmp(entry->id.bytes, id->bytes, id->n);
}

static void unlink_age(struct symbol_cache *cache, struct entry *entry)
{
	*(entry->newer ? &entry->newer->older : &cache->newest) = entry->older;
	*(entry->older ? &entry->older->newer : &cache->oldest) = entry->newer;
}

static void make_newest(struct symbol_cache *cache, struct entry *entry)
{
	entry->newer = NULL;
	entry->older = cache->newest;
	*(cache->newest ? &cache->newest->newer : &cache->oldest) = entry;
	cache->newest = entry;
}

static void drop_oldest(struct symbol_cache *cache)
{
	struct entry *entry = cache->oldest, **at = bucket_of(cache, &entry->id, entry->address);

	while (*at != entry)
		at = &(*at)->chained;
	*at = entry->chained;
	unlink_age(cache, entry);
	symbol_unref(entry->symbol);
	free(entry);
	cache->n--;
}

void symbol_cache_free(struct symbol_cache *cache)
{
	while (cache && cache->oldest)
		drop_oldest(cache);
	free(cache);
}

struct symbol *symbol_cache_get(struct symbol_cache *cache, const struct module_id *id, uint64_t address)
{
	for (struct entry *entry = *bucket_of(cache, id, address); entry; entry = entry->chained) {
		if (!is_of(entry, id, address))
			continue;
		unlink_age(cache, entry);
		make_newest(cache, entry);
		return symbol_ref(entry->symbol);
	}
	return NULL;
}

void symbol_cache_put(
	struct symbol_cache *cache, const struct module_id *id, uint64_t address, struct symbol *symbol)
{
	struct entry **bucket = bucket_of(cache, id, address), *entry = *bucket;

	while (entry && !is_of(entry, id, address))
		entry = entry->chained;
	if (entry) {
		symbol_ref(symbol);
		symbol_unref(entry->symbol);
		entry->symbol = symbol;
		return;
	}
	entry = malloc(sizeof(*entry));
	if (!entry)
		return;
	*entry = (struct entry) {
		.chained = *bucket, .id = *id, .address = address, .symbol = symbol_ref(symbol)
	};
	*bucket = entry;
	make_newest(cache, entry);
	if (++cache->n > cache->max)
		drop_oldest(cache);
}

size_t symbol_cache_count(const struct symbol_cache *cache)
{
	return cache->n;
}
