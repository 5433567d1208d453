/* SPDX-License-Identifier: MIT */
/*
 * How samples are packed. Two pure codecs, both of varints (LEB128) of zigzagged differences:
 *
 * A *minute* is one subject's samples of one minute, by column: the seconds that have a sample, then for each
 * metric its first value and the differences, where a run of zeros is a zero followed by the run's length
 * less one. A metric that is absent in the whole minute costs one bit; one absent in part has a bitmap of its
 * own.
 *
 * A *tick* is what changed at one instant, by subject, against the tick before: the journal's row. The first
 * tick of a minute is a key tick, which names every living subject and needs nothing before it. One of many
 * subjects has marks behind them, which lead whoever is after one subject to its place.
 *
 * docs/history.md has the bytes. Decoders survive any bytes and bound what they touch.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schema/base/buf.h"

enum { PACK_SECONDS = 60, PACK_METRICS_MAX = 64 };

/*
 * One subject, one minute. Bit s of seconds: there is a sample of second s. value[m][s] counts where bit s of
 * present[m] is set, which is a subset of seconds.
 */
struct pack_minute {
	unsigned n_metrics;
	uint64_t seconds;
	uint64_t present[PACK_METRICS_MAX];
	uint64_t value[PACK_METRICS_MAX][PACK_SECONDS];
};

/* Makes it a minute without samples. Only what `present` covers of value is ever read, so that stays as it
 * is. */
void pack_minute_init(struct pack_minute *minute, unsigned n_metrics);

/* The sample of second s; replaces an earlier one. value[m] counts where bit m of present is set. */
void pack_minute_set(struct pack_minute *minute, unsigned s, uint64_t present, const uint64_t *value);

/* Takes over from `other` the seconds that `minute` has not. */
void pack_minute_merge(struct pack_minute *minute, const struct pack_minute *other);

void pack_minute_encode(struct buf *out, const struct pack_minute *minute);

/* False where the bytes are not a minute; *ret is then unspecified. Metrics beyond those stored are absent.
 */
bool pack_minute_decode(struct pack_minute *ret, const void *bytes, size_t len);

/* The same by sample, for those who walk them in the order of time: row i, of n, is that of the i-th second
 * in `seconds`. Of the value of a metric its bit in present[i] says whether it counts. */
struct pack_rows {
	unsigned n_metrics, n;
	uint64_t seconds;
	uint64_t present[PACK_SECONDS];
	uint64_t value[PACK_SECONDS * PACK_METRICS_MAX]; /* row by row, n_metrics each */
};
bool pack_minute_rows(struct pack_rows *ret, const void *bytes, size_t len);

/* The sample of second s alone. */
enum pack_found { PACK_TORN = -1, PACK_NONE = 0, PACK_SAMPLE = 1 };
enum pack_found pack_minute_at(const void *bytes, size_t len, unsigned s, uint64_t *ret_present,
	uint64_t ret_value[static PACK_METRICS_MAX]);

/* One subject in a tick. */
struct pack_entry {
	int64_t subject;
	bool ended;                   /* gone since the tick before; no values */
	uint64_t present;             /* metrics that are known */
	const uint64_t *value;        /* as known at this tick */
	uint64_t before_present;      /* what the tick before said of it; 0: nothing, as in every key tick */
	const uint64_t *before_value; /* NULL where before_present is 0 */
};

/* A tick being written behind what `out` has: begin, entries in ascending order of subject, end. `key`: names
 * every living subject. */
struct pack_tick {
	struct buf *out;
	size_t begin, n;
	int64_t subject; /* of the entry last put, -1 before the first */
	struct buf marks;
};
void pack_tick_begin(struct pack_tick *tick, struct buf *out, bool key);
void pack_tick_put(struct pack_tick *tick, const struct pack_entry *entry);
void pack_tick_end(struct pack_tick *tick);

/* Walks the entries of a tick, in order, without decoding their values. The bytes must outlive it. */
struct pack_cursor {
	const uint8_t *begin, *at, *end; /* of the entries */
	const uint8_t *mark, *marks_end; /* those ahead */
	int64_t subject;                 /* of the entry last returned, -1 before the first */
	bool key;
};
struct pack_change {
	int64_t subject;
	const uint8_t *bytes;
	size_t len; /* 0: the subject ended */
	bool has_present;
};
enum pack_step { PACK_BAD = -1, PACK_END = 0, PACK_ENTRY = 1 };
bool pack_tick_open(struct pack_cursor *cursor, const void *bytes, size_t len);
enum pack_step pack_tick_next(struct pack_cursor *cursor, struct pack_change *ret_change);

/*
 * Follows one subject through ticks. Zero it, set subject, and feed it the ticks in order: after each,
 * `alive` says whether the subject has a sample at that instant, and present/value what it is.
 */
struct pack_follow {
	int64_t subject;
	bool alive;
	uint64_t present;
	uint64_t value[PACK_METRICS_MAX]; /* 0 where absent */
};

/* A whole tick. False where the bytes are not a tick; the follower is then as before. */
bool pack_tick_follow(struct pack_follow *follow, const void *bytes, size_t len);

/* The same by parts, for those who walk the tick themselves: at a key tick first, then with the subject's
 * entry if it has one. */
void pack_follow_key(struct pack_follow *follow);
bool pack_follow_apply(struct pack_follow *follow, const struct pack_change *change);
