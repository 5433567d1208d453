/* SPDX-License-Identifier: MIT */
#include "collector/history/history_live.h"

#include <stdlib.h>
#include <string.h>

void live_init(struct live_table *table)
{
	*table = (struct live_table) { .free = LIVE_NONE };
}

void live_deinit(struct live_table *table)
{
	free(table->live);
	free(table->bucket);
	live_init(table);
}

/* pids are dense and sequential: their low bits spread as well as any hash. */
static uint32_t *bucket_of(const struct live_table *table, uint32_t pid)
{
	return &table->bucket[pid & (table->n_buckets - 1)];
}

uint32_t live_find(const struct live_table *table, uint32_t pid)
{
	if (!table->n_buckets)
		return LIVE_NONE;
	uint32_t place = *bucket_of(table, pid);
	while (place != LIVE_NONE && table->live[place].pid != pid)
		place = table->live[place].next;
	return place;
}

static bool grow(struct live_table *table)
{
	size_t cap = table->cap ? table->cap * 2 : 256;
	struct live *live = reallocarray(table->live, cap, sizeof(*live));
	uint32_t *bucket;

	if (!live)
		return false;
	table->live = live;
	bucket = reallocarray(table->bucket, cap, sizeof(*bucket));
	if (!bucket)
		return false;
	table->bucket = bucket;
	table->cap = table->n_buckets = cap;
	memset(bucket, 0xff, cap * sizeof(*bucket)); /* LIVE_NONE each */
	for (uint32_t i = 0; i < table->used; i++) {
		if (!live[i].used)
			continue;
		uint32_t *head = bucket_of(table, live[i].pid);
		live[i].next = *head;
		*head = i;
	}
	return true;
}

uint32_t live_add(struct live_table *table, uint32_t pid)
{
	uint32_t place = table->free;

	if (place != LIVE_NONE) {
		table->free = table->live[place].next;
	} else {
		if (table->used == table->cap && !grow(table))
			return LIVE_NONE;
		place = (uint32_t)table->used++;
	}
	uint32_t *head = bucket_of(table, pid);
	table->live[place] = (struct live) { .pid = pid, .used = true, .next = *head };
	*head = place;
	table->n++;
	return place;
}

void live_remove(struct live_table *table, uint32_t place)
{
	uint32_t *link = bucket_of(table, table->live[place].pid);

	while (*link != place)
		link = &table->live[*link].next;
	*link = table->live[place].next;
	table->live[place] = (struct live) { .next = table->free };
	table->free = place;
	table->n--;
}
