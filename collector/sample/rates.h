/* SPDX-License-Identifier: MIT */
/*
 * Rates over several windows, from samples at uneven times. Pure: times come from the caller, nanoseconds of
 * CLOCK_MONOTONIC, which no setting of the clock moves.
 *
 * A ring per window keeps samples a sixteenth of the window apart: each tick for the short windows, fewer for
 * the long ones. What happened before the first sample is told as a base: values that were known to stand
 * still from `since` to `until`. So a process needs a track only from its first change on, and none again
 * once it stood still for longer than every window.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "schema/board.h"
#include "schema/metrics.h"

enum { RATE_VALUES = N_PROCESS_RATES, RATE_RING = 20 };
_Static_assert((int)N_SYSTEM_RATES <= (int)RATE_VALUES, "one track serves both lists");

/* The metrics with rates, in the order of the board's rate array; bits of present as their index there. */
struct rate_sample {
	int64_t time_ns;
	uint32_t present;
	uint64_t value[RATE_VALUES];
};

struct rate_ring {
	uint32_t head; /* where the next goes */
	uint32_t n;
	struct rate_sample sample[RATE_RING];
};

struct rate_track {
	struct rate_sample base; /* time_ns: until when */
	int64_t base_since_ns;
	struct rate_ring ring[N_WINDOWS];
};

/* Begins anew: nothing is known but that `base` stood still from since_ns to base->time_ns. */
void rate_track_init(struct rate_track *track, int64_t since_ns, const struct rate_sample *base);

/* Samples come in the order of time. Each ring takes it if its last one is old enough. */
void rate_track_add(struct rate_track *track, const struct rate_sample *sample);

/*
 * A counter that is not read at every sample was found to have moved: samples after from_ns, which hold its
 * old value, get their share of the way from `from` to `to`, as if it had moved evenly until to_ns.
 */
void rate_track_spread(
	struct rate_track *track, unsigned index, int64_t from_ns, uint64_t from, int64_t to_ns, uint64_t to);

/*
 * Rates at `now`, which must be of the newest sample's time or later: (value now - value then) / elapsed,
 * then being the newest sample that is at least as old as the window. BOARD_RATE_UNKNOWN where there is none
 * yet. A sample that is up to 50 ms younger counts, for ticks jitter; the division is by what really elapsed.
 */
void rate_track_rates(const struct rate_track *track, const struct rate_sample *now, unsigned n_values,
	int64_t ret_rate[][N_WINDOWS]);

/*
 * Rates of what stood still since since_ns: 0 for windows that fit in, unknown else and where no value is
 * present. Returns when the next window will fit in; INT64_MAX once all do.
 */
int64_t rate_still(
	int64_t since_ns, int64_t now_ns, uint32_t present, unsigned n_values, int64_t ret_rate[][N_WINDOWS]);

/* After so long without a change a track tells nothing that rate_still does not: every window and its ring's
 * slack. */
int64_t rate_forget_ns(void);
