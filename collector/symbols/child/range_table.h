/* SPDX-License-Identifier: MIT */
/* Ranges of addresses with a number each, which may lie in one another. Starts as all zero. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct range_table {
	struct range {
		uint64_t start, end;
		uint64_t reach; /* the highest end up to here: what begins earlier does not reach beyond it */
		uint32_t value;
	} * range;
	size_t n, cap;
};

/* Adds what is not empty, while there is memory. */
void range_table_add(struct range_table *table, uint64_t start, uint64_t end, uint32_t value);

/* To be called behind the last addition. */
void range_table_sort(struct range_table *table);

/* The value of the range that begins last of those with the address; of several that begin there, the one
 * added last. False where none has it. */
bool range_table_find(const struct range_table *table, uint64_t address, uint32_t *ret_value);
void range_table_deinit(struct range_table *table);
