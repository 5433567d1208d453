/* SPDX-License-Identifier: MIT */
#include "fs/plot/plot_metrics.h"

#include <stdio.h>

#include "schema/history/history.h"

enum { NO_LIMIT = ~0 };

/* A panel: its metrics, the most telling first. What has a scale of its own has a panel of its own. */
static const struct panel_row {
	const char *title;
	bool half;
	unsigned n;
	int metric[PLOT_METRICS_SERIES];
	int limit; /* of metric[] */
} system_rows[] = {
	{ "Memory", false, 4, { SYSTEM_USED, SYSTEM_CACHED, SYSTEM_ANON, SYSTEM_TOTAL }, SYSTEM_TOTAL },
	{ "Kernel, shared and unwritten memory", true, 4,
		{ SYSTEM_SLAB, SYSTEM_SHARED, SYSTEM_DIRTY, SYSTEM_BUFFERS }, NO_LIMIT },
	{ "Swap", true, 2, { SYSTEM_SWAP_USED, SYSTEM_SWAP_TOTAL }, SYSTEM_SWAP_TOTAL },
}, process_rows[] = {
	{ "Resident memory", false, 3, { PROCESS_RSS, PROCESS_ANON, PROCESS_SHARED }, NO_LIMIT },
	{ "Writable mappings and stack", true, 1, { PROCESS_DATA }, NO_LIMIT },
	{ "Swapped out", true, 1, { PROCESS_SWAP }, NO_LIMIT },
	{ "Page faults served from memory", true, 1, { PROCESS_MINOR_FAULTS }, NO_LIMIT },
	{ "Page faults that waited for I/O", true, 1, { PROCESS_MAJOR_FAULTS }, NO_LIMIT },
};
#define N_ROWS(rows) (sizeof(rows) / sizeof(*(rows)))
_Static_assert(
	N_ROWS(system_rows) <= PLOT_METRICS_PANELS && N_ROWS(process_rows) <= PLOT_METRICS_PANELS, "panels");

static unsigned column_of(const struct metric_list *list, int metric)
{
	unsigned column = 0, n = history_columns(list);

	while (column < n && history_column_metric(list, column) != metric)
		column++;
	return column;
}

void plot_metrics_init(struct plot_metrics *metrics, const struct metric_list *list)
{
	bool node = list == &system_metrics;
	const struct panel_row *rows = node ? system_rows : process_rows;

	*metrics = (struct plot_metrics) { .n_panels = node ? N_ROWS(system_rows) : N_ROWS(process_rows) };
	for (unsigned i = 0; i < metrics->n_panels; i++) {
		metrics->panel[i] =
			(struct plot_panel) { rows[i].title, metrics->series[i], rows[i].n, rows[i].half };
		for (unsigned k = 0; k < rows[i].n; k++) {
			const struct metric *metric = &list->rows[rows[i].metric[k]];
			struct span name = metric_rate_name(metric);
			snprintf(metrics->name[i][k], PLOT_METRICS_NAME, "%.*s", (int)name.n, name.p);
			metrics->column[i][k] = column_of(list, rows[i].metric[k]);
			metrics->series[i][k] = (struct plot_series) { metrics->name[i][k], metric->unit,
				metric->kind, rows[i].metric[k] == rows[i].limit };
		}
	}
}

void plot_metrics_deinit(struct plot_metrics *metrics)
{
	for (unsigned i = 0; i < metrics->n_panels; i++) {
		for (unsigned k = 0; k < metrics->panel[i].n_series; k++)
			plot_series_deinit(&metrics->series[i][k]);
	}
}

int plot_metrics_add(struct plot_metrics *metrics, int64_t time_s, uint64_t present, const uint64_t *value,
	const uint64_t *peak)
{
	for (unsigned i = 0; i < metrics->n_panels; i++) {
		for (unsigned k = 0; k < metrics->panel[i].n_series; k++) {
			unsigned column = metrics->column[i][k];
			if (!metric_has(present, column))
				continue;
			int r = plot_series_add(&metrics->series[i][k], time_s, value[column],
				peak ? peak[column] : value[column]);
			if (r)
				return r;
		}
	}
	return 0;
}

/* Its limit was known and zero: what can never be is not drawn. */
static bool can_never_be(const struct plot_panel *panel)
{
	const struct plot_series *limit = &panel->series[panel->n_series - 1];

	if (!limit->limit || !limit->n)
		return false;
	for (size_t i = 0; i < limit->n; i++) {
		if (limit->point[i].peak)
			return false;
	}
	return true;
}

void plot_metrics_render(const struct plot_metrics *metrics, struct plot plot, struct buf *out)
{
	struct plot_panel panel[PLOT_METRICS_PANELS];

	plot.panel = panel;
	plot.n_panels = 0;
	for (unsigned i = 0; i < metrics->n_panels; i++) {
		if (!can_never_be(&metrics->panel[i]))
			panel[plot.n_panels++] = metrics->panel[i];
	}
	plot_render(&plot, out);
}
