/* SPDX-License-Identifier: MIT */
#include "fs/plot/plot_scale.h"

/* One unit of a number as shown. */
struct shown_unit {
	double size;
	const char *name;
};

enum { PERCENT_HUNDREDTHS = 100 };
static const double steps_decimal[] = { 1, 2, 5, 10 };

static struct shown_unit unit_of(enum metric_unit unit, enum metric_kind kind, double value)
{
	static const char *const binary[] = { " B", " KiB", " MiB", " GiB", " TiB", " PiB", " EiB" };
	static const char *const decimal[] = { "", " k", " M", " G", " T", " P", " E" };
	static const char *const decimal_rate[] = { " /s", " k/s", " M/s", " G/s", " T/s", " P/s", " E/s" };
	const char *const *names = unit == METRIC_BYTES     ? binary
				   : kind == METRIC_COUNTER ? decimal_rate
							    : decimal;
	double size = 1, base = unit == METRIC_BYTES ? 1024 : 1000;
	unsigned i = 0;

	if (unit == METRIC_PERCENT)
		return (struct shown_unit) { PERCENT_HUNDREDTHS, " %" };
	while (i < 6 && value >= base * size) {
		size *= base;
		i++;
	}
	return (struct shown_unit) { size, names[i] };
}

/* The smallest round step that needs at most steps_max steps: powers of two for bytes, of which the names of
 * units are made; else 1, 2 and 5 times powers of ten. */
static double round_step(enum metric_unit unit, double max, unsigned steps_max)
{
	double magnitude = unit == METRIC_BYTES ? 256 : 0.01;

	if (unit == METRIC_BYTES) {
		while (magnitude * steps_max < max)
			magnitude *= 2;
		return magnitude;
	}
	for (;; magnitude *= 10) {
		for (unsigned i = 0; i < 3; i++) {
			if (magnitude * steps_decimal[i] * steps_max >= max)
				return magnitude * steps_decimal[i];
		}
	}
}

struct plot_scale plot_scale_make(
	enum metric_unit unit, enum metric_kind kind, double max, unsigned steps_max)
{
	/* What is always zero has an axis all the same. */
	double usual = unit == METRIC_BYTES ? 1 << 20 : unit == METRIC_PERCENT ? PERCENT_HUNDREDTHS : 1;
	struct plot_scale scale = { 0 };

	max = max > 0 ? max : usual;
	scale.step = round_step(unit, max, steps_max);
	while (scale.n_steps < 2 || (scale.n_steps < steps_max && scale.n_steps * scale.step < max))
		scale.n_steps++;
	if (unit == METRIC_PERCENT && max <= 100 * PERCENT_HUNDREDTHS &&
		scale.n_steps * scale.step > 100 * PERCENT_HUNDREDTHS)
		scale.n_steps--;
	scale.top = scale.n_steps * scale.step;
	return scale;
}

/* In whole units of `thousandths`; what no integer holds, absurd as a percentage, ends at the largest one. */
static uint64_t round_thousandths(double number, unsigned thousandths)
{
	double units = number * 1000 / thousandths + 0.5;
	return units * thousandths < (double)UINT64_MAX ? (uint64_t)units * thousandths : UINT64_MAX;
}

/* Without zeros at the end; not printf, whose point a locale changes. */
static void put_thousandths(struct buf *out, uint64_t thousandths)
{
	unsigned rest = (unsigned)(thousandths % 1000);

	buf_put_u64(out, thousandths / 1000);
	if (!rest)
		return;
	buf_putc(out, '.');
	buf_putc(out, (char)('0' + rest / 100));
	if (rest % 100)
		buf_putc(out, (char)('0' + rest / 10 % 10));
	if (rest % 10)
		buf_putc(out, (char)('0' + rest % 10));
}

void plot_scale_put(struct buf *out, enum metric_unit unit, enum metric_kind kind,
	const struct plot_scale *scale, unsigned line)
{
	struct shown_unit shown = unit_of(unit, kind, scale->top);

	put_thousandths(out, round_thousandths(line * scale->step / shown.size, 1));
	if (line)
		buf_puts(out, shown.name);
}

void plot_value_put(struct buf *out, enum metric_unit unit, enum metric_kind kind, double value)
{
	struct shown_unit shown = unit_of(unit, kind, value);
	double number = value / shown.size;
	/* Digits behind the point so that three or four are shown in all, but no parts of a byte. */
	unsigned keep = shown.size == 1 && unit == METRIC_BYTES ? 1000
			: number >= 100                         ? 1000
			: number >= 10                          ? 100
								: 10;

	put_thousandths(out, round_thousandths(number, keep));
	buf_puts(out, shown.name);
}
