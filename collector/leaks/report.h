/* SPDX-License-Identifier: MIT */
/*
 * A region at one instant, as people are told of it: totals, and the call sites in their order. In a worker's
 * thread.
 */
#pragma once

#include "collector/leaks/book.h"
#include "collector/leaks/records.h"
#include "collector/leaks/table.h"
#include "collector/leaks/tally.h"
#include "schema/leak.h"

struct report_options {
	uint64_t min_age_ms;
	/* The count is taken into the book (book_take), which stores what is to be told. */
	bool take;
	uint64_t least_bytes, window_s;
	const struct namer *namer; /* NULL: nobody is asked for functions */
	struct lists *lists;       /* with a namer */
	struct namer_process process;
	bool drives; /* this collector: the ring of stacks is its to empty */
};

struct report {
	int64_t now_boot_ns, now_real_ns;
	struct table_head head;
	bool stacked; /* blocks may be counted elsewhere than the region says */
	struct tally tally;
	struct leak_stat stat;
	struct leak_site
		*site; /* [n], by leak_site_compare; names are the book's, and stay as long as it does */
	uint32_t *site_number; /* [n]: of each in the region */
	size_t n;
	GHashTable *stacks;      /* of a process that is traced with stacks: text, and bytes; else NULL */
	uint64_t *stacked_bytes; /* [tally.n]: of each site, what is in these */
	struct book_telling telling[BOOK_TELLINGS_MAX];
	unsigned n_telling;
	struct leak_site told[BOOK_TELLINGS_MAX]; /* the site of each */
};

/* 0, or -errno; -EAGAIN and -EPROTO as table_read_head. report_deinit frees, also what is all zero. */
int report_take(int fd, struct book *book, const struct report_options *options, struct report *ret_report);
void report_deinit(struct report *report);

/* Takes stacks out of the ring, and no count. */
void report_drain(int fd, struct book *book, const struct report_options *options);

/*
 * records_take, by the sites that `callers` has. Where some are not the region's own, the callers of these
 * (stack_sites_callers) are stored, for the caller to free, else NULL; ret_merged_caller NULL: nobody asks.
 */
int report_take_records(int fd, struct book *book, const struct report_options *options,
	const struct table_head *head, int64_t now_boot_ns, struct records *ret_records,
	uint64_t **ret_merged_caller);

/* The table `callers`. */
void report_put_callers(const struct report *report, struct buf *out);

/* `frame;frame BYTES` lines: module and function of each site that has live bytes. */
void report_put_folded(const struct report *report, struct buf *out);
