/* SPDX-License-Identifier: MIT */
/*
 * Times and durations as people write them, in a path or behind an option: `17m`, `36h`, `7d`; an epoch time,
 * `2026-11-20T14:00`, `-10m`, `last`. Parsing is pure and takes the whole text or nothing of it.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "schema/base/buf.h"
#include "schema/base/kv.h"

/* The units of durations, ascending. Ids of nodes have their number in them (fs/tree.h). */
enum { N_WHEN_UNITS = 4 };
extern const struct when_unit {
	char letter;
	uint32_t seconds;
} when_unit[N_WHEN_UNITS];

/* The number of the largest that measures a duration whole. */
unsigned when_largest_unit(uint32_t seconds);

/*
 * A whole number that does not begin with 0, and its unit: s, m, h or d. Each duration has one text a unit,
 * so that a name made of it is not another's. False where it is no duration or has more than 32 bits.
 */
bool when_duration_parse(struct span text, uint32_t *ret_seconds);

/* The shortest text of a duration: `10m`, never `600s`. */
void when_duration_put(struct buf *out, uint32_t seconds);

enum when_kind {
	WHEN_EPOCH, /* time_s is it */
	WHEN_LOCAL, /* time_s is what it would be if the text were UTC; when_resolve knows the zone */
	WHEN_LAST,  /* the newest there is */
};
struct when {
	enum when_kind kind;
	int64_t time_s;
};

/*
 * Any of
 *   1700000000 1700000000.25       seconds of the epoch; fractions are cut off
 *   2026-11-20 2026-11-20T14:00 2026-11-20T14:00:30     local; with a Z behind it UTC
 *   -10m                           a duration before now_s
 *   last
 * False where it is none of them, or the date does not exist.
 */
bool when_time_parse(struct span text, int64_t now_s, struct when *ret_when);

/*
 * The epoch time of WHEN_EPOCH and WHEN_LOCAL, the latter in this process's zone (TZ, else /etc/localtime):
 * not pure. Of an hour that the clock shows twice one is taken; one that it leaps over is moved by the leap.
 */
int64_t when_resolve(const struct when *when);
