/* SPDX-License-Identifier: MIT */
/*
 * How samples are packed. Two pure codecs, both of varints (LEB128) of zigzagged differences:
 *
 * A *minute* is one subject's samples of one minute, by column: a bitmap of the seconds that have a sample, then for
 * each metric its first value and the differences, where a run of zeros is a zero followed by the run's length less
 * one. A metric that is absent in the whole minute costs one bit; one absent in part has a bitmap of its own.
 *
 * A *tick* is what changed at one instant, by subject, against the values before: the journal's row. The first tick
 * of a minute is a key tick, which needs nothing before it.
 *
 * docs/history.md has the bytes. Decoders survive any bytes and bound what they touch.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schema/base/buf.h"

enum { PACK_SECONDS = 60, PACK_METRICS_MAX = 64 };

/* One subject, one minute. value[m][s] counts where bit s of present[m] is set; seconds is the union of them. */
struct pack_minute {
	unsigned n_metrics;
	uint64_t seconds;
	uint64_t present[PACK_METRICS_MAX];
	uint64_t value[PACK_METRICS_MAX][PACK_SECONDS];
};

void pack_minute_encode(struct buf *out, const struct pack_minute *minute);

/* False where the bytes are not a minute; *ret is then unspecified. Metrics beyond those stored are absent. */
bool pack_minute_decode(struct pack_minute *ret, const void *bytes, size_t len);

/* One subject in a tick. */
struct pack_entry {
	int64_t subject;
	bool ended;                   /* gone since the tick before; no values */
	uint64_t present;             /* metrics that are known */
	const uint64_t *value;        /* as known at this tick */
	uint64_t before_present;      /* what an earlier tick of this minute said of it; 0: nothing yet */
	const uint64_t *before_value; /* NULL where before_present is 0 */
};

/* The head of a tick; entries follow by pack_tick_put, in ascending order of subject. `key`: names every living subject. */
void pack_tick_begin(struct buf *out, unsigned n_metrics, bool key);
void pack_tick_put(struct buf *out, unsigned n_metrics, int64_t before_subject, const struct pack_entry *entry);

/*
 * Follows one subject through the ticks of a minute. Zero it, set subject, and feed it the blobs in order: after
 * each, `alive` says whether the subject has a sample at that instant, and present/value what it is. False where
 * the bytes are not a tick; the follower is then as before.
 */
struct pack_follow {
	int64_t subject;
	bool alive;
	uint64_t present;
	uint64_t value[PACK_METRICS_MAX];
};
bool pack_tick_follow(struct pack_follow *follow, const void *bytes, size_t len);

/* All subjects of a tick in order, for replay after a crash: differences are handed out as stored. */
typedef int pack_tick_fn(void *ctx, int64_t subject, bool ended, uint64_t present, const int64_t *difference);
/* 0, what fn returned, or -EBADMSG. */
int pack_tick_each(const void *bytes, size_t len, bool *ret_key, pack_tick_fn *fn, void *ctx);
