/* SPDX-License-Identifier: MIT */
/*
 * Stacks drawn as a flame graph, one SVG document like those of plot.h: each frame as wide as the bytes below
 * it, callers beneath whom they call, the same name in the same colour in every picture. Pure.
 */
#pragma once

#include <stddef.h>

#include "schema/base/buf.h"

struct plot_flame {
	const char *title;    /* "server (4711)" */
	const char *subtitle; /* "Memory that may be leaked, by caller"; the sum is put behind it */
	/* Lines `outermost;...;innermost BYTES`, any number of times the same stack. What is no such line, or
	 * has no bytes, is left out; so is what of a stack is deeper than PLOT_FLAME_DEPTH. */
	const char *folded;
	size_t len;
};
enum { PLOT_FLAME_DEPTH = 160 };

/* Appends the document. What fails is in buf_error(out). */
void plot_flame_render(const struct plot_flame *flame, struct buf *out);
