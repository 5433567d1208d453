/* SPDX-License-Identifier: MIT */
/*
 * The picture of a node's or a process's history: which of its metrics are drawn in which panel. Rows go in
 * as the history walks them; render makes the document.
 */
#pragma once

#include "fs/plot/plot.h"

enum { PLOT_METRICS_PANELS = 6, PLOT_METRICS_SERIES = 4, PLOT_METRICS_NAME = 32 };

struct plot_metrics {
	unsigned n_panels;
	struct plot_panel panel[PLOT_METRICS_PANELS];
	struct plot_series series[PLOT_METRICS_PANELS][PLOT_METRICS_SERIES];
	unsigned column[PLOT_METRICS_PANELS][PLOT_METRICS_SERIES];
	char name[PLOT_METRICS_PANELS][PLOT_METRICS_SERIES][PLOT_METRICS_NAME];
};

/* `list` is system_metrics or process_metrics. What was initialised must not be moved. */
void plot_metrics_init(struct plot_metrics *metrics, const struct metric_list *list);
void plot_metrics_deinit(struct plot_metrics *metrics);

/*
 * One row of the history: value[column] counts where bit `column` of present is set. `peak` has the highest
 * values where the row is an average, else NULL. 0 or -ENOMEM.
 */
int plot_metrics_add(struct plot_metrics *metrics, int64_t time_s, uint64_t present, const uint64_t *value,
	const uint64_t *peak);

/* Appends the document; the texts and times are those of struct plot, whose panels are set here. A panel
 * whose limit is zero all the time (a machine without swap) is left out. */
void plot_metrics_render(const struct plot_metrics *metrics, struct plot plot, struct buf *out);
