/* SPDX-License-Identifier: MIT */
/* The live blocks of a region one by one, oldest first. */
#pragma once

#include "collector/leaks/table.h"
#include "collector/leaks/tally.h"

struct record {
	uint64_t addr, size; /* bytes, as asked for */
	uint32_t site, epoch;
};

struct records {
	struct record *record;
	size_t n, cap;
	uint32_t *order; /* [n]: by age; of one age in the order of the table */
};

/*
 * The blocks that were at least min_age_ms old at now_boot_ns (CLOCK_BOOTTIME); with 0 all of them.
 * sites: as tally_take has them. 0 or -errno. records_deinit frees, also what is all zero.
 */
int records_take(int fd, const struct table_head *head, int64_t now_boot_ns, uint64_t min_age_ms,
	const struct tally_sites *sites, struct records *ret_records);
void records_deinit(struct records *records);

/*
 * Their text, piece by piece: the table `records` of a process, a whole number of rows a piece. The records
 * stay the caller's, and so does what stack_sites_callers gave, where sites may be such (else NULL). 0 or
 * -errno. record_text_free takes NULL.
 */
struct record_text;
int record_text_new(int fd, const struct table_head *head, uint32_t pid, const struct records *records,
	const uint64_t *merged_caller, struct record_text **ret_text);
void record_text_free(struct record_text *text);

/* How many bytes it has altogether. */
uint64_t record_text_len(struct record_text *text);

/* Writes whole rows, as many as there is room for, which is LEAK_RECORD_MAX at least. 0 at the end. */
size_t record_text_read(struct record_text *text, char *to, size_t room);
