/* SPDX-License-Identifier: MIT */
/*
 * Where the stack of a block is known it is counted for the caller that a person can act on: the first that
 * is no wrapper. Such a site is none of the region's: it has a number of its own from SHADOW_SITES on, is
 * made when first met, and stays with its book.
 */
#pragma once

#include "collector/leaks/book.h"

/* What book->merged is. */
GHashTable *stack_sites_new(void);

/* The `of` of tally_sites, whose ctx it is. The book's lock is held. */
struct stack_sites {
	struct book *book;
	const struct lists *lists;
};
uint32_t stack_sites_of(void *stack_sites, const struct table_block *block);

/* The return address of each of these sites, from SHADOW_SITES on; 0: there is none. The lock is held. */
void stack_sites_callers(struct book *book, uint64_t ret_caller[static TALLY_MERGED]);
