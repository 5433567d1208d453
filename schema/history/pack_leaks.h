/* SPDX-License-Identifier: MIT */
/*
 * What a process had when it ended, packed: totals, call sites, blocks, lines for flame-graph tools. The
 * bytes are in docs/history.md. Decoding allocates nothing, and spans point into the bytes; it takes any
 * bytes.
 */
#pragma once

#include <stddef.h>

#include "schema/base/buf.h"
#include "schema/leak.h"

/* --- writing: stat, sites, folded, blocks, in this order --- */
void pack_leaks_stat(struct buf *out, const struct leak_stat *stat);
/* After pack_leaks_count of them. */
void pack_leaks_count(struct buf *out, uint64_t n);
void pack_leaks_site(struct buf *out, const struct leak_site *site);
void pack_leaks_text(struct buf *out, struct span folded);

struct leak_block {
	int64_t time_ms; /* epoch: when it was made */
	uint64_t addr, size;
	uint32_t site; /* from 1: which of the sites; 0: none of them */
};
/* After pack_leaks_count of them, oldest first; `before` begins as all zero. */
void pack_leaks_block(struct buf *out, struct leak_block *before, const struct leak_block *block);

/* --- reading --- */
struct pack_leaks {
	const uint8_t *at, *end;
	uint64_t n_sites, n_blocks; /* left */
	struct leak_block before;
};

/* False where the bytes are torn. Stat first; then each site; then the text, which begins the blocks. */
bool pack_leaks_open(struct pack_leaks *pack, const void *bytes, size_t len, struct leak_stat *ret_stat);
bool pack_leaks_next_site(struct pack_leaks *pack, struct leak_site *ret_site);
bool pack_leaks_read_text(struct pack_leaks *pack, struct span *ret_folded);
bool pack_leaks_next_block(struct pack_leaks *pack, struct leak_block *ret_block);
