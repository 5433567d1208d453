/* SPDX-License-Identifier: MIT */
/*
 * Whether a process grows steadily, told from its anonymous memory. Pure.
 *
 * The window is looked at in GROWTH_SAMPLES samples, in GROWTH_PARTS parts. Each part counts by its floor,
 * its smallest sample: what a garbage collector gives back again, and a spike, does not raise it. Between the
 * floors of neighbouring parts are GROWTH_PARTS - 1 increments. It grows steadily where
 *   - the slope of the floors, over the whole window, is at least the threshold,
 *   - no increment is less than half of the average one: growth that came in one leap is none,
 *   - the last one is at least three quarters of it, for a cache that levels off is none,
 *   - the slope is at least half of the pace, for the same reason.
 *
 * That must be so in GROWTH_CONFIRMATIONS samples one after the other. It has stopped where, for as long, the
 * slope is below half the threshold or the last increment below a quarter of the average. In between nothing
 * changes.
 *
 * The pace is the largest slope there was while growth was gradual (no increment less than a quarter of the
 * average); it fades by a GROWTH_FADING-th a sample, which halves it in two windows and a quarter.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
	GROWTH_PARTS = 5,
	GROWTH_PART = 4,
	GROWTH_SAMPLES = GROWTH_PARTS * GROWTH_PART,
	GROWTH_CONFIRMATIONS = 3,
	GROWTH_FADING = 64,
};

struct growth_track {
	uint64_t sample[GROWTH_SAMPLES]; /* a ring: the next goes to n % GROWTH_SAMPLES */
	uint64_t n;
	int64_t pace;
	unsigned confirmations; /* samples in a row that speak for a change */
	bool growing;
};

enum growth_outcome { GROWTH_SAME = 0, GROWTH_BEGAN = 1, GROWTH_STOPPED = 2 };

/* The next sample, a GROWTH_SAMPLES-th of the window after the last; least_bytes is the threshold. */
enum growth_outcome growth_add(struct growth_track *track, uint64_t bytes, uint64_t least_bytes);

/* Of a window that is full: its oldest sample and its growth by the slope of the floors, in bytes a window.
 */
uint64_t growth_oldest(const struct growth_track *track);
int64_t growth_slope(const struct growth_track *track);
