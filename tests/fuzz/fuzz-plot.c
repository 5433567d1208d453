/* SPDX-License-Identifier: MIT */
/* A picture of any samples over any span with any names is one well-formed document. */
#include "fs/plot/plot.h"
#include "tests/fuzz/fuzz.h"

#include <glib.h>
#include <string.h>

enum { NAMES = 5, NAME_MAX_BYTES = 100, SERIES = 3 };

struct input {
	const uint8_t *at;
	size_t n;
};

static uint64_t take(struct input *input, size_t bytes)
{
	uint64_t value = 0;

	bytes = bytes < input->n ? bytes : input->n;
	memcpy(&value, input->at, bytes);
	input->at += bytes;
	input->n -= bytes;
	return value;
}

static void take_name(struct input *input, char *ret_name)
{
	size_t n = take(input, 1) % NAME_MAX_BYTES;

	n = n < input->n ? n : input->n;
	memcpy(ret_name, input->at, n);
	ret_name[n] = 0;
	input->at += n;
	input->n -= n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const GMarkupParser parser = { 0 };
	struct input input = { data, size };
	char name[NAMES][NAME_MAX_BYTES];
	struct plot_series series[SERIES] = { 0 };
	CLEANUP_BUF struct buf out = BUF_INIT;

	if (!size)
		return 0;
	for (unsigned i = 0; i < NAMES; i++)
		take_name(&input, name[i]);
	uint8_t shape = (uint8_t)take(&input, 1);
	struct plot_panel panel[] = { { name[3], series, 2, shape & 1 },
		{ name[4], &series[2], 1, shape & 2 } };
	struct plot plot = { name[0], name[1], (int64_t)take(&input, 8), 0, (unsigned)take(&input, 4), panel,
		2 };
	plot.to_s = shape & 4 ? (int64_t)take(&input, 8) : (int64_t)((uint64_t)plot.from_s + take(&input, 4));
	for (unsigned i = 0; i < SERIES; i++) {
		series[i].name = name[2];
		series[i].unit = (shape >> 3) % 3;
		series[i].kind = i == 2 ? METRIC_COUNTER : METRIC_GAUGE;
		series[i].limit = i == 1 && shape & 128;
	}
	int64_t time_s = plot.from_s;
	while (input.n) {
		uint64_t value = take(&input, 8), peak = take(&input, 8);
		CHECK(!plot_series_add(&series[value % SERIES], time_s, value, peak));
		time_s =
			shape & 64 ? (int64_t)take(&input, 8) : (int64_t)((uint64_t)time_s + take(&input, 2));
	}
	plot_render(&plot, &out);
	CHECK(!buf_error(&out));
	for (unsigned i = 0; i < SERIES; i++)
		plot_series_deinit(&series[i]);

	GMarkupParseContext *context = g_markup_parse_context_new(&parser, 0, NULL, NULL);
	CHECK(g_markup_parse_context_parse(context, out.data, (gssize)out.len, NULL));
	CHECK(g_markup_parse_context_end_parse(context, NULL));
	g_markup_parse_context_free(context);
	CHECK(!memchr(out.data, 0, out.len));
	return 0;
}
