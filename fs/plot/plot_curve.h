/* SPDX-License-Identifier: MIT */
/*
 * A series as SVG paths in a frame of pixels. Whatever the number of samples, a pixel column has its first,
 * its lowest, its highest and its last one: the line looks like that of all samples. Coordinates are whole
 * tenths of a pixel, y downwards.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "fs/plot/plot.h"

enum { PLOT_FRAME_WIDTH_MAX = 1024, PLOT_TENTHS = 10 };

struct plot_frame {
	int64_t from_s, to_s; /* to_s > from_s, within 0 and PLOT_TIME_MAX */
	unsigned step_s;
	double top;             /* value at the upper edge */
	unsigned width, height; /* pixels */
};

/* What a series says in the span, of a counter per second. */
struct plot_summary {
	size_t n; /* values drawn; the others mean nothing where it is 0 */
	int64_t last_s;
	double last, max; /* max counts peaks */
	bool peaks;       /* a peak differs from its value */
};

struct plot_summary plot_curve_summarize(const struct plot_frame *frame, const struct plot_series *series);

/* Where a time stands: 0 at from_s, frame->width * PLOT_TENTHS at to_s. */
int plot_curve_x(const struct plot_frame *frame, int64_t time_s);

/* Sets covered[pixel column] where the series has samples without a gap between them; columns are 0 to
 * frame->width - 1. */
void plot_curve_cover(const struct plot_frame *frame, const struct plot_series *series, bool *covered);

/* The values of one pixel column; a y is smaller where a value is larger. */
struct plot_column {
	int first_x, last_x;
	int first_y, last_y;
	int low_y, high_y; /* of the lowest and the highest value */
	int peak_y;
	bool high_first; /* the highest came before the lowest */
	bool after_gap;  /* nothing leads here */
	bool single;     /* there is only one value */
};

struct plot_columns {
	unsigned n; /* columns with values, from left to right */
	struct plot_column column[PLOT_FRAME_WIDTH_MAX];
};

void plot_curve_fill(
	struct plot_columns *columns, const struct plot_frame *frame, const struct plot_series *series);

/* The content of a path's `d`: the line, broken at gaps; values without a neighbour, to be drawn with round
 * ends; the area between values and peaks. Empty where there is nothing. */
void plot_curve_line(struct buf *out, const struct plot_columns *columns);
void plot_curve_dots(struct buf *out, const struct plot_columns *columns);
void plot_curve_band(struct buf *out, const struct plot_columns *columns);
