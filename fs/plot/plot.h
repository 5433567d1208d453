/* SPDX-License-Identifier: MIT */
/*
 * Time series drawn as one SVG document that can go into a report: a title, panels with axes, units and a
 * legend, and where nothing was recorded a gap that is seen. Pure: no I/O, no clock; the zone of the time
 * axis is the machine's. No script, no font and no other file belongs to a picture; it is light on paper and
 * dark where a screen is.
 *
 * plot.c             the document: title, panels side by side or below each other, legends
 * plot_scale.[ch]    the value axis: steps, units, numbers
 * plot_time.[ch]     the time axis: steps and their names in the machine's zone
 * plot_curve.[ch]    many samples to one line as wide as the panel, no spike lost
 * plot_text.[ch]     what anybody may have named, as XML
 * plot_metrics.[ch]  which metrics of a node or a process are drawn, and where
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schema/base/buf.h"
#include "schema/metrics.h"

/* A sample. What was absent at an instant has no point there. */
struct plot_point {
	int64_t time_s; /* epoch */
	uint64_t value; /* as stored: bytes, a count, hundredths of a percent; of a counter its total */
	uint64_t peak;  /* a gauge's highest where `value` is an average; else the same as value */
};

struct plot_series {
	const char *name;
	enum metric_unit unit;    /* all series of a panel have one unit and one kind */
	enum metric_kind kind;    /* a counter is drawn as its rate per second; one that falls began anew */
	bool limit;               /* what the others cannot exceed: drawn dashed */
	struct plot_point *point; /* ascending; what is not, or is outside of the span, is left out */
	size_t n, cap;
};

/* Appends a sample; the series owns its points. 0 or -ENOMEM. */
int plot_series_add(struct plot_series *series, int64_t time_s, uint64_t value, uint64_t peak);
void plot_series_deinit(struct plot_series *series);

enum { PLOT_SERIES_MAX = 8 }; /* colours that can be told apart */

struct plot_panel {
	const char *title;
	const struct plot_series *series;
	unsigned n_series; /* at most PLOT_SERIES_MAX */
	bool half;         /* low; two such panels in a row stand side by side */
};

/* Texts may hold any bytes: they are escaped, and cut where they would not fit. */
struct plot {
	const char *title;    /* "postgres (4711)" */
	const char *subtitle; /* "Memory of a process of web-3"; the span of time is put behind it */
	int64_t from_s, to_s; /* epoch; both belong to the span */
	unsigned step_s;      /* between two samples where none is missing: beyond 2.5 of them is a gap */
	const struct plot_panel *panel;
	unsigned n_panels;
};

/* Appends the document. What fails is in buf_error(out). */
void plot_render(const struct plot *plot, struct buf *out);
