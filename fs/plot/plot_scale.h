/* SPDX-License-Identifier: MIT */
/* The value axis: from zero to a round number in the unit of a metric, and numbers as text. */
#pragma once

#include "schema/base/buf.h"
#include "schema/metrics.h"

struct plot_scale {
	double top;  /* the end of the axis: n_steps of `step` */
	double step; /* between two lines of the grid */
	unsigned n_steps;
};

/* The scale for values up to `max`, with `steps_max` steps at the most (3 and more). Values and ends are in
 * the unit that is stored, of a counter per second. */
struct plot_scale plot_scale_make(
	enum metric_unit unit, enum metric_kind kind, double max, unsigned steps_max);

/* A line of the grid, "2.5 GiB": all of an axis have one unit and no more decimals than they need. */
void plot_scale_put(struct buf *out, enum metric_unit unit, enum metric_kind kind,
	const struct plot_scale *scale, unsigned line);

/* A value to read, with three or four digits: "5.21 GiB", "12.3 k/s", "0.04 %". */
void plot_value_put(struct buf *out, enum metric_unit unit, enum metric_kind kind, double value);
