/* SPDX-License-Identifier: MIT */
#include "fs/plot/plot_curve.h"

/* The values that are drawn, one after the other. */
struct walk {
	const struct plot_frame *frame;
	const struct plot_series *series;
	size_t next;
	const struct plot_point *before; /* the sample before the next, NULL: none */
	bool broken;                     /* since the last value there was a gap */
};

struct drawn {
	int64_t time_s;
	double value, peak;
	bool after_gap;
};

static struct walk walk_begin(const struct plot_frame *frame, const struct plot_series *series)
{
	return (struct walk) { frame, series, 0, NULL, true };
}

static bool is_gap(const struct plot_frame *frame, int64_t from_s, int64_t to_s)
{
	return 2 * (to_s - from_s) > 5 * (int64_t)frame->step_s;
}

/* The next sample of the span; NULL at the end. */
static const struct plot_point *next_point(struct walk *walk)
{
	const struct plot_series *series = walk->series;

	while (walk->next < series->n) {
		const struct plot_point *point = &series->point[walk->next++];
		if (point->time_s >= walk->frame->from_s && point->time_s <= walk->frame->to_s &&
			(!walk->before || point->time_s > walk->before->time_s))
			return point;
	}
	return NULL;
}

static bool walk_next(struct walk *walk, struct drawn *ret)
{
	const struct plot_point *point, *before;
	bool counter = walk->series->kind == METRIC_COUNTER;

	while ((point = next_point(walk))) {
		before = walk->before;
		walk->before = point;
		bool gap = !before || is_gap(walk->frame, before->time_s, point->time_s);
		walk->broken |= gap;
		if (counter && (gap || point->value < before->value)) {
			walk->broken = true;
			continue;
		}
		*ret = (struct drawn) { .time_s = point->time_s, .after_gap = walk->broken };
		walk->broken = false;
		ret->value = counter ? (double)(point->value - before->value) /
					       (double)(point->time_s - before->time_s)
				     : (double)point->value;
		ret->peak = ret->value;
		if (!counter && !walk->series->limit && point->peak > point->value)
			ret->peak = (double)point->peak;
		return true;
	}
	return false;
}

struct plot_summary plot_curve_summarize(const struct plot_frame *frame, const struct plot_series *series)
{
	struct walk walk = walk_begin(frame, series);
	struct plot_summary summary = { 0 };
	struct drawn drawn;

	while (walk_next(&walk, &drawn)) {
		summary.n++;
		summary.last = drawn.value;
		summary.last_s = drawn.time_s;
		summary.peaks |= drawn.peak > drawn.value;
		if (drawn.peak > summary.max)
			summary.max = drawn.peak;
	}
	return summary;
}

int plot_curve_x(const struct plot_frame *frame, int64_t time_s)
{
	return (int)((double)((time_s - frame->from_s) * PLOT_TENTHS) * frame->width /
		     (double)(frame->to_s - frame->from_s));
}

static int curve_y(const struct plot_frame *frame, double value)
{
	double height = frame->height * PLOT_TENTHS, y = height * (1 - value / frame->top);
	return y <= 0 ? 0 : y >= height ? (int)height : (int)(y + 0.5);
}

static unsigned column_of(const struct plot_frame *frame, int x)
{
	unsigned column = (unsigned)x / PLOT_TENTHS;
	return column < frame->width ? column : frame->width - 1;
}

void plot_curve_cover(const struct plot_frame *frame, const struct plot_series *series, bool *covered)
{
	struct walk walk = walk_begin(frame, series);
	const struct plot_point *point;
	int64_t begin_s = frame->from_s;

	while ((point = next_point(&walk))) {
		int64_t since_s = is_gap(frame, begin_s, point->time_s) ? point->time_s : begin_s;
		unsigned last = column_of(frame, plot_curve_x(frame, point->time_s));
		for (unsigned i = column_of(frame, plot_curve_x(frame, since_s)); i <= last; i++)
			covered[i] = true;
		begin_s = point->time_s;
		walk.before = point;
	}
	if (!walk.before || is_gap(frame, begin_s, frame->to_s))
		return;
	for (unsigned i = column_of(frame, plot_curve_x(frame, begin_s)); i < frame->width; i++)
		covered[i] = true;
}

static void column_add(struct plot_column *column, int x, int y, int peak_y)
{
	column->last_x = x;
	column->last_y = y;
	column->single = false;
	if (y > column->low_y) {
		column->low_y = y;
		column->high_first = true;
	}
	if (y < column->high_y) {
		column->high_y = y;
		column->high_first = false;
	}
	if (peak_y < column->peak_y)
		column->peak_y = peak_y;
}

void plot_curve_fill(
	struct plot_columns *columns, const struct plot_frame *frame, const struct plot_series *series)
{
	struct walk walk = walk_begin(frame, series);
	unsigned current = 0;
	struct drawn drawn;

	columns->n = 0;
	while (walk_next(&walk, &drawn)) {
		int x = plot_curve_x(frame, drawn.time_s), y = curve_y(frame, drawn.value),
		    peak_y = drawn.peak > drawn.value ? curve_y(frame, drawn.peak) : y;
		unsigned place = column_of(frame, x);
		if (columns->n && place == current) {
			column_add(&columns->column[columns->n - 1], x, y, peak_y);
			continue;
		}
		current = place;
		columns->column[columns->n++] =
			(struct plot_column) { x, x, y, y, y, y, peak_y, false, drawn.after_gap, true };
	}
}

/* One value with a gap on either side. */
static bool is_lone(const struct plot_columns *columns, unsigned i)
{
	const struct plot_column *column = &columns->column[i];
	return column->single && column->after_gap && (i + 1 == columns->n || column[1].after_gap);
}

/* Writes `Mx yldx dy dx dy`; points in a row at one height become one stretch. */
struct pen {
	struct buf *out;
	int x, y;   /* where it was written to */
	int held_x; /* as far as it went since, at the same height */
	bool in_line;
};

static void pen_put(struct pen *pen, int x, int y)
{
	if (!pen->in_line)
		buf_putc(pen->out, 'l');
	else if (x - pen->x >= 0)
		buf_putc(pen->out, ' ');
	pen->in_line = true;
	buf_put_i64(pen->out, x - pen->x);
	if (y - pen->y >= 0)
		buf_putc(pen->out, ' ');
	buf_put_i64(pen->out, y - pen->y);
	pen->x = pen->held_x = x;
	pen->y = y;
}

static void pen_lift(struct pen *pen)
{
	if (pen->held_x != pen->x)
		pen_put(pen, pen->held_x, pen->y);
	pen->in_line = false;
}

static void pen_move(struct pen *pen, int x, int y)
{
	pen_lift(pen);
	buf_putc(pen->out, 'M');
	buf_put_i64(pen->out, x);
	buf_putc(pen->out, ' ');
	buf_put_i64(pen->out, y);
	pen->x = pen->held_x = x;
	pen->y = y;
}

static void pen_line(struct pen *pen, int x, int y)
{
	if (y == pen->y) {
		pen->held_x = x;
		return;
	}
	if (pen->held_x != pen->x)
		pen_put(pen, pen->held_x, pen->y);
	pen_put(pen, x, y);
}

void plot_curve_line(struct buf *out, const struct plot_columns *columns)
{
	struct pen pen = { out };

	for (unsigned i = 0; i < columns->n; i++) {
		const struct plot_column *column = &columns->column[i];
		if (is_lone(columns, i))
			continue;
		if (column->after_gap)
			pen_move(&pen, column->first_x, column->first_y);
		else
			pen_line(&pen, column->first_x, column->first_y);
		if (column->single)
			continue;
		int middle_x = (column->first_x + column->last_x) / 2;
		pen_line(&pen, middle_x, column->high_first ? column->high_y : column->low_y);
		pen_line(&pen, middle_x, column->high_first ? column->low_y : column->high_y);
		pen_line(&pen, column->last_x, column->last_y);
	}
	pen_lift(&pen);
}

void plot_curve_dots(struct buf *out, const struct plot_columns *columns)
{
	for (unsigned i = 0; i < columns->n; i++) {
		if (is_lone(columns, i))
			buf_printf(out, "M%d %dh0", columns->column[i].first_x, columns->column[i].first_y);
	}
}

void plot_curve_band(struct buf *out, const struct plot_columns *columns)
{
	const struct plot_column *column = columns->column;
	struct pen pen = { out };
	unsigned end;

	for (unsigned begin = 0; begin < columns->n; begin = end) {
		for (end = begin + 1; end < columns->n && !column[end].after_gap; end++)
			;
		if (end - begin < 2)
			continue;
		pen_move(&pen, column[begin].first_x, column[begin].peak_y);
		for (unsigned i = begin + 1; i < end; i++)
			pen_line(&pen, column[i].first_x, column[i].peak_y);
		for (unsigned i = end; i-- > begin;)
			pen_line(&pen, column[i].first_x, column[i].low_y);
		pen_lift(&pen);
		buf_putc(out, 'z');
	}
}
