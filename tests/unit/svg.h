/* SPDX-License-Identifier: MIT */
/* A picture read as a reader of XML reads it, and counted. Include cmocka.h before. */
#pragma once

#include <glib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schema/base/buf.h"

static inline void assert_well_formed(const struct buf *out)
{
	static const GMarkupParser parser = { 0 };
	GMarkupParseContext *context = g_markup_parse_context_new(&parser, 0, NULL, NULL);
	GError *error = NULL;
	bool fine = g_markup_parse_context_parse(context, out->data, (gssize)out->len, &error) &&
		    g_markup_parse_context_end_parse(context, &error);

	if (!fine)
		fail_msg("%s", error->message);
	g_markup_parse_context_free(context);
}

static inline unsigned count(const struct buf *out, const char *text)
{
	unsigned n = 0;

	for (const char *at = out->data, *end = at + out->len;
		(at = memmem(at, (size_t)(end - at), text, strlen(text))); at += strlen(text))
		n++;
	return n;
}

static inline void assert_count(const struct buf *out, const char *text, unsigned wanted)
{
	unsigned n = count(out, text);
	if (n != wanted)
		fail_msg("%u times `%s`, not %u, in: %.*s", n, text, wanted, (int)out->len, out->data);
}

/* The picture is the file's, or with MEMFS_GOLDEN_UPDATE=1 the file becomes the picture. */
static inline void assert_golden(const struct buf *out, const char *path)
{
	char golden[16384];
	bool update = getenv("MEMFS_GOLDEN_UPDATE");
	FILE *file = fopen(path, update ? "w" : "r");

	assert_non_null(file);
	if (update) {
		assert_int_equal(fwrite(out->data, 1, out->len, file), out->len);
	} else {
		assert_int_equal(fread(golden, 1, sizeof(golden), file), out->len);
		assert_memory_equal(golden, out->data, out->len);
	}
	assert_int_equal(fclose(file), 0);
}
