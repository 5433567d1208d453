/* SPDX-License-Identifier: MIT */
#include "fs/plot/plot_time.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { MINUTE = 60, HOUR = 3600, DAY = 86400 };

/* A distance of marks: seconds, or where they are 0 months. */
static const struct step {
	int seconds, months;
} steps[] = { { 1 }, { 2 }, { 5 }, { 10 }, { 15 }, { 30 }, { MINUTE }, { 2 * MINUTE }, { 5 * MINUTE },
	{ 10 * MINUTE }, { 15 * MINUTE }, { 30 * MINUTE }, { HOUR }, { 2 * HOUR }, { 3 * HOUR }, { 6 * HOUR },
	{ 12 * HOUR }, { DAY }, { 2 * DAY }, { 7 * DAY }, { 14 * DAY }, { 0, 1 }, { 0, 2 }, { 0, 3 },
	{ 0, 6 }, { 0, 12 }, { 0, 24 }, { 0, 60 }, { 0, 120 }, { 0, 240 }, { 0, 600 }, { 0, 1200 },
	{ 0, 2400 }, { 0, 6000 }, { 0, 12000 } };
enum { N_STEPS = sizeof(steps) / sizeof(*steps) };

static struct tm local(int64_t time_s)
{
	time_t time = (time_t)time_s;
	struct tm tm = { .tm_mday = 1 };

	localtime_r(&time, &tm);
	return tm;
}

/* Not strftime's %b, which a locale changes. */
static const char *month_name(const struct tm *tm)
{
	static const char names[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep",
		"Oct", "Nov", "Dec" };
	return names[(unsigned)tm->tm_mon % 12];
}

static int year(const struct tm *tm)
{
	return (tm->tm_year + 1900) % 10000;
}

static const struct step *choose_step(int64_t span_s, unsigned ticks_max)
{
	const struct step *step = steps;

	while (step < &steps[N_STEPS - 1] &&
		span_s / (step->seconds ? step->seconds : INT64_C(28) * DAY * step->months) >= ticks_max)
		step++;
	return step;
}

static void name_tick(struct plot_tick *tick, const struct step *step, const struct tm *tm)
{
	char *text = tick->text, *below = tick->below;

	*below = 0;
	if (step->months >= 12) {
		snprintf(text, PLOT_TICK_TEXT, "%d", year(tm));
	} else if (step->months) {
		snprintf(text, PLOT_TICK_TEXT, "%s", month_name(tm));
		snprintf(below, PLOT_TICK_TEXT, "%d", year(tm));
	} else if (step->seconds >= DAY) {
		snprintf(text, PLOT_TICK_TEXT, "%d %s", tm->tm_mday % 100, month_name(tm));
		snprintf(below, PLOT_TICK_TEXT, "%d", year(tm));
	} else {
		snprintf(text, PLOT_TICK_TEXT, "%02d:%02d", tm->tm_hour % 100, tm->tm_min % 100);
		if (step->seconds < MINUTE)
			snprintf(text + 5, PLOT_TICK_TEXT - 5, ":%02d", tm->tm_sec % 100);
		snprintf(below, PLOT_TICK_TEXT, "%d %s %d", tm->tm_mday % 100, month_name(tm), year(tm));
	}
}

/* The mark of number `i` at or before the first: counted on the wall clock, so that a day of 23 or 25 hours
 * has its marks at round hours too. */
static int64_t mark(const struct step *step, const struct tm *from, unsigned i)
{
	struct tm tm = { .tm_year = from->tm_year, .tm_mon = from->tm_mon, .tm_mday = 1, .tm_isdst = -1 };

	if (step->months >= 12) {
		tm.tm_mon = 0;
		tm.tm_year -= year(from) % (step->months / 12);
	} else if (step->months) {
		tm.tm_mon -= tm.tm_mon % step->months;
	}
	tm.tm_mon += (int)i * step->months;
	if (step->seconds >= DAY) {
		/* Days are counted from a Monday, 5 January 1970, so that weeks begin there. */
		int days = step->seconds / DAY;
		struct tm noon = *from;
		noon.tm_hour = 12;
		noon.tm_min = noon.tm_sec = 0;
		int64_t number = ((int64_t)timegm(&noon) / DAY + 3) % days;
		tm.tm_mday = from->tm_mday - (int)number + (int)i * days;
	} else if (step->seconds >= HOUR) {
		int hours = step->seconds / HOUR;
		tm.tm_mday = from->tm_mday;
		tm.tm_hour = from->tm_hour - from->tm_hour % hours + (int)i * hours;
	}
	return (int64_t)mktime(&tm);
}

static int64_t nth_mark(const struct step *step, int64_t from_s, const struct tm *from, unsigned i)
{
	if (step->months || step->seconds >= HOUR)
		return mark(step, from, i);
	int64_t since = (from_s + from->tm_gmtoff) % step->seconds;
	return from_s - since + (int64_t)i * step->seconds;
}

unsigned plot_time_ticks(
	int64_t from_s, int64_t to_s, unsigned ticks_max, struct plot_tick ret_ticks[PLOT_TICKS_MAX])
{
	ticks_max = ticks_max > PLOT_TICKS_MAX ? PLOT_TICKS_MAX : ticks_max < 2 ? 2 : ticks_max;
	const struct step *step = choose_step(to_s - from_s, ticks_max);
	struct tm from = local(from_s);
	char last_below[PLOT_TICK_TEXT] = "";
	int64_t last_s = from_s - 1;
	unsigned n = 0;

	for (unsigned i = 0; n < ticks_max && i < 2 * PLOT_TICKS_MAX; i++) {
		int64_t time_s = nth_mark(step, from_s, &from, i);
		if (time_s > to_s)
			break;
		if (time_s <= last_s) /* before the span, or an hour that a clock change took away */
			continue;
		struct tm tm = local(time_s);
		struct plot_tick *tick = &ret_ticks[n++];
		tick->time_s = last_s = time_s;
		name_tick(tick, step, &tm);
		if (!strcmp(tick->below, last_below))
			*tick->below = 0;
		else
			memcpy(last_below, tick->below, sizeof(last_below));
	}
	return n;
}

static void put_date(struct buf *out, const struct tm *tm)
{
	buf_printf(out, "%d %s %d", tm->tm_mday, month_name(tm), year(tm));
}

static void put_clock(struct buf *out, const struct tm *tm, bool seconds)
{
	buf_printf(out, "%02d:%02d", tm->tm_hour, tm->tm_min);
	if (seconds)
		buf_printf(out, ":%02d", tm->tm_sec);
}

void plot_time_put_span(struct buf *out, int64_t from_s, int64_t to_s)
{
	struct tm from = local(from_s), to = local(to_s);
	bool seconds = to_s - from_s < HOUR;

	put_date(out, &from);
	buf_puts(out, ", ");
	put_clock(out, &from, seconds);
	buf_puts(out, " to ");
	if (from.tm_year != to.tm_year || from.tm_yday != to.tm_yday) {
		put_date(out, &to);
		buf_puts(out, ", ");
	}
	put_clock(out, &to, seconds);
	if (to.tm_zone) {
		buf_putc(out, ' ');
		buf_puts(out, to.tm_zone);
	}
}

void plot_time_put(struct buf *out, int64_t time_s, int64_t span_s)
{
	struct tm tm = local(time_s);

	if (span_s >= DAY)
		buf_printf(out, "%d %s ", tm.tm_mday, month_name(&tm));
	put_clock(out, &tm, span_s < HOUR);
}
