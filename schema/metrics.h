/* SPDX-License-Identifier: MIT */
/*
 * Typed access to the rows of metrics.def: ids, descriptions, and the plain structs that carry values of one
 * instant. Kernel units (kB, pages) become base units here and in the parsers that fill these structs, once.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schema/base/buf.h"
#include "schema/base/kv.h"

enum metric_unit { METRIC_BYTES, METRIC_COUNT, METRIC_PERCENT };
enum metric_kind { METRIC_GAUGE, METRIC_COUNTER };
enum metric_source {
	METRIC_SOURCE_DERIVED,
	METRIC_SOURCE_MEASURED,
	METRIC_SOURCE_MEMINFO,
	METRIC_SOURCE_PRESSURE_MEMORY,
	METRIC_SOURCE_PID_STATM,
	METRIC_SOURCE_PID_STATUS,
	METRIC_SOURCE_PID_STAT,
};
enum metric_where { METRIC_FILE = 1, METRIC_STAT = 2, METRIC_HISTORY = 4, METRIC_RATE = 8 };

struct metric {
	const char *name;
	enum metric_unit unit;
	enum metric_kind kind;
	enum metric_source source;
	const char *key;
	unsigned where; /* of enum metric_where */
	const char *doc;
};

#define SYSTEM(id, ...) SYSTEM_##id,
#define PROCESS(id, ...)
enum system_metric {
#include "schema/metrics.def"
	N_SYSTEM_METRICS
};
#undef SYSTEM
#undef PROCESS
#define SYSTEM(id, ...)
#define PROCESS(id, ...) PROCESS_##id,
enum process_metric {
#include "schema/metrics.def"
	N_PROCESS_METRICS
};
#undef SYSTEM
#undef PROCESS

/* One list of metrics: a node's or a process's. */
struct metric_list {
	const struct metric *rows;
	unsigned n;
};
extern const struct metric_list system_metrics, process_metrics;

/* Values of one instant. A bit of `present` says that the value is known: absent is not zero. */
struct system_values {
	uint64_t present;
	uint64_t value[N_SYSTEM_METRICS];
};
struct process_values {
	uint64_t present;
	uint64_t value[N_PROCESS_METRICS];
};

static inline bool metric_has(uint64_t present, unsigned id)
{
	return present >> id & 1;
}

static inline void system_values_set(struct system_values *values, enum system_metric id, uint64_t value)
{
	values->value[id] = value;
	values->present |= UINT64_C(1) << id;
}

static inline void process_values_set(struct process_values *values, enum process_metric id, uint64_t value)
{
	values->value[id] = value;
	values->present |= UINT64_C(1) << id;
}

/* The row of that source whose key is `key`; -1 where no metric wants it. Quick where none does: parsers ask
 * per line. */
int metric_find(const struct metric_list *list, enum metric_source source, struct span key);

/* The row by name, "rss"; -1 where there is none. */
int metric_by_name(const struct metric_list *list, struct span name);

/* The key of a metric in `stat`: its name, with _last where it is measured on demand. */
void metric_put_stat_key(struct buf *out, const struct metric *metric);

/* The row by its key in `stat`; -1 where there is none. */
int metric_by_stat_key(const struct metric_list *list, struct span key);

/* Fills the DERIVED rows from those they derive from. */
void system_values_derive(struct system_values *values);

/* A value as text without newline: decimal, or "1.23" for PERCENT. */
void metric_value_render(struct buf *out, const struct metric *metric, uint64_t value);

/* The windows of rates, the same at every level. */
enum metric_window { WINDOW_1S, WINDOW_10S, WINDOW_1M, WINDOW_10M, N_WINDOWS };
extern const char *const metric_window_name[N_WINDOWS]; /* "1s" ... */
extern const unsigned metric_window_seconds[N_WINDOWS];

/*
 * Metrics with rates, in the order of the list: index among them, for arrays of [N_x_RATES][N_WINDOWS].
 * metric_rate_metric gives the metric of a rate index, metric_rate_name its base name in `rate`
 * ("rss", "minor_faults": without _total).
 */
#define FILE                                                  METRIC_FILE /* hides stdio's type up to its undef */
#define STAT                                                  METRIC_STAT
#define HISTORY                                               METRIC_HISTORY
#define RATE                                                  METRIC_RATE
#define SYSTEM(id, name, unit, kind, source, key, where, doc) +(((where)&METRIC_RATE) / METRIC_RATE)
#define PROCESS(...)
enum {
	N_SYSTEM_RATES = 0
#include "schema/metrics.def"
};
#undef SYSTEM
#undef PROCESS
#define SYSTEM(...)
#define PROCESS(id, name, unit, kind, source, key, where, doc) +(((where)&METRIC_RATE) / METRIC_RATE)
enum {
	N_PROCESS_RATES = 0
#include "schema/metrics.def"
};
#undef SYSTEM
#undef PROCESS
/* Columns of the history, in the order of the list. */
#define PROCESS(id, name, unit, kind, source, key, where, doc) +(((where)&METRIC_HISTORY) / METRIC_HISTORY)
#define SYSTEM(...)
enum {
	N_PROCESS_COLUMNS = 0
#include "schema/metrics.def"
};
#undef SYSTEM
#undef PROCESS
#define SYSTEM(id, name, unit, kind, source, key, where, doc) +(((where)&METRIC_HISTORY) / METRIC_HISTORY)
#define PROCESS(...)
enum {
	N_SYSTEM_COLUMNS = 0
#include "schema/metrics.def"
};
#undef SYSTEM
#undef PROCESS
#undef FILE
#undef STAT
#undef HISTORY
#undef RATE
unsigned metric_rate_metric(const struct metric_list *list, unsigned rate_index);
struct span metric_rate_name(const struct metric *metric);

/*
 * A rate by its key in `rate`, "rss_1m": its index among the rates of the list, and its window; -1 where
 * there is none.
 */
int metric_rate_by_key(const struct metric_list *list, struct span key, enum metric_window *ret_window);
