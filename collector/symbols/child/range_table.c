/* SPDX-License-Identifier: MIT */
#include "collector/symbols/child/range_table.h"

#include <stdlib.h>

#include "schema/base/array.h"

void range_table_add(struct range_table *table, uint64_t start, uint64_t end, uint32_t value)
{
	if (start >= end)
		return;
	struct range *range = array_push(&table->range, &table->n, &table->cap);
	if (range)
		*range = (struct range) { start, end, 0, value };
}

static int compare(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return x->value < y->value ? -1 : x->value > y->value;
}

void range_table_sort(struct range_table *table)
{
	uint64_t reach = 0;

	if (table->n)
		qsort(table->range, table->n, sizeof(table->range[0]), compare);
	for (size_t i = 0; i < table->n; i++) {
		struct range *range = &table->range[i];
		range->reach = reach = range->end > reach ? range->end : reach;
	}
}

bool range_table_find(const struct range_table *table, uint64_t address, uint32_t *ret_value)
{
	size_t low = 0, high = table->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (table->range[middle].start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	while (low-- && table->range[low].reach > address) {
		if (table->range[low].end > address) {
			*ret_value = table->range[low].value;
			return true;
		}
	}
	return false;
}

void range_table_deinit(struct range_table *table)
{
	free(table->range);
	*table = (struct range_table) { 0 };
}
