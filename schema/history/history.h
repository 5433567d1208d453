/* SPDX-License-Identifier: MIT */
/*
 * Reading history: one subject over a span of time, or everything at an instant. What stands where (rows of
 * the journal, packed minutes, rows of minutes and hours) is not seen from here: each level is one series
 * without a seam that ends with the newest sample, in one snapshot of the database.
 */
#pragma once

#include <stdint.h>

#include "schema/history/level.h"
#include "schema/metrics.h"
#include "schema/store/store.h"

enum { HISTORY_NODE = 0 }; /* the subject that is the node itself */

/* A column of the history: the metrics with HISTORY, in the order of their list. Returns the metric's id; -1
 * beyond the last. */
int history_column_metric(const struct metric_list *list, unsigned column);
unsigned history_columns(const struct metric_list *list);

/* A second, minute or hour of one subject. value[column] and max[column] count where bit `column` of present
 * is set; they live until the callback returns. */
struct history_point {
	int64_t time_s;        /* its beginning */
	unsigned samples;      /* seconds in it that have a sample: 1 at least */
	uint64_t present;      /* columns that are known */
	const uint64_t *value; /* of gauges the average, of counters the value at the end */
	const uint64_t *max;   /* of gauges the largest, of counters the value at the end */
};
typedef int history_fn(void *ctx, const struct history_point *point);

/*
 * Walks what there is of a subject at a level, ascending: every second, minute or hour that [from_s, to_s]
 * touches and in which there is a sample, minutes and hours whole, the open ones included. Gaps are gaps:
 * nothing is made up. A subject without samples has none; that is no error. 0, what fn returned, or a
 * store_outcome, or -errno.
 */
int history_each(struct store *store, int64_t subject, enum level level, int64_t from_s, int64_t to_s,
	history_fn *fn, void *ctx);

/*
 * Only the rows of minutes or hours, without what is in none yet: fn is called for every unit of the node,
 * with NULL where the subject was not there. For what makes rows of rows.
 */
typedef int history_row_fn(void *ctx, int64_t unit, const struct level_row *row);
int history_each_row(struct store *store, int64_t subject, enum level level, int64_t from, int64_t to,
	history_row_fn *fn, void *ctx);

/* --- everything at an instant --- */

enum { HISTORY_COMM = 64 }; /* sixteen bytes, each four at the most where escaped */

struct history_process {
	int64_t subject;
	int64_t boot;
	uint32_t pid, uid;
	uint64_t start_ticks;
	int64_t start_s;             /* epoch */
	char comm[HISTORY_COMM + 1]; /* its last name, escaped */
	uint64_t present;
	uint64_t value[N_PROCESS_COLUMNS];
};

struct history_moment {
	enum level level; /* how exact it is: as at a second, or as in a minute or an hour */
	int64_t time_s;   /* of the second, or the beginning of the minute or hour */
	unsigned samples; /* seconds of it that have one */
	uint64_t present; /* the node's */
	uint64_t value[N_SYSTEM_COLUMNS];
	size_t n;
	struct history_process *process; /* those who lived then, by pid */
};

/*
 * As it was at time_s: at the newest second up to a minute before it that has samples; where seconds are not
 * kept any more in its minute, then in its hour. HISTORY_LAST: at the newest there is. OK, or ABSENT (nothing
 * was recorded then), or another store_outcome, or -errno. history_moment_deinit frees it, also one that is
 * all zero.
 */
#define HISTORY_LAST INT64_MAX
int history_at(struct store *store, int64_t time_s, struct history_moment *ret_moment);
/* The same of one minute or hour that has a row, within a snapshot or a transaction of the caller; ABSENT
 * where it has none. */
int history_at_unit(struct store *store, enum level level, int64_t unit, struct history_moment *ret_moment);
void history_moment_deinit(struct history_moment *moment);

/* The time of the newest sample; ABSENT where there is none. */
int history_newest(struct store *store, int64_t *ret_time_s);
