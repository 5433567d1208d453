/* SPDX-License-Identifier: MIT */
/* A flame graph of any bytes is one well-formed document of bounded size. */
#include <glib.h>
#include <string.h>

#include "fs/plot/plot_flame.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const GMarkupParser parser = { 0 };
	CLEANUP_BUF struct buf out = BUF_INIT;
	char name[64];

	size_t n = size < sizeof(name) - 1 ? size : sizeof(name) - 1;
	memcpy(name, data, n);
	name[n] = 0;
	const struct plot_flame flame = { name, name, (const char *)data, size };
	plot_flame_render(&flame, &out);
	CHECK(!buf_error(&out) && !memchr(out.data, 0, out.len));

	GMarkupParseContext *context = g_markup_parse_context_new(&parser, 0, NULL, NULL);
	CHECK(g_markup_parse_context_parse(context, out.data, (gssize)out.len, NULL));
	CHECK(g_markup_parse_context_end_parse(context, NULL));
	g_markup_parse_context_free(context);
	return 0;
}
