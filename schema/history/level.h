/* SPDX-License-Identifier: MIT */
/*
 * Levels of the history: seconds are packed (schema/history/pack.h), minutes and hours are rows. What a row
 * says of a minute or an hour, made of what it is made of. Pure; nothing is allocated.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "schema/metrics.h"
#include "schema/history/pack.h"

enum level { LEVEL_SECONDS, LEVEL_MINUTES, LEVEL_HOURS, N_LEVELS };
extern const char *const level_name[N_LEVELS];    /* "seconds" ... */
extern const unsigned level_seconds[N_LEVELS];    /* that one of its rows is about */
extern const unsigned level_key_period[N_LEVELS]; /* the first row after so many names every process anew */

/* The minute or hour of an epoch time in seconds, for times before the epoch too. */
static inline int64_t level_unit(enum level level, int64_t time_s)
{
	int64_t seconds = level_seconds[level];
	return time_s / seconds - (time_s % seconds < 0);
}

/* The level whose rows are enough for a picture of that duration, and not too many. */
enum level level_of_duration(uint32_t seconds);

/* The columns of a subject's history: a metric each, in the order of the list. */
struct level_columns {
	const struct metric_list *list;
	unsigned n;
	uint64_t counters; /* which of them are */
	uint8_t metric[PACK_METRICS_MAX];
};
void level_columns_init(struct level_columns *columns, const struct metric_list *list);

/* One subject in one second, minute or hour. value and max count where their bit of present is set. */
struct level_row {
	unsigned samples; /* seconds that have one */
	bool ended;       /* it was gone at the end */
	uint64_t present;
	uint64_t value[PACK_METRICS_MAX]; /* of gauges the average, of counters the value at the end */
	uint64_t max[PACK_METRICS_MAX];   /* of gauges */
};

/* Every gauge had one value throughout. */
bool level_row_is_constant(const struct level_row *row, uint64_t counters);

void level_of_minute(struct level_row *ret_row, const struct pack_minute *minute, uint64_t counters);

/* Rows made one: averages weighted with their samples, the largest maximum, the last value of a counter. */
__extension__ typedef unsigned __int128 level_wide;
struct level_sum {
	unsigned samples;
	bool ended;
	uint64_t present;
	uint64_t weight[PACK_METRICS_MAX];
	level_wide sum[PACK_METRICS_MAX];
	uint64_t max[PACK_METRICS_MAX], last[PACK_METRICS_MAX];
};
void level_sum_init(struct level_sum *sum);
/* In the order of time. max may be value. */
void level_sum_add(struct level_sum *sum, unsigned samples, uint64_t present, const uint64_t *value,
	const uint64_t *max);
void level_sum_row(struct level_row *ret_row, const struct level_sum *sum, uint64_t counters);
