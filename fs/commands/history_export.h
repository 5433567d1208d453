/* SPDX-License-Identifier: MIT */
/* `memfs history export`: series of the history as text, for people, scripts and databases of metrics. */
#pragma once

#include <stdint.h>
#include <stdio.h>

#include "schema/base/err.h"
#include "schema/base/kv.h"
#include "schema/history/history.h"

enum export_format { EXPORT_TSV, EXPORT_JSON, EXPORT_OPENMETRICS, N_EXPORT_FORMATS };
extern const char *const export_format_name[N_EXPORT_FORMATS];

/* A column of what is written: of a metric the average (of counters the value), or the largest. */
struct export_column {
	unsigned column; /* of the history */
	bool max;
};

/* Whose series. */
struct export_subject {
	int64_t id;
	uint32_t pid; /* 0: the node */
	int64_t start_s;
	char comm[HISTORY_COMM + 1]; /* escaped */
};

struct export
{
	enum export_format format;
	enum level level;
	int64_t from_s, to_s;
	struct level_columns metrics;
	struct export_column column[2 * PACK_METRICS_MAX];
	unsigned n_columns;
	struct export_subject *subject;
	size_t n_subjects;
	FILE *out;
};

/* Columns by name, `rss,rss_max`; an empty list is all that the level has. 0, or -EINVAL with the reason. */
int export_choose_columns(struct export *export, struct span names, struct err *err);

/* Writes everything. 0, a store_outcome, or -errno. */
int export_write(const struct export *export, struct store *store);
