/* SPDX-License-Identifier: MIT */
/*
 * Reading history: the samples of one subject over a span of time, whether they are packed minutes already or
 * still rows of the journal. What the two say together is one series without a seam, in one snapshot of the
 * database.
 */
#pragma once

#include <stdint.h>

#include "schema/metrics.h"
#include "schema/store.h"

enum { HISTORY_NODE = 0 }; /* the subject that is the node itself */

/* A column of the history: the metrics with HISTORY, in the order of their list. Returns the metric's id; -1
 * beyond the last. */
int history_column_metric(const struct metric_list *list, unsigned column);
unsigned history_columns(const struct metric_list *list);

/* value[column] counts where bit `column` of present is set. */
typedef int history_fn(void *ctx, int64_t time_s, uint64_t present, const uint64_t *value);

/*
 * Walks the samples in [from_s, to_s], ascending, one a second at the most. Gaps are gaps: no sample is made
 * up. A subject without samples has none; that is no error. 0, what fn returned, or a store_outcome, or
 * -errno.
 */
int history_each(
	struct store *store, int64_t subject, int64_t from_s, int64_t to_s, history_fn *fn, void *ctx);
