/* SPDX-License-Identifier: MIT */
/* Rates over several windows. */
#include "collector/sample/rates.h"

#include <string.h>

__extension__ typedef __int128 wide;

enum { SPACING = 16, JITTER_NS = 50000000 };

static int64_t window_ns(unsigned window)
{
	return (int64_t)metric_window_seconds[window] * 1000000000;
}

/* The age that makes a sample old enough for a window. */
static int64_t window_age_ns(unsigned window)
{
	return window_ns(window) - JITTER_NS;
}

void rate_track_init(struct rate_track *track, int64_t since_ns, const struct rate_sample *base)
{
	track->base = *base;
	track->base_since_ns = since_ns;
	for (unsigned w = 0; w < N_WINDOWS; w++)
		track->ring[w].head = track->ring[w].n = 0;
}

void rate_track_add(struct rate_track *track, const struct rate_sample *sample)
{
	for (unsigned w = 0; w < N_WINDOWS; w++) {
		struct rate_ring *ring = &track->ring[w];
		if (ring->n) {
			const struct rate_sample *last =
				&ring->sample[(ring->head + RATE_RING - 1) % RATE_RING];
			if (sample->time_ns - last->time_ns < window_ns(w) / SPACING)
				continue;
		}
		ring->sample[ring->head] = *sample;
		ring->head = (ring->head + 1) % RATE_RING;
		if (ring->n < RATE_RING)
			ring->n++;
	}
}

static int64_t clamp(wide value)
{
	if (value > INT64_MAX)
		return INT64_MAX;
	return value <= INT64_MIN ? INT64_MIN + 1 : (int64_t)value;
}

void rate_track_spread(
	struct rate_track *track, unsigned index, int64_t from_ns, uint64_t from, int64_t to_ns, uint64_t to)
{
	if (to_ns <= from_ns)
		return;
	for (unsigned w = 0; w < N_WINDOWS; w++) {
		struct rate_ring *ring = &track->ring[w];
		for (uint32_t i = 0; i < ring->n; i++) {
			struct rate_sample *sample = &ring->sample[i];
			if (sample->time_ns <= from_ns || sample->time_ns >= to_ns)
				continue;
			wide way = (wide)to - (wide)from;
			sample->value[index] = (uint64_t)((wide)from + way * (sample->time_ns - from_ns) /
									       (to_ns - from_ns));
		}
	}
	/* The base stood still no longer than until from_ns. */
	if (track->base.time_ns > from_ns)
		track->base.time_ns = from_ns;
}

/* How many samples back the newest one is that is old enough for the window; n + 1 where none is. */
static uint32_t find_old(const struct rate_ring *ring, int64_t latest)
{
	uint32_t back = 1;
	while (back <= ring->n && ring->sample[(ring->head + RATE_RING - back) % RATE_RING].time_ns > latest)
		back++;
	return back;
}

/* The newest sample of value `index` that is at least `back` samples old; false where there is none. */
static bool find_then(const struct rate_track *track, unsigned window, uint32_t back, unsigned index,
	int64_t now_ns, int64_t *ret_time_ns, uint64_t *ret_value)
{
	const struct rate_ring *ring = &track->ring[window];
	for (; back <= ring->n; back++) {
		const struct rate_sample *sample = &ring->sample[(ring->head + RATE_RING - back) % RATE_RING];
		if (!(sample->present >> index & 1))
			continue;
		*ret_time_ns = sample->time_ns;
		*ret_value = sample->value[index];
		return true;
	}
	if (!(track->base.present >> index & 1) || track->base_since_ns > now_ns - window_age_ns(window))
		return false;
	int64_t ideal = now_ns - window_ns(window);
	if (ideal < track->base_since_ns)
		ideal = track->base_since_ns;
	*ret_time_ns = ideal < track->base.time_ns ? ideal : track->base.time_ns;
	*ret_value = track->base.value[index];
	return true;
}

static int64_t rate_between(uint64_t then, int64_t then_ns, uint64_t now, int64_t now_ns)
{
	/* Most stand still, and dividing 128 bits is a call. */
	return now == then ? 0 : clamp(((wide)now - (wide)then) * 1000000000 / (now_ns - then_ns));
}

void rate_track_rates(const struct rate_track *track, const struct rate_sample *now, unsigned n_values,
	int64_t ret_rate[][N_WINDOWS])
{
	for (unsigned w = 0; w < N_WINDOWS; w++) {
		uint32_t back = find_old(&track->ring[w], now->time_ns - window_age_ns(w));
		for (unsigned i = 0; i < n_values; i++) {
			int64_t time_ns;
			uint64_t value;
			ret_rate[i][w] = BOARD_RATE_UNKNOWN;
			if (now->present >> i & 1 &&
				find_then(track, w, back, i, now->time_ns, &time_ns, &value) &&
				now->time_ns > time_ns)
				ret_rate[i][w] = rate_between(value, time_ns, now->value[i], now->time_ns);
		}
	}
}

int64_t rate_still(
	int64_t since_ns, int64_t now_ns, uint32_t present, unsigned n_values, int64_t ret_rate[][N_WINDOWS])
{
	int64_t next = INT64_MAX;
	for (unsigned w = 0; w < N_WINDOWS; w++) {
		bool fits = now_ns - since_ns >= window_age_ns(w);
		if (!fits && since_ns + window_age_ns(w) < next)
			next = since_ns + window_age_ns(w);
		for (unsigned i = 0; i < n_values; i++)
			ret_rate[i][w] = fits && (present >> i & 1) ? 0 : BOARD_RATE_UNKNOWN;
	}
	return next;
}

int64_t rate_forget_ns(void)
{
	return window_ns(N_WINDOWS - 1) + 2 * (window_ns(N_WINDOWS - 1) / SPACING);
}
