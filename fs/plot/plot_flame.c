/* SPDX-License-Identifier: MIT */
#include "fs/plot/plot_flame.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fs/plot/plot_scale.h"
#include "fs/plot/plot_text.h"
#include "schema/base/array.h"
#include "schema/base/cleanup.h"
#include "schema/base/kv.h"
#include "schema/base/num.h"

/* Pixels. A letter is as wide as those of common fixed fonts at this size. */
enum {
	WIDTH = 1200,
	MARGIN = 16,
	HEADER = 64,
	FOOTER = 16,
	ROW = 18,
	LETTER_TENTHS = 73,
	TEXT_CHARS_MIN = 3,
	TITLE_CHARS = 90,
	SUBTITLE_CHARS = 100,
	NAME_BYTES = 1024,
};

/* Letters are dark on every colour that put_colour makes, 4.5:1 and more. */
static const char style[] =
	"<style>"
	".memfs-flame{font-family:Helvetica,Arial,'Liberation Sans','DejaVu Sans',sans-serif;font-size:12px;fill:#1f2328}"
	".memfs-flame .paper{fill:#fff}"
	".memfs-flame .title{font-size:18px;font-weight:bold}"
	".memfs-flame .soft{fill:#59636e}"
	".memfs-flame rect{stroke:#fff;stroke-width:.6}"
	".memfs-flame .f text{fill:#1f2328;font-family:'DejaVu Sans Mono','Liberation Mono',Menlo,Consolas,monospace}"
	".memfs-flame .f:hover rect{stroke:#1f2328;stroke-width:1.5}"
	"@media screen and (prefers-color-scheme:dark){"
	".memfs-flame{fill:#e6e9ec}"
	".memfs-flame .paper{fill:#16191d}"
	".memfs-flame .soft{fill:#9da7b1}"
	".memfs-flame rect{stroke:#16191d}"
	".memfs-flame .f:hover rect{stroke:#e6e9ec}"
	"}</style>";

struct line {
	struct span stack;
	uint64_t bytes;
};

/* A frame that has begun and not ended. */
struct begun {
	struct span name;
	uint64_t from_bytes;
};

struct figure {
	struct buf *out;
	uint64_t total_bytes;
	unsigned depth_max;
	struct begun begun[PLOT_FLAME_DEPTH];
	unsigned depth;
};

static bool parse_line(struct span text, struct line *ret)
{
	size_t number = text.n; /* where it begins */

	while (number && text.p[number - 1] != ' ')
		number--;
	if (number < 2 || !num_parse_whole(text.p + number, text.n - number, &ret->bytes) || !ret->bytes)
		return false;
	ret->stack = (struct span) { text.p, number - 1 };
	return true;
}

/* So that stacks which begin the same stand together: the end of a frame comes before any letter. */
static int compare(const void *a, const void *b)
{
	const struct span *x = &((const struct line *)a)->stack, *y = &((const struct line *)b)->stack;
	size_t n = x->n < y->n ? x->n : y->n;

	for (size_t i = 0; i < n; i++) {
		int left = x->p[i] == ';' ? -1 : (unsigned char)x->p[i];
		int right = y->p[i] == ';' ? -1 : (unsigned char)y->p[i];
		if (left != right)
			return left - right;
	}
	return x->n < y->n ? -1 : x->n > y->n;
}

/* The next frame of a stack, which may be empty. False where there is none. */
static bool next_frame(struct span *rest, bool *first, struct span *ret)
{
	if (*first) {
		*first = false;
	} else {
		if (!rest->n)
			return false;
		rest->p++;
		rest->n--;
	}
	const char *end = memchr(rest->p, ';', rest->n);
	*ret = (struct span) { rest->p, end ? (size_t)(end - rest->p) : rest->n };
	rest->p += ret->n;
	rest->n -= ret->n;
	return true;
}

static unsigned depth_of(struct span stack)
{
	unsigned depth = 1;

	for (size_t i = 0; i < stack.n && depth < PLOT_FLAME_DEPTH; i++)
		depth += stack.p[i] == ';';
	return depth;
}

/* --- drawing --- */

/* A pale warm colour by the name alone (FNV-1a). */
static void put_colour(struct buf *out, struct span name)
{
	uint32_t hash = 0x811c9dc5;

	for (size_t i = 0; i < name.n; i++)
		hash = (hash ^ (unsigned char)name.p[i]) * 0x01000193;
	hash ^= hash >> 15;
	buf_printf(out, "#%02x%02x%02x", 222 + (hash & 0xff) % 34, 128 + (hash >> 8 & 0xff) % 90,
		48 + (hash >> 16 & 0xff) % 64);
}

/* Tenths of a pixel from the left edge of the graph. */
static unsigned tenths_of(const struct figure *figure, uint64_t bytes)
{
	return (unsigned)((double)bytes / (double)figure->total_bytes * (WIDTH - 2 * MARGIN) * 10 + .5);
}

static void put_tenths(struct buf *out, const char *attribute, unsigned tenths)
{
	buf_printf(out, " %s=\"%u.%u\"", attribute, tenths / 10, tenths % 10);
}

static void put_share(const struct figure *figure, uint64_t bytes)
{
	plot_value_put(figure->out, METRIC_BYTES, METRIC_GAUGE, (double)bytes);
	buf_puts(figure->out, ", ");
	plot_value_put(figure->out, METRIC_PERCENT, METRIC_GAUGE,
		(double)bytes / (double)figure->total_bytes * 10000);
}

static void put_frame(
	struct figure *figure, struct span name, unsigned depth, uint64_t from_bytes, uint64_t to_bytes)
{
	unsigned left = tenths_of(figure, from_bytes), width = tenths_of(figure, to_bytes) - left;
	unsigned y = HEADER + (figure->depth_max - depth) * ROW;
	struct buf *out = figure->out;
	char text[NAME_BYTES];

	if (width < 5)
		return;
	size_t n = name.n < sizeof(text) - 1 ? name.n : sizeof(text) - 1;
	memcpy(text, name.p, n);
	text[n] = 0;
	buf_puts(out, "\n<g class=\"f\"><title>");
	plot_text_put(out, *text ? text : "-", NAME_BYTES);
	buf_puts(out, " (");
	put_share(figure, to_bytes - from_bytes);
	buf_puts(out, ")</title><rect");
	put_tenths(out, "x", MARGIN * 10 + left);
	buf_printf(out, " y=\"%u\"", y);
	put_tenths(out, "width", width);
	buf_printf(out, " height=\"%d\" rx=\"1\" fill=\"", ROW - 1);
	put_colour(out, name);
	buf_puts(out, "\"/>");
	unsigned chars = width > 60 ? (width - 60) / LETTER_TENTHS : 0;
	if (chars >= TEXT_CHARS_MIN) {
		buf_puts(out, "<text");
		put_tenths(out, "x", MARGIN * 10 + left + 30);
		buf_printf(out, " y=\"%u\">", y + 13);
		plot_text_put(out, text, chars);
		buf_puts(out, "</text>");
	}
	buf_puts(out, "</g>");
}

/* Ends frames until `depth` of them are left. */
static void end_frames(struct figure *figure, unsigned depth, uint64_t at_bytes)
{
	while (figure->depth > depth) {
		struct begun *begun = &figure->begun[--figure->depth];
		put_frame(figure, begun->name, figure->depth + 1, begun->from_bytes, at_bytes);
	}
}

static void put_stack(struct figure *figure, struct span stack, uint64_t at_bytes)
{
	struct span rest = stack, name;
	unsigned depth = 0;
	bool first = true;

	while (depth < PLOT_FLAME_DEPTH && next_frame(&rest, &first, &name)) {
		const struct span *open = &figure->begun[depth].name;
		if (depth < figure->depth && (open->n != name.n || memcmp(open->p, name.p, name.n)))
			end_frames(figure, depth, at_bytes);
		if (depth == figure->depth)
			figure->begun[figure->depth++] = (struct begun) { name, at_bytes };
		depth++;
	}
	end_frames(figure, depth, at_bytes);
}

static void put_head(const struct figure *figure, const struct plot_flame *flame, unsigned height)
{
	struct buf *out = figure->out;

	buf_printf(out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"memfs-flame\" role=\"img\" width=\"%d\" "
		"height=\"%u\" viewBox=\"0 0 %d %u\">\n<title>",
		WIDTH, height, WIDTH, height);
	plot_text_put(out, flame->title, SIZE_MAX);
	buf_printf(out, "</title>\n%s\n<rect class=\"paper\" width=\"%d\" height=\"%u\"/>", style, WIDTH,
		height);
	buf_printf(out, "\n<text class=\"title\" x=\"%d\" y=\"30\">", MARGIN);
	plot_text_put(out, flame->title, TITLE_CHARS);
	buf_printf(out, "</text>\n<text class=\"soft\" x=\"%d\" y=\"49\">", MARGIN);
	plot_text_put(out, flame->subtitle, SUBTITLE_CHARS);
	if (*flame->subtitle)
		buf_puts(out, ", ");
	if (figure->total_bytes)
		plot_value_put(out, METRIC_BYTES, METRIC_GAUGE, (double)figure->total_bytes);
	else
		buf_puts(out, "nothing is there");
	buf_puts(out, "</text>");
}

void plot_flame_render(const struct plot_flame *flame, struct buf *out)
{
	struct figure figure = { .out = out };
	struct span rest = { flame->folded, flame->len }, text;
	CLEANUP_FREE struct line *lines = NULL;
	size_t n = 0, cap = 0;
	uint64_t at_bytes = 0;
	struct line line;

	while (span_line(&rest, &text)) {
		/* A sum beyond 64 bits is no memory. */
		if (!parse_line(text, &line) || line.bytes > UINT64_MAX - figure.total_bytes)
			continue;
		struct line *place = array_push(&lines, &n, &cap);
		if (!place) {
			out->failed = true;
			return;
		}
		*place = line;
		figure.total_bytes += line.bytes;
		unsigned depth = depth_of(line.stack);
		figure.depth_max = depth > figure.depth_max ? depth : figure.depth_max;
	}
	if (n)
		qsort(lines, n, sizeof(*lines), compare);
	put_head(&figure, flame, HEADER + (figure.depth_max + 1) * ROW + FOOTER);
	for (size_t i = 0; i < n; i++) {
		put_stack(&figure, lines[i].stack, at_bytes);
		at_bytes += lines[i].bytes;
	}
	end_frames(&figure, 0, at_bytes);
	if (n)
		put_frame(&figure, (struct span) { "all", 3 }, 0, 0, at_bytes);
	buf_puts(out, "\n</svg>\n");
}
