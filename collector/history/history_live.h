/* SPDX-License-Identifier: MIT */
/*
 * The processes that live, as the recorder last heard of them: what a tick's differences are taken from, and
 * all that an idle process costs the open minute. Places are numbers, for the table moves when it grows.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "schema/board.h"
#include "schema/metrics.h"

enum { LIVE_COLUMNS = N_PROCESS_COLUMNS };
enum { LIVE_NONE = UINT32_MAX };

struct live {
	int64_t subject; /* 0: has no row yet */
	uint64_t start_ticks;
	int64_t start_s;
	uint64_t present;             /* of value */
	uint64_t value[LIVE_COLUMNS]; /* 0 where absent */
	uint32_t pid;
	uint32_t uid;
	char comm[BOARD_COMM];
	bool used;
	bool fresh;    /* subject was made in the transaction under way */
	bool renamed;  /* its row does not know yet */
	bool touched;  /* by the tick being taken in */
	uint32_t next; /* in its bucket, or among the free */
};

struct live_table {
	struct live *live;
	size_t n;    /* living */
	size_t used; /* places ever used: walk to here and ask `used` */
	size_t cap;
	uint32_t *bucket;
	size_t n_buckets; /* a power of two, or 0 */
	uint32_t free;
};

void live_init(struct live_table *table);
void live_deinit(struct live_table *table);

/* The place of a pid, LIVE_NONE where it does not live. */
uint32_t live_find(const struct live_table *table, uint32_t pid);

/* A place for a pid that does not live yet, all zero but its pid; LIVE_NONE without memory. */
uint32_t live_add(struct live_table *table, uint32_t pid);
void live_remove(struct live_table *table, uint32_t place);
