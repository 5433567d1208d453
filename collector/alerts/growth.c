/* SPDX-License-Identifier: MIT */
#include "collector/alerts/growth.h"

uint64_t growth_oldest(const struct growth_track *track)
{
	return track->sample[track->n < GROWTH_SAMPLES ? 0 : track->n % GROWTH_SAMPLES];
}

static void floors_of(const struct growth_track *track, int64_t ret_floor[GROWTH_PARTS])
{
	for (unsigned i = 0; i < GROWTH_SAMPLES; i++) {
		int64_t bytes = (int64_t)track->sample[(track->n + i) % GROWTH_SAMPLES];
		int64_t *floor = &ret_floor[i / GROWTH_PART];
		if (i % GROWTH_PART == 0 || bytes < *floor)
			*floor = bytes;
	}
}

static int64_t slope_of(const int64_t floor[GROWTH_PARTS])
{
	return (floor[GROWTH_PARTS - 1] - floor[0]) / (GROWTH_PARTS - 1) * GROWTH_PARTS;
}

int64_t growth_slope(const struct growth_track *track)
{
	int64_t floor[GROWTH_PARTS] = { 0 };

	floors_of(track, floor);
	return slope_of(floor);
}

/* Whether each increment is at least that part of the average one. */
static bool each_increment_is(const int64_t floor[GROWTH_PARTS], int64_t part)
{
	int64_t average = (floor[GROWTH_PARTS - 1] - floor[0]) / (GROWTH_PARTS - 1);

	for (unsigned i = 1; i < GROWTH_PARTS; i++)
		if (floor[i] - floor[i - 1] < average / part)
			return false;
	return true;
}

static void keep_pace(struct growth_track *track, const int64_t floor[GROWTH_PARTS])
{
	track->pace -= track->pace / GROWTH_FADING;
	if (slope_of(floor) > track->pace && each_increment_is(floor, 4))
		track->pace = slope_of(floor);
}

static bool is_steady(const struct growth_track *track, const int64_t floor[GROWTH_PARTS], int64_t least)
{
	int64_t average = (floor[GROWTH_PARTS - 1] - floor[0]) / (GROWTH_PARTS - 1);
	int64_t last = floor[GROWTH_PARTS - 1] - floor[GROWTH_PARTS - 2], slope = slope_of(floor);

	return slope >= least && slope >= track->pace / 2 && last >= average - average / 4 &&
	       each_increment_is(floor, 2);
}

static bool has_stopped(const int64_t floor[GROWTH_PARTS], int64_t least)
{
	int64_t average = (floor[GROWTH_PARTS - 1] - floor[0]) / (GROWTH_PARTS - 1);
	int64_t last = floor[GROWTH_PARTS - 1] - floor[GROWTH_PARTS - 2];

	return slope_of(floor) < least / 2 || last < average / 4;
}

enum growth_outcome growth_add(struct growth_track *track, uint64_t bytes, uint64_t least_bytes)
{
	int64_t floor[GROWTH_PARTS] = { 0 }, least = (int64_t)least_bytes;

	track->sample[track->n++ % GROWTH_SAMPLES] = bytes;
	if (track->n < GROWTH_SAMPLES)
		return GROWTH_SAME;
	floors_of(track, floor);
	keep_pace(track, floor);
	if (track->growing ? has_stopped(floor, least) : is_steady(track, floor, least))
		track->confirmations++;
	else
		track->confirmations = 0;
	if (track->confirmations < GROWTH_CONFIRMATIONS)
		return GROWTH_SAME;
	track->confirmations = 0;
	track->growing = !track->growing;
	return track->growing ? GROWTH_BEGAN : GROWTH_STOPPED;
}
