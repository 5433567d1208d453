/* SPDX-License-Identifier: MIT */
/* The time axis: round steps from a second to a thousand years, in the zone of the machine. */
#pragma once

#include <stdint.h>

#include "schema/base/buf.h"

enum { PLOT_TICKS_MAX = 12, PLOT_TICK_TEXT = 16 };
#define PLOT_TIME_MAX                                                                                        \
	INT64_C(253402214400) /* near the end of the year 9999; earlier than 1970 is nothing                 \
			       */

struct plot_tick {
	int64_t time_s;
	char text[PLOT_TICK_TEXT];  /* "18:05", "25 Nov", "2026" */
	char below[PLOT_TICK_TEXT]; /* what it belongs to, where that is new: "25 Nov 2026" */
};

/* Where [from_s, to_s] is marked, with at most ticks_max marks. Returns their number. */
unsigned plot_time_ticks(
	int64_t from_s, int64_t to_s, unsigned ticks_max, struct plot_tick ret_ticks[PLOT_TICKS_MAX]);

/* "25 Nov 2026, 18:00 to 18:10 UTC": a span as a person would say it. */
void plot_time_put_span(struct buf *out, int64_t from_s, int64_t to_s);

/* An instant within such a span: "18:05:10", "25 Nov 18:00". */
void plot_time_put(struct buf *out, int64_t time_s, int64_t span_s);
