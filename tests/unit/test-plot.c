/* SPDX-License-Identifier: MIT */
/* The picture is read as a reader of XML and as one of the picture reads it; tests/golden/plot.svg is one
 * whole, refreshed with MEMFS_GOLDEN_UPDATE=1. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fs/plot/plot_curve.h"
#include "fs/plot/plot_metrics.h"
#include "fs/plot/plot_scale.h"
#include "fs/plot/plot_text.h"
#include "fs/plot/plot_time.h"
#include "tests/unit/svg.h"

enum { BEGIN = 1763712000, WIDTH = 100, HEIGHT = 50 }; /* 21 Nov 2025, 08:00 UTC */

static void set_zone(const char *zone)
{
	setenv("TZ", zone, 1);
	tzset();
}

static int begin_in_utc(void **state)
{
	set_zone("UTC0");
	return 0;
}

static const char *as_string(struct buf *buf)
{
	assert_int_equal(buf_error(buf), 0);
	buf_putc(buf, 0);
	buf->len = 0;
	return buf->data;
}

/* --- text --- */

static void assert_text(const char *text, size_t max_chars, const char *wanted)
{
	CLEANUP_BUF struct buf out = BUF_INIT;
	buf_puts(&out, "");
	plot_text_put(&out, text, max_chars);
	assert_string_equal(as_string(&out), wanted);
}

static void text_of_any_origin_is_xml(void **state)
{
	assert_text("", 9, "");
	assert_text("a<b>&\"c'", 99, "a&lt;b&gt;&amp;\"c'");
	assert_text("größe 日本 😀", 99, "größe 日本 😀");
	/* Lone, cut, overlong and surrogate bytes, controls, U+FFFE, what turns text around. */
	assert_text("\xff", 9, "\uFFFD");
	assert_text("a\xc3", 9, "a\uFFFD");
	assert_text("\xe2\x82z", 9, "\uFFFD\uFFFDz");
	assert_text("\xc0\xaf", 9, "\uFFFD\uFFFD");
	assert_text("\xed\xa0\x80", 9, "\uFFFD\uFFFD\uFFFD");
	assert_text("\xf5\x80\x80\x80", 9, "\uFFFD\uFFFD\uFFFD\uFFFD");
	assert_text("\xf4\x90\x80\x80", 9, "\uFFFD\uFFFD\uFFFD\uFFFD");
	assert_text("\x1b\t\n\x7f\xc2\x85", 9, "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD");
	assert_text("\xef\xbf\xbe", 9, "\uFFFD");
	assert_text("gpj\u202Eexe", 9, "gpj\uFFFDexe");
}

static void text_is_cut_by_characters(void **state)
{
	assert_text("abcd", 4, "abcd");
	assert_text("abcde", 4, "abc…");
	assert_text("日本語日本", 3, "日本…");
	assert_text("<<<<", 3, "&lt;&lt;…");
	assert_text("ab", 1, "…");
}

/* --- the value axis --- */

static void assert_scale(enum metric_unit unit, enum metric_kind kind, double max, const char *wanted)
{
	struct plot_scale scale = plot_scale_make(unit, kind, max, 6);
	CLEANUP_BUF struct buf out = BUF_INIT;

	assert_true(scale.top >= max);
	for (unsigned line = 0; line <= scale.n_steps; line++) {
		buf_puts(&out, line ? "|" : "");
		plot_scale_put(&out, unit, kind, &scale, line);
	}
	assert_string_equal(as_string(&out), wanted);
}

static void an_axis_is_round_in_its_unit(void **state)
{
	double gib = 1 << 30;

	assert_scale(METRIC_BYTES, METRIC_GAUGE, 15.6 * gib, "0|4 GiB|8 GiB|12 GiB|16 GiB");
	assert_scale(
		METRIC_BYTES, METRIC_GAUGE, .7 * gib, "0|128 MiB|256 MiB|384 MiB|512 MiB|640 MiB|768 MiB");
	assert_scale(METRIC_BYTES, METRIC_GAUGE, 1.1 * gib, "0|0.25 GiB|0.5 GiB|0.75 GiB|1 GiB|1.25 GiB");
	assert_scale(METRIC_BYTES, METRIC_GAUGE, 0, "0|0.25 MiB|0.5 MiB|0.75 MiB|1 MiB");
	assert_scale(METRIC_BYTES, METRIC_GAUGE, 1, "0|256 B|512 B");
	assert_scale(METRIC_BYTES, METRIC_GAUGE, (double)UINT64_MAX, "0|4 EiB|8 EiB|12 EiB|16 EiB");
	assert_scale(METRIC_COUNT, METRIC_COUNTER, 0, "0|0.2 /s|0.4 /s|0.6 /s|0.8 /s|1 /s");
	assert_scale(METRIC_COUNT, METRIC_COUNTER, 9800, "0|2 k/s|4 k/s|6 k/s|8 k/s|10 k/s");
	assert_scale(METRIC_COUNT, METRIC_COUNTER, .03, "0|0.01 /s|0.02 /s|0.03 /s");
	assert_scale(METRIC_COUNT, METRIC_GAUGE, 2500, "0|0.5 k|1 k|1.5 k|2 k|2.5 k");
	/* More than all of the time there is not. */
	assert_scale(METRIC_PERCENT, METRIC_GAUGE, 9700, "0|20 %|40 %|60 %|80 %|100 %");
	assert_scale(METRIC_PERCENT, METRIC_GAUGE, 7, "0|0.02 %|0.04 %|0.06 %|0.08 %");
}

static void assert_value(enum metric_unit unit, enum metric_kind kind, double value, const char *wanted)
{
	CLEANUP_BUF struct buf out = BUF_INIT;
	plot_value_put(&out, unit, kind, value);
	assert_string_equal(as_string(&out), wanted);
}

static void values_have_three_or_four_digits(void **state)
{
	assert_value(METRIC_BYTES, METRIC_GAUGE, 0, "0 B");
	assert_value(METRIC_BYTES, METRIC_GAUGE, 1023, "1023 B");
	assert_value(METRIC_BYTES, METRIC_GAUGE, 5.214 * (1 << 30), "5.21 GiB");
	assert_value(METRIC_BYTES, METRIC_GAUGE, 52.14 * (1 << 30), "52.1 GiB");
	assert_value(METRIC_BYTES, METRIC_GAUGE, 1000. * (1 << 20), "1000 MiB");
	assert_value(METRIC_BYTES, METRIC_GAUGE, (double)UINT64_MAX, "16 EiB");
	assert_value(METRIC_COUNT, METRIC_COUNTER, 12345, "12.3 k/s");
	assert_value(METRIC_COUNT, METRIC_COUNTER, .25, "0.25 /s");
	assert_value(METRIC_COUNT, METRIC_COUNTER, 1e19, "10 E/s");
	assert_value(METRIC_COUNT, METRIC_GAUGE, 17, "17");
	assert_value(METRIC_PERCENT, METRIC_GAUGE, 4, "0.04 %");
	assert_value(METRIC_PERCENT, METRIC_GAUGE, 10000, "100 %");
	/* Of a counter that is no percentage at all: a number, whatever it is. */
	assert_value(METRIC_PERCENT, METRIC_GAUGE, (double)UINT64_MAX, "18446744073709551.615 %");
}

/* --- the time axis --- */

static void assert_ticks(int64_t from_s, int64_t to_s, unsigned max, const char *wanted)
{
	struct plot_tick ticks[PLOT_TICKS_MAX];
	unsigned n = plot_time_ticks(from_s, to_s, max, ticks);
	CLEANUP_BUF struct buf out = BUF_INIT;

	assert_in_range(n, 0, max);
	for (unsigned i = 0; i < n; i++) {
		assert_true(ticks[i].time_s >= from_s && ticks[i].time_s <= to_s);
		buf_printf(&out, "%s%s%s%s", i ? "|" : "", ticks[i].text, *ticks[i].below ? "/" : "",
			ticks[i].below);
	}
	assert_string_equal(as_string(&out), wanted);
}

static void ticks_are_round_in_local_time(void **state)
{
	int64_t day = 86400;

	assert_ticks(
		BEGIN, BEGIN + 10, 6, "08:00:00/21 Nov 2025|08:00:02|08:00:04|08:00:06|08:00:08|08:00:10");
	assert_ticks(BEGIN - 15, BEGIN + 585, 6, "08:00/21 Nov 2025|08:02|08:04|08:06|08:08");
	assert_ticks(BEGIN, BEGIN + day, 9,
		"09:00/21 Nov 2025|12:00|15:00|18:00|21:00|00:00/22 Nov 2025|03:00|06:00");
	assert_ticks(BEGIN, BEGIN + 30 * day, 9, "24 Nov/2025|1 Dec|8 Dec|15 Dec");
	assert_ticks(BEGIN, BEGIN + 3 * day, 9,
		"12:00/21 Nov 2025|00:00/22 Nov 2025|12:00|00:00/23 Nov 2025|"
		"12:00|00:00/24 Nov 2025");
	assert_ticks(BEGIN, BEGIN + 200 * day, 9, "Dec/2025|Jan/2026|Feb|Mar|Apr|May|Jun");
	assert_ticks(BEGIN, BEGIN + 3000 * day, 9, "2026|2027|2028|2029|2030|2031|2032|2033|2034");
	assert_ticks(0, PLOT_TIME_MAX, 9, "2000|3000|4000|5000|6000|7000|8000|9000");
	assert_ticks(0, 1, 6, "00:00:00/1 Jan 1970|00:00:01");
	set_zone("NPT-5:45");
	assert_ticks(BEGIN, BEGIN + 3600, 6, "13:45/21 Nov 2025|14:00|14:15|14:30|14:45");
	assert_ticks(BEGIN, BEGIN + day / 2, 6, "15:00/21 Nov 2025|18:00|21:00|00:00/22 Nov 2025");
	set_zone("UTC0");
}

/* 26 October 2025 has 25 hours there, 30 March 23: midnight is a mark on both. */
static void ticks_follow_a_clock_change(void **state)
{
	set_zone("CET-1CEST,M3.5.0,M10.5.0/3");
	assert_ticks(1761429600, 1761519600, 5, "00:00/26 Oct 2025|06:00|12:00|18:00|00:00/27 Oct 2025");
	assert_ticks(1743289200, 1743372000, 5, "00:00/30 Mar 2025|06:00|12:00|18:00|00:00/31 Mar 2025");
	assert_ticks(1761364800, 1761624000, 4, "26 Oct/2025|27 Oct|28 Oct");
	set_zone("UTC0");
}

static void a_span_says_its_zone(void **state)
{
	CLEANUP_BUF struct buf out = BUF_INIT;

	plot_time_put_span(&out, BEGIN, BEGIN + 600);
	assert_string_equal(as_string(&out), "21 Nov 2025, 08:00:00 to 08:10:00 UTC");
	set_zone("CET-1CEST,M3.5.0,M10.5.0/3");
	plot_time_put_span(&out, BEGIN, BEGIN + 86400);
	assert_string_equal(as_string(&out), "21 Nov 2025, 09:00 to 22 Nov 2025, 09:00 CET");
	set_zone("UTC0");
}

/* --- the line --- */

static const struct plot_frame frame = { BEGIN, BEGIN + 1000, 1, 1000, WIDTH, HEIGHT };

static void assert_line(
	struct plot_series *series, const struct plot_frame *in, const char *line, const char *dots)
{
	CLEANUP_BUF struct buf out = BUF_INIT;
	struct plot_columns columns;

	plot_curve_fill(&columns, in, series);
	plot_curve_line(&out, &columns);
	buf_puts(&out, "");
	assert_string_equal(as_string(&out), line);
	plot_curve_dots(&out, &columns);
	assert_string_equal(as_string(&out), dots);
	plot_series_deinit(series);
}

static void add(struct plot_series *series, int64_t after_s, uint64_t value)
{
	assert_int_equal(plot_series_add(series, BEGIN + after_s, value, value), 0);
}

static void a_line_breaks_at_gaps(void **state)
{
	struct plot_series series = { "x", METRIC_BYTES, METRIC_GAUGE };
	struct plot_frame slow = frame;

	assert_line(&series, &frame, "", "");
	slow.step_s = 100;
	add(&series, 0, 0);
	add(&series, 100, 500);
	add(&series, 200, 500);
	add(&series, 300, 500);
	add(&series, 600, 1000); /* 3 steps on; alone */
	add(&series, 900, 0);
	add(&series, 1000, 100);
	assert_line(&series, &slow, "M0 500l100-250 200 0M900 500l100-50", "M600 0h0");
	/* Up to 2.5 steps are a late sample. */
	add(&series, 0, 500);
	add(&series, 250, 500);
	add(&series, 501, 500);
	assert_line(&series, &slow, "M0 250l250 0", "M501 250h0");
}

static void points_out_of_order_or_span_are_left_out(void **state)
{
	struct plot_series series = { "x", METRIC_BYTES, METRIC_GAUGE };
	struct plot_frame slow = frame;

	slow.step_s = 1000;
	add(&series, -1, 1);
	add(&series, 0, 0);
	add(&series, 500, 500);
	add(&series, 500, 900);
	add(&series, 100, 900);
	add(&series, 1000, 2000); /* beyond the axis: at its edge */
	add(&series, 1001, 0);
	assert_line(&series, &slow, "M0 500l500-250 500-250", "");
}

static void many_points_keep_their_spikes(void **state)
{
	struct plot_series series = { "x", METRIC_BYTES, METRIC_GAUGE };
	CLEANUP_BUF struct buf out = BUF_INIT;
	struct plot_columns columns;
	struct plot_frame day = { BEGIN, BEGIN + 86400, 1, 1000, WIDTH, HEIGHT };

	for (int64_t t = 0; t <= 86400; t++)
		add(&series, t, t == 40000 ? 1000 : t == 60000 ? 0 : 500);
	plot_curve_fill(&columns, &day, &series);
	assert_int_equal(columns.n, WIDTH);
	for (unsigned i = 0; i < columns.n; i++) {
		assert_int_equal(columns.column[i].high_y, i == 40000 / 864 ? 0 : 250);
		assert_int_equal(columns.column[i].low_y, i == 60000 / 864 ? 500 : 250);
	}
	plot_curve_line(&out, &columns);
	assert_string_equal(as_string(&out), "M0 250l464 0 0-250 5 250 225 0 0 250 5-250 301 0");
	plot_series_deinit(&series);
}

static void a_counter_is_its_rate(void **state)
{
	struct plot_series series = { "x", METRIC_COUNT, METRIC_COUNTER };
	struct plot_frame slow = frame;
	struct plot_summary summary;

	slow.step_s = 100;
	slow.top = 10;
	add(&series, 0, UINT64_MAX - 5000);
	assert_int_equal(plot_curve_summarize(&slow, &series).n, 0);
	add(&series, 100, UINT64_MAX - 4500); /* 5 a second */
	add(&series, 200, UINT64_MAX - 4500);
	add(&series, 300, UINT64_MAX - 3500); /* 10 */
	add(&series, 400, 100);               /* began anew */
	add(&series, 500, 600);
	add(&series, 600, 1100);
	summary = plot_curve_summarize(&slow, &series);
	assert_int_equal(summary.n, 5);
	assert_true(summary.max == 10 && summary.last == 5 && summary.last_s == BEGIN + 600);
	assert_line(&series, &slow, "M100 250l100 250 100-500M500 250l100 0", "");
}

static void peaks_are_a_band(void **state)
{
	struct plot_series series = { "x", METRIC_BYTES, METRIC_GAUGE };
	CLEANUP_BUF struct buf out = BUF_INIT;
	struct plot_columns columns;
	struct plot_frame slow = frame;

	slow.step_s = 1000;
	assert_int_equal(plot_series_add(&series, BEGIN, 200, 400), 0);
	assert_int_equal(plot_series_add(&series, BEGIN + 500, 200, 1000), 0);
	assert_int_equal(plot_series_add(&series, BEGIN + 1000, 200, 0), 0); /* less than the value: none */
	plot_curve_fill(&columns, &slow, &series);
	plot_curve_band(&out, &columns);
	assert_string_equal(as_string(&out), "M0 300l500-300 500 400-1000 0z");
	assert_true(plot_curve_summarize(&slow, &series).max == 1000);
	plot_series_deinit(&series);
}

static void what_is_covered(void **state)
{
	struct plot_series series = { "x", METRIC_BYTES, METRIC_GAUGE };
	struct plot_frame slow = frame;
	bool covered[WIDTH] = { false };

	slow.step_s = 100;
	add(&series, 200, 1);
	add(&series, 300, 1);
	add(&series, 600, 1);
	add(&series, 700, 1);
	plot_curve_cover(&slow, &series, covered);
	/* The first comes late by no more than a sample may; the end is 3 steps away. */
	for (unsigned i = 0; i < WIDTH; i++)
		assert_int_equal(covered[i], i <= 30 || (i >= 60 && i <= 70));
	plot_series_deinit(&series);
}

/* --- the document --- */

static void render(const char *title, struct plot_panel *panel, unsigned n_panels, struct buf *out)
{
	struct plot plot = { title, "process of web-3", BEGIN, BEGIN + 600, 10, panel, n_panels };

	plot_render(&plot, out);
	assert_int_equal(buf_error(out), 0);
	assert_well_formed(out);
}

static void nothing_says_so(void **state)
{
	struct plot_series series = { "rss", METRIC_BYTES, METRIC_GAUGE };
	struct plot_panel panel[] = { { "Memory", &series, 1 }, { "Nothing", NULL, 0 } };
	CLEANUP_BUF struct buf out = BUF_INIT;

	render("</title>\xff]]>", panel, 2, &out);
	assert_count(&out, "&lt;/title&gt;\uFFFD]]&gt;", 2);
	assert_count(&out, "class=\"gap\"", 3); /* two panels and what it means */
	assert_count(&out, "class=\"soft\">no data</tspan>", 1);
	assert_count(&out, "class=\"line", 0);
	buf_clear(&out);
	render("", NULL, 0, &out);
	assert_count(&out, "</svg>", 1);
}

static void the_last_value_says_when_it_is_old(void **state)
{
	struct plot_series series = { "rss", METRIC_BYTES, METRIC_GAUGE };
	struct plot_panel panel = { "Memory", &series, 1 };
	CLEANUP_BUF struct buf out = BUF_INIT;

	add(&series, 0, 3 << 20);
	add(&series, 10, 2 << 20);
	render("sh (7)", &panel, 1, &out);
	assert_count(&out, "<tspan class=\"value\">2 MiB</tspan>", 1);
	assert_count(&out, ">at 08:00:10, max 3 MiB<", 1);
	assert_count(&out, "rss last 2 MiB, highest 3 MiB", 1);
	buf_clear(&out);
	for (int64_t t = 20; t <= 600; t += 10)
		add(&series, t, 1 << 20);
	render("sh (7)", &panel, 1, &out);
	assert_count(&out, ">max 3 MiB<", 1);
	assert_count(&out, "class=\"gap\"", 0);
	plot_series_deinit(&series);
}

/* Whatever is asked for, there is an answer. */
static void spans_of_any_kind(void **state)
{
	static const int64_t spans[][2] = { { INT64_MIN, INT64_MAX }, { INT64_MAX, INT64_MIN }, { 5, 5 },
		{ -10, -5 }, { INT64_MAX, INT64_MAX }, { 0, 1 } };
	struct plot_series series = { "rss", METRIC_BYTES, METRIC_GAUGE };
	struct plot_panel panel = { "Memory", &series, 1 };

	add(&series, 0, UINT64_MAX);
	add(&series, 1, UINT64_MAX);
	for (size_t i = 0; i < sizeof(spans) / sizeof(*spans); i++) {
		struct plot plot = { "", "", spans[i][0], spans[i][1], i ? UINT32_MAX : 0, &panel, 1 };
		CLEANUP_BUF struct buf out = BUF_INIT;
		plot_render(&plot, &out);
		assert_int_equal(buf_error(&out), 0);
		assert_well_formed(&out);
	}
	plot_series_deinit(&series);
}

static void fill(struct plot_metrics *metrics, const struct metric_list *list, uint64_t value)
{
	uint64_t values[64];

	plot_metrics_init(metrics, list);
	for (int64_t t = 0; t <= 600; t += 10) {
		for (unsigned i = 0; i < 64; i++)
			values[i] = value ? value + (uint64_t)t * 4096 * i : 0;
		assert_int_equal(plot_metrics_add(metrics, BEGIN + t, ~UINT64_C(0), values, NULL), 0);
	}
}

static void metrics_have_their_panels(void **state)
{
	struct plot plot = { "web-3", "node", BEGIN, BEGIN + 600, 10 };
	CLEANUP_BUF struct buf out = BUF_INIT;
	struct plot_metrics metrics;

	fill(&metrics, &process_metrics, 1 << 20);
	plot_metrics_render(&metrics, plot, &out);
	assert_well_formed(&out);
	assert_count(&out, "class=\"name\"", 5);
	assert_count(&out, ">rss <", 1);
	assert_count(&out, ">minor_faults <", 1);
	assert_count(&out, " k/s</tspan>", 2);
	plot_metrics_deinit(&metrics);
	buf_clear(&out);

	fill(&metrics, &system_metrics, 1 << 20);
	plot_metrics_render(&metrics, plot, &out);
	assert_well_formed(&out);
	assert_count(&out, "class=\"name\"", 3);
	assert_count(&out, "class=\"line limit", 2);
	plot_metrics_deinit(&metrics);
	buf_clear(&out);

	/* Without memory and swap nothing of them is drawn. */
	fill(&metrics, &system_metrics, 0);
	plot_metrics_render(&metrics, plot, &out);
	assert_count(&out, "class=\"name\"", 1);
	plot_metrics_deinit(&metrics);
}

static void the_whole_is_as_it_was(void **state)
{
	static const char path[] = FIXTURES "/../golden/plot.svg";
	struct plot_series series[] = { { "rss", METRIC_BYTES, METRIC_GAUGE },
		{ "limit", METRIC_BYTES, METRIC_GAUGE, true }, { "faults", METRIC_COUNT, METRIC_COUNTER } };
	struct plot_panel panel[] = { { "Memory", series, 2, true }, { "Page faults", &series[2], 1, true } };
	CLEANUP_BUF struct buf out = BUF_INIT;

	for (int64_t t = 0; t <= 600; t += 10) {
		if (t > 200 && t < 300)
			continue;
		uint64_t value = (uint64_t)(t % 130 + 100) << 20;
		assert_int_equal(plot_series_add(&series[0], BEGIN + t, value, value * 5 / 4), 0);
		add(&series[1], t, UINT64_C(512) << 20);
		add(&series[2], t, (uint64_t)(t * t));
	}
	render("postgres (4711)", panel, 2, &out);
	for (unsigned i = 0; i < 3; i++)
		plot_series_deinit(&series[i]);
	assert_golden(&out, path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_of_any_origin_is_xml),
		cmocka_unit_test(text_is_cut_by_characters),
		cmocka_unit_test(an_axis_is_round_in_its_unit),
		cmocka_unit_test(values_have_three_or_four_digits),
		cmocka_unit_test(ticks_are_round_in_local_time),
		cmocka_unit_test(ticks_follow_a_clock_change),
		cmocka_unit_test(a_span_says_its_zone),
		cmocka_unit_test(a_line_breaks_at_gaps),
		cmocka_unit_test(points_out_of_order_or_span_are_left_out),
		cmocka_unit_test(many_points_keep_their_spikes),
		cmocka_unit_test(a_counter_is_its_rate),
		cmocka_unit_test(peaks_are_a_band),
		cmocka_unit_test(what_is_covered),
		cmocka_unit_test(nothing_says_so),
		cmocka_unit_test(the_last_value_says_when_it_is_old),
		cmocka_unit_test(spans_of_any_kind),
		cmocka_unit_test(metrics_have_their_panels),
		cmocka_unit_test(the_whole_is_as_it_was),
	};
	return cmocka_run_group_tests(tests, begin_in_utc, NULL);
}
