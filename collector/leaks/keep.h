/* SPDX-License-Identifier: MIT */
/*
 * What the collector keeps in a region for its successors (SHADOW_KEEP_AT): the process's own min_age, which
 * sites people were told of, and the samples that growth is told from. It is as untrusted as the rest of the
 * region: what is out of bounds is not taken.
 */
#pragma once

#include <stdint.h>

#include "collector/leaks/book.h"

#define KEEP_NO_AGE UINT64_MAX

/* The process's own min_age in seconds; KEEP_NO_AGE where it has none. */
uint64_t keep_read_min_age_s(int fd);
int keep_write_min_age_s(int fd, uint64_t min_age_s); /* 0 or -errno */

/* Whose people were told: the state directory, whatever collector it has. */
struct keep_teller {
	uint64_t device, inode;
};

/* Of a book without sites, before anybody else has it. What cannot be read, or was told by another, is not
 * there.
 */
void keep_read_book(int fd, const struct keep_teller *teller, struct book *book);
/* The lock is held. 0 or -errno. */
int keep_write_book(int fd, const struct keep_teller *teller, struct book *book);
