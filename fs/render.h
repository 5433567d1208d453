/* SPDX-License-Identifier: MIT */
/* The forms of mounted text: one value, flat-keyed lines, tables, times. The only place where mounted numbers
 * get their shape. */
#pragma once

#include <stdint.h>

#include "schema/base/buf.h"
#include "schema/base/kv.h"
#include "schema/metrics.h"

/* "1763712345.123": epoch seconds with three decimals. */
void render_time(struct buf *out, int64_t epoch_ns);

/* Seconds with three decimals of an age; never negative. */
void render_age(struct buf *out, int64_t age_ns);

/*
 * What somebody chose, as the name of a directory: escaped, and nothing that a path would take otherwise.
 * What would be longer than a name can be is cut, and ends in `~` and eight digits that tell it from others.
 */
void render_directory_name(struct buf *out, struct span name);

/* `key value`, the value right-aligned in 20 columns so that the file's size stays constant. */
void render_key(struct buf *out, const char *key, const char *value, size_t len);
void render_key_u64(struct buf *out, const char *key, uint64_t value);
void render_key_i64(struct buf *out, const char *key, int64_t value);
void render_key_text(struct buf *out, const char *key, const char *value);
void render_key_metric(struct buf *out, const char *key, const struct metric *metric, uint64_t value);
void render_key_unknown(struct buf *out, const char *key);

/* Rates of all windows, `rss_1s` ...: `rates` has n rows of N_WINDOWS, BOARD_RATE_UNKNOWN where too young. */
void render_rates(struct buf *out, const struct metric_list *list, const int64_t *rates, unsigned n);

/* A line of events: seq time kind subject text. Subject and text are escaped already. */
void render_event(struct buf *out, uint64_t seq, int64_t time_ns, const char *kind, const char *subject,
	const char *text);
