/* SPDX-License-Identifier: MIT */
#include "fs/plot/plot.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include "fs/plot/plot_curve.h"
#include "fs/plot/plot_scale.h"
#include "fs/plot/plot_text.h"
#include "fs/plot/plot_time.h"
#include "schema/base/array.h"

/* Pixels. Printed as wide as a page of A4 the smallest letters have seven points. */
enum {
	WIDTH = 880,
	MARGIN = 20,
	HEADER = 66,
	FOOTER = 30,
	PANEL_HEAD = 24,
	LEGEND_ROW = 34,
	LEGEND_CELL = 198,
	SWATCH = 18,
	FRAME_FULL = 190,
	FRAME_HALF = 120,
	AXIS_LEFT = 68, /* numbers of the value axis */
	AXIS_BELOW = 52,
	BETWEEN_HALVES = 32,
	TICK_DISTANCE = 84,
	GAP_TEXT = 70, /* the least width of a gap that says what it is */
	TITLE_CHARS = 72,
	SUBTITLE_CHARS = 56,
	PANEL_CHARS = 48,
	NAME_CHARS = 14,
	STEPS_FULL = 6,
	STEPS_HALF = 4,
	PANELS_MAX = 8,
	COLOUR_LIMIT = 7, /* grey */
};

/* Colours that people who confuse red and green tell apart, each 3:1 and more against its background. The
 * rules of the dark screen stand last; programs that know no media queries pass over them. */
static const char style[] =
	"<style>"
	".memfs-plot{font-family:Helvetica,Arial,'Liberation Sans','DejaVu Sans',sans-serif;font-size:12px;fill:#1f2328}"
	".memfs-plot .paper{fill:#fff}"
	".memfs-plot .title{font-size:18px;font-weight:bold}"
	".memfs-plot .name{font-size:13px;font-weight:bold}"
	".memfs-plot .value{font-weight:bold}"
	".memfs-plot .soft{fill:#59636e}"
	".memfs-plot .end{text-anchor:end}"
	".memfs-plot .mid{text-anchor:middle}"
	".memfs-plot .grid{stroke:#d9dee3;fill:none}"
	".memfs-plot .axis{stroke:#818b98;fill:none}"
	".memfs-plot .gap{fill:#e9ecef}"
	".memfs-plot .line{fill:none;stroke-width:16;stroke-linejoin:round;stroke-linecap:round}"
	".memfs-plot .limit{stroke-dasharray:60 40;stroke-linecap:butt}"
	".memfs-plot .dots{fill:none;stroke-width:50;stroke-linecap:round}"
	".memfs-plot .swatch{stroke-width:3;fill:none}"
	".memfs-plot .swatch.limit{stroke-dasharray:6 4}"
	".memfs-plot .band{stroke:none;fill-opacity:.22}"
	".memfs-plot .c0{stroke:#0969b8}.memfs-plot .b0{fill:#0969b8}"
	".memfs-plot .c1{stroke:#c8500a}.memfs-plot .b1{fill:#c8500a}"
	".memfs-plot .c2{stroke:#0b8562}.memfs-plot .b2{fill:#0b8562}"
	".memfs-plot .c3{stroke:#a23a9c}.memfs-plot .b3{fill:#a23a9c}"
	".memfs-plot .c4{stroke:#9a7000}.memfs-plot .b4{fill:#9a7000}"
	".memfs-plot .c5{stroke:#2a9fc4}.memfs-plot .b5{fill:#2a9fc4}"
	".memfs-plot .c6{stroke:#7a4b2a}.memfs-plot .b6{fill:#7a4b2a}"
	".memfs-plot .c7{stroke:#59636e}.memfs-plot .b7{fill:#59636e}"
	"@media screen and (prefers-color-scheme:dark){"
	".memfs-plot{fill:#e6e9ec}"
	".memfs-plot .paper{fill:#16191d}"
	".memfs-plot .soft{fill:#9da7b1}"
	".memfs-plot .grid{stroke:#31373e}"
	".memfs-plot .axis{stroke:#737d88}"
	".memfs-plot .gap{fill:#242a31}"
	".memfs-plot .c0{stroke:#58a6ff}.memfs-plot .b0{fill:#58a6ff}"
	".memfs-plot .c1{stroke:#ff9450}.memfs-plot .b1{fill:#ff9450}"
	".memfs-plot .c2{stroke:#3fcf9f}.memfs-plot .b2{fill:#3fcf9f}"
	".memfs-plot .c3{stroke:#e08ae0}.memfs-plot .b3{fill:#e08ae0}"
	".memfs-plot .c4{stroke:#e0bd45}.memfs-plot .b4{fill:#e0bd45}"
	".memfs-plot .c5{stroke:#6fd3f2}.memfs-plot .b5{fill:#6fd3f2}"
	".memfs-plot .c6{stroke:#d0a080}.memfs-plot .b6{fill:#d0a080}"
	".memfs-plot .c7{stroke:#9da7b1}.memfs-plot .b7{fill:#9da7b1}"
	"}</style>";

/* A document being written. */
struct figure {
	struct buf *out;
	const struct plot *plot;
	struct plot_frame span; /* without an axis: what all panels share */
	unsigned n_panels;
	struct plot_summary summary[PANELS_MAX][PLOT_SERIES_MAX];
	bool gaps, peaks; /* some panel shows them */
};

int plot_series_add(struct plot_series *series, int64_t time_s, uint64_t value, uint64_t peak)
{
	struct plot_point *point = array_push(&series->point, &series->n, &series->cap);

	if (!point)
		return -ENOMEM;
	*point = (struct plot_point) { time_s, value, peak };
	return 0;
}

void plot_series_deinit(struct plot_series *series)
{
	free(series->point);
	series->point = NULL;
	series->n = series->cap = 0;
}

static unsigned series_of(const struct plot_panel *panel)
{
	return panel->n_series < PLOT_SERIES_MAX ? panel->n_series : PLOT_SERIES_MAX;
}

static unsigned colour_of(const struct plot_series *series, unsigned i)
{
	return series->limit ? COLOUR_LIMIT : i;
}

/* --- layout --- */

/* Panels side by side. */
struct row {
	unsigned first, n;
	unsigned y, width; /* of each panel */
	unsigned cells, legend_rows;
	unsigned frame_height, height;
};

/* The row that begins with panel `first`. */
static struct row make_row(const struct figure *figure, unsigned first, unsigned y)
{
	const struct plot_panel *panel = &figure->plot->panel[first];
	bool pair = panel->half && first + 1 < figure->n_panels && panel[1].half;
	struct row row = { .first = first, .n = pair ? 2 : 1, .y = y };

	row.width = pair ? (WIDTH - 2 * MARGIN - BETWEEN_HALVES) / 2 : WIDTH - 2 * MARGIN;
	row.cells = pair ? 2 : 4;
	for (unsigned i = 0; i < row.n; i++) {
		unsigned rows = (series_of(&panel[i]) + row.cells - 1) / row.cells;
		row.legend_rows = rows > row.legend_rows ? rows : row.legend_rows;
	}
	row.frame_height = panel->half ? FRAME_HALF : FRAME_FULL;
	row.height = PANEL_HEAD + row.legend_rows * LEGEND_ROW + row.frame_height + AXIS_BELOW;
	return row;
}

static unsigned figure_height(const struct figure *figure)
{
	unsigned y = HEADER;

	for (unsigned i = 0; i < figure->n_panels;) {
		struct row row = make_row(figure, i, y);
		y += row.height;
		i += row.n;
	}
	return y + FOOTER;
}

/* --- a panel --- */

static void put_legend(struct figure *figure, unsigned number, unsigned x, unsigned y, unsigned cells)
{
	const struct plot_panel *panel = &figure->plot->panel[number];
	int64_t span_s = figure->span.to_s - figure->span.from_s;
	struct buf *out = figure->out;

	for (unsigned i = 0; i < series_of(panel); i++) {
		const struct plot_series *series = &panel->series[i];
		const struct plot_summary *summary = &figure->summary[number][i];
		unsigned left = x + i % cells * LEGEND_CELL, base = y + i / cells * LEGEND_ROW + 10;
		buf_printf(out, "<path class=\"swatch c%u%s\" d=\"M%u %uh%d\"/>", colour_of(series, i),
			series->limit ? " limit" : "", left, base - 4, SWATCH);
		buf_printf(out, "<text x=\"%u\" y=\"%u\">", left + SWATCH + 6, base);
		plot_text_put(out, series->name, NAME_CHARS);
		if (!summary->n) {
			buf_puts(out, " <tspan class=\"soft\">no data</tspan></text>");
			continue;
		}
		buf_puts(out, " <tspan class=\"value\">");
		plot_value_put(out, series->unit, series->kind, summary->last);
		buf_puts(out, "</tspan></text>");
		buf_printf(out, "<text class=\"soft\" x=\"%u\" y=\"%u\">", left + SWATCH + 6, base + 14);
		bool old = 2 * (figure->span.to_s - summary->last_s) > 5 * (int64_t)figure->span.step_s;
		if (old) {
			buf_puts(out, "at ");
			plot_time_put(out, summary->last_s, span_s);
		}
		if (!series->limit) {
			buf_puts(out, old ? ", max " : "max ");
			plot_value_put(out, series->unit, series->kind, summary->max);
		}
		buf_puts(out, "</text>");
	}
}

/* Where none of the panel's series has samples. */
static void put_gaps(struct figure *figure, const struct plot_panel *panel, const struct plot_frame *frame)
{
	bool covered[PLOT_FRAME_WIDTH_MAX] = { false };
	unsigned end;

	for (unsigned i = 0; i < series_of(panel); i++)
		plot_curve_cover(frame, &panel->series[i], covered);
	for (unsigned begin = 0; begin < frame->width; begin = end) {
		for (end = begin + 1; end < frame->width && covered[end] == covered[begin]; end++)
			;
		if (covered[begin])
			continue;
		figure->gaps = true;
		buf_printf(figure->out, "<rect class=\"gap\" x=\"%u\" width=\"%u\" height=\"%u\"/>", begin,
			end - begin, frame->height);
		if (end - begin >= GAP_TEXT)
			buf_printf(figure->out, "<text class=\"soft mid\" x=\"%u\" y=\"%u\">no data</text>",
				(begin + end) / 2, frame->height / 2 + 4);
	}
}

static void put_value_axis(struct figure *figure, const struct plot_series *series,
	const struct plot_frame *frame, const struct plot_scale *scale)
{
	struct buf *out = figure->out;

	for (unsigned line = 0; line <= scale->n_steps; line++) {
		unsigned y = frame->height - frame->height * line / scale->n_steps;
		if (line)
			buf_printf(out, "<path class=\"grid\" d=\"M0 %u.5h%u\"/>", y, frame->width);
		buf_printf(out, "<text class=\"soft end\" x=\"-8\" y=\"%u\">", y + 4);
		plot_scale_put(out, series->unit, series->kind, scale, line);
		buf_puts(out, "</text>");
	}
}

static void put_time_axis(struct figure *figure, const struct plot_frame *frame)
{
	struct plot_tick ticks[PLOT_TICKS_MAX];
	unsigned n = plot_time_ticks(frame->from_s, frame->to_s, frame->width / TICK_DISTANCE, ticks);
	struct buf *out = figure->out;

	for (unsigned i = 0; i < n; i++) {
		unsigned x = (unsigned)plot_curve_x(frame, ticks[i].time_s) / PLOT_TENTHS;
		buf_printf(out, "<path class=\"grid\" d=\"M%u.5 0v%u\"/>", x, frame->height + 4);
		buf_printf(out, "<text class=\"soft mid\" x=\"%u\" y=\"%u\">%s</text>", x, frame->height + 18,
			ticks[i].text);
		if (*ticks[i].below)
			buf_printf(out, "<text class=\"soft mid\" x=\"%u\" y=\"%u\">%s</text>", x,
				frame->height + 32, ticks[i].below);
	}
}

/* The path of one series, where it has one. */
static void put_path(struct figure *figure, const struct plot_columns *columns,
	void (*curve)(struct buf *out, const struct plot_columns *), const char *classes, unsigned colour)
{
	struct buf *out = figure->out;
	size_t begin = out->len;

	buf_printf(out, "<path class=\"%s%u\" d=\"", classes, colour);
	size_t empty = out->len;
	curve(out, columns);
	if (out->len == empty && !out->failed)
		out->len = begin;
	else
		buf_puts(out, "\"/>");
}

static void put_curves(struct figure *figure, unsigned number, const struct plot_frame *frame)
{
	const struct plot_panel *panel = &figure->plot->panel[number];
	struct plot_columns columns;

	buf_puts(figure->out, "<g transform=\"scale(.1)\">");
	/* The first is on top of the others. */
	for (unsigned i = series_of(panel); i-- > 0;) {
		const struct plot_series *series = &panel->series[i];
		unsigned colour = colour_of(series, i);
		plot_curve_fill(&columns, frame, series);
		if (figure->summary[number][i].peaks) {
			figure->peaks = true;
			put_path(figure, &columns, plot_curve_band, "band b", colour);
		}
		put_path(
			figure, &columns, plot_curve_line, series->limit ? "line limit c" : "line c", colour);
		put_path(figure, &columns, plot_curve_dots, "dots c", colour);
	}
	buf_puts(figure->out, "</g>");
}

static void put_panel(struct figure *figure, const struct row *row, unsigned place)
{
	unsigned number = row->first + place, x = MARGIN + place * (row->width + BETWEEN_HALVES), y = row->y;
	const struct plot_panel *panel = &figure->plot->panel[number];
	struct plot_frame frame = figure->span;
	struct buf *out = figure->out;
	struct plot_series none = { 0 };
	const struct plot_series *series = series_of(panel) ? panel->series : &none;
	size_t n = 0;
	double max = 0;

	for (unsigned i = 0; i < series_of(panel); i++) {
		n += figure->summary[number][i].n;
		if (figure->summary[number][i].max > max)
			max = figure->summary[number][i].max;
	}
	struct plot_scale scale =
		plot_scale_make(series->unit, series->kind, max, panel->half ? STEPS_HALF : STEPS_FULL);
	frame.top = scale.top;
	frame.width = row->width - AXIS_LEFT;
	frame.height = row->frame_height;

	buf_printf(out, "\n<text class=\"name\" x=\"%u\" y=\"%u\">", x, y + 13);
	plot_text_put(out, panel->title, PANEL_CHARS);
	buf_puts(out, "</text>");
	put_legend(figure, number, x, y + PANEL_HEAD, row->cells);
	buf_printf(out, "\n<g transform=\"translate(%u %u)\">", x + AXIS_LEFT,
		y + PANEL_HEAD + row->legend_rows * LEGEND_ROW + 4);
	if (n)
		put_value_axis(figure, series, &frame, &scale);
	put_time_axis(figure, &frame);
	put_gaps(figure, panel, &frame);
	buf_printf(out, "<path class=\"axis\" d=\"M0 %u.5h%u\"/>", frame.height, frame.width);
	put_curves(figure, number, &frame);
	buf_puts(out, "</g>");
}

/* --- the document --- */

/* What the picture shows, for whoever cannot see it. */
static void put_description(struct figure *figure)
{
	struct buf *out = figure->out;

	for (unsigned i = 0; i < figure->n_panels; i++) {
		const struct plot_panel *panel = &figure->plot->panel[i];
		buf_puts(out, i ? " " : "");
		plot_text_put(out, panel->title, PANEL_CHARS);
		buf_putc(out, ':');
		for (unsigned k = 0; k < series_of(panel); k++) {
			const struct plot_series *series = &panel->series[k];
			const struct plot_summary *summary = &figure->summary[i][k];
			buf_puts(out, k ? "; " : " ");
			plot_text_put(out, series->name, NAME_CHARS);
			if (!summary->n) {
				buf_puts(out, " no data");
				continue;
			}
			buf_puts(out, " last ");
			plot_value_put(out, series->unit, series->kind, summary->last);
			buf_puts(out, ", highest ");
			plot_value_put(out, series->unit, series->kind, summary->max);
		}
		buf_putc(out, '.');
	}
}

static void put_subtitle(struct figure *figure, size_t max_chars)
{
	if (*figure->plot->subtitle) {
		plot_text_put(figure->out, figure->plot->subtitle, max_chars);
		buf_puts(figure->out, ", ");
	}
	plot_time_put_span(figure->out, figure->span.from_s, figure->span.to_s);
}

static void put_head(struct figure *figure, unsigned height)
{
	struct buf *out = figure->out;

	buf_printf(out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"memfs-plot\" role=\"img\" width=\"%d\" "
		"height=\"%u\" viewBox=\"0 0 %d %u\">\n<title>",
		WIDTH, height, WIDTH, height);
	plot_text_put(out, figure->plot->title, SIZE_MAX);
	buf_puts(out, "</title>\n<desc>");
	put_subtitle(figure, SIZE_MAX);
	buf_puts(out, ". ");
	put_description(figure);
	buf_puts(out, "</desc>\n");
	buf_puts(out, style);
	buf_printf(out, "\n<rect class=\"paper\" width=\"%d\" height=\"%u\"/>", WIDTH, height);
	buf_printf(out, "\n<text class=\"title\" x=\"%d\" y=\"32\">", MARGIN);
	plot_text_put(out, figure->plot->title, TITLE_CHARS);
	buf_printf(out, "</text>\n<text class=\"soft\" x=\"%d\" y=\"51\">", MARGIN);
	put_subtitle(figure, SUBTITLE_CHARS);
	buf_puts(out, "</text>");
}

static void put_footer(struct figure *figure, unsigned height)
{
	struct buf *out = figure->out;
	unsigned step_s = figure->span.step_s, x = MARGIN;

	if (figure->gaps) {
		buf_printf(out,
			"\n<rect class=\"gap\" x=\"%u\" y=\"%u\" width=\"%d\" height=\"12\"/>"
			"<text class=\"soft\" x=\"%u\" y=\"%u\">nothing was recorded</text>",
			x, height - 27, SWATCH, x + SWATCH + 6, height - 17);
		x += LEGEND_CELL;
	}
	if (figure->peaks) {
		buf_printf(
			out, "<text class=\"soft\" x=\"%u\" y=\"%u\">Lines are averages of ", x, height - 17);
		if (step_s == 3600)
			buf_puts(out, "an hour");
		else if (step_s == 60)
			buf_puts(out, "a minute");
		else
			buf_printf(out, "%u seconds", step_s);
		buf_puts(out, "; the shade above reaches to the highest value.</text>");
	}
}

static int64_t clamp(int64_t value, int64_t min, int64_t max)
{
	return value < min ? min : value > max ? max : value;
}

void plot_render(const struct plot *plot, struct buf *out)
{
	struct figure figure = { .out = out, .plot = plot };
	unsigned y = HEADER, height;

	tzset(); /* localtime_r does not notice by itself that the machine's zone was changed */
	figure.n_panels = plot->n_panels < PANELS_MAX ? plot->n_panels : PANELS_MAX;
	figure.span.from_s = clamp(plot->from_s, 0, PLOT_TIME_MAX - 1);
	figure.span.to_s = clamp(plot->to_s, figure.span.from_s + 1, PLOT_TIME_MAX);
	figure.span.step_s = plot->step_s ? plot->step_s : 1;
	for (unsigned i = 0; i < figure.n_panels; i++) {
		for (unsigned k = 0; k < series_of(&plot->panel[i]); k++)
			figure.summary[i][k] = plot_curve_summarize(&figure.span, &plot->panel[i].series[k]);
	}
	height = figure_height(&figure);
	put_head(&figure, height);
	for (unsigned i = 0; i < figure.n_panels;) {
		struct row row = make_row(&figure, i, y);
		for (unsigned k = 0; k < row.n; k++)
			put_panel(&figure, &row, k);
		y += row.height;
		i += row.n;
	}
	put_footer(&figure, height);
	buf_puts(out, "\n</svg>\n");
}
