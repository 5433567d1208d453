/* SPDX-License-Identifier: MIT */
#include "fs/names.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "fs/fuse/keep.h"

enum { BUCKETS = 2 * KEEP_NAMES }; /* a power of two, never more than half full */

struct record {
	uint64_t parent;
	uint32_t len;
	char bytes[];
};

struct names {
	struct keep_names *kept;
	pthread_mutex_t lock;
	uint32_t bucket[BUCKETS]; /* number + 1; 0 empty. Rebuilt by each serve */
};

static size_t record_size(size_t len)
{
	return (sizeof(struct record) + len + 7) & ~(size_t)7;
}

static uint32_t hash(uint64_t parent, struct span name)
{
	uint64_t h = parent * UINT64_C(0x9e3779b97f4a7c15);

	for (size_t i = 0; i < name.n; i++)
		h = (h ^ (unsigned char)name.p[i]) * UINT64_C(1099511628211);
	return (uint32_t)(h ^ h >> 32) & (BUCKETS - 1);
}

/* NULL where what is kept is not a record. */
static const struct record *record_at(const struct names *names, uint32_t number)
{
	uint32_t offset = names->kept->offset[number];
	const struct record *record;

	if (offset % 8 || offset > KEEP_NAMES_BYTES - sizeof(*record))
		return NULL;
	record = (const struct record *)(const void *)(names->kept->bytes + offset);
	return record->len <= KEEP_NAMES_BYTES - sizeof(*record) - offset ? record : NULL;
}

/* The bucket that has the name, or the empty one where it belongs. */
static uint32_t *find_bucket(struct names *names, uint64_t parent, struct span name)
{
	for (uint32_t at = hash(parent, name);; at = (at + 1) & (BUCKETS - 1)) {
		uint32_t *bucket = &names->bucket[at];
		const struct record *record = *bucket ? record_at(names, *bucket - 1) : NULL;
		if (!*bucket || (record && record->parent == parent && record->len == name.n &&
					!memcmp(record->bytes, name.p, name.n)))
			return bucket;
	}
}

int names_new(struct keep *keep, struct names **ret_names)
{
	struct names *names = calloc(1, sizeof(*names));

	if (!names)
		return -ENOMEM;
	names->kept = &keep->names;
	pthread_mutex_init(&names->lock, NULL);
	if (names->kept->n > KEEP_NAMES)
		names->kept->n = 0;
	/* Where the bytes end is told by the records alone: a wrong end would put new ones onto them. */
	names->kept->used = 0;
	for (uint32_t i = 0; i < names->kept->n; i++) {
		const struct record *record = record_at(names, i);
		if (!record)
			continue;
		*find_bucket(names, record->parent, (struct span) { record->bytes, record->len }) = i + 1;
		uint32_t end = names->kept->offset[i] + (uint32_t)record_size(record->len);
		if (end > names->kept->used)
			names->kept->used = end;
	}
	*ret_names = names;
	return 0;
}

void names_free(struct names *names)
{
	if (names)
		pthread_mutex_destroy(&names->lock);
	free(names);
}

static int append(struct names *names, uint64_t parent, struct span name, uint32_t *bucket)
{
	struct keep_names *kept = names->kept;
	uint32_t number = kept->n, used = kept->used;
	struct record *record;

	if (number == KEEP_NAMES || used > KEEP_NAMES_BYTES || record_size(name.n) > KEEP_NAMES_BYTES - used)
		return -ENOSPC;
	record = (struct record *)(void *)(kept->bytes + used);
	record->parent = parent;
	record->len = (uint32_t)name.n;
	memcpy(record->bytes, name.p, name.n);
	kept->offset[number] = used;
	kept->used = used + (uint32_t)record_size(name.n);
	atomic_store_explicit(&kept->n, number + 1, memory_order_release);
	*bucket = number + 1;
	return 0;
}

int names_intern(struct names *names, uint64_t parent, struct span name, uint32_t *ret_number)
{
	int r = 0;

	pthread_mutex_lock(&names->lock);
	uint32_t *bucket = find_bucket(names, parent, name);
	if (!*bucket)
		r = append(names, parent, name, bucket);
	if (!r)
		*ret_number = *bucket - 1;
	pthread_mutex_unlock(&names->lock);
	return r;
}

struct span names_get(struct names *names, uint32_t number, uint64_t *ret_parent)
{
	const struct record *record = number < names_count(names) ? record_at(names, number) : NULL;

	if (!record)
		return (struct span) { "", 0 };
	if (ret_parent)
		*ret_parent = record->parent;
	return (struct span) { record->bytes, record->len };
}

void names_put(struct names *names, uint32_t number, struct buf *out)
{
	struct span name = names_get(names, number, NULL);
	buf_put(out, name.p, name.n);
}

uint32_t names_count(struct names *names)
{
	uint32_t n = atomic_load_explicit(&names->kept->n, memory_order_acquire);
	return n <= KEEP_NAMES ? n : 0;
}
