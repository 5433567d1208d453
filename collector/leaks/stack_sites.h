/* SPDX-License-Identifier: MIT */
/*
 * Where the stack of a block is known it is counted for the caller that a person can act on: the first that
 * is no wrapper. Such a site is none of the region's: it has a number of its own from SHADOW_SITES on, is
 * made when first met, and stays with its book. What the runtime keeps stays with the region's own site,
 * which says what it is.
 *
 * Stacks are not kept over the death of a collector. That a leak is known by one of its callers is: it is
 * written beside the sample, in the region.
 */
#pragma once

#include "collector/leaks/book.h"

/* What book->merged is. */
GHashTable *stack_sites_new(void);

/* The ctx of the `of` of tally_sites. The book's lock is held from _begin to _end. */
struct stack_sites {
	struct book *book;
	const struct lists *lists;
	int fd; /* of the region, where it is this collector's to write to; else -1 */
	GHashTable
		*suppressed; /* of symbols and modules that were asked about: STACK_KNOWN or STACK_UNKNOWN */
};
struct stack_sites stack_sites_begin(struct book *book, const struct lists *lists, int fd);
void stack_sites_end(struct stack_sites *sites);

/* Whether blocks of it may be counted elsewhere than the region says. */
bool stack_sites_matter(const struct book *book, const struct table_head *head);

uint32_t stack_sites_of(void *stack_sites, const struct table_block *block);

/* The return address of each of these sites, from SHADOW_SITES on; 0: there is none. */
void stack_sites_callers(struct book *book, uint64_t ret_caller[static TALLY_MERGED]);
