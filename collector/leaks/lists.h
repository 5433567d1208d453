/* SPDX-License-Identifier: MIT */
/*
 * What people said of places in the code: which functions are wrappers (leaks_skip), and which leaks they
 * know of (leaks_suppress). An edition never changes; whoever uses one, in any thread, has a reference.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

#include "collector/symbols/skip.h"
#include "collector/symbols/symbols.h"
#include "schema/note.h"

struct lists {
	atomic_uint references;
	uint64_t edition;         /* no two have the same; from 1 */
	struct skip_list skip[2]; /* what memfs knows; what the node's people added */
	struct skip_pattern pattern[NOTE_LINES_MAX];
	struct span suppressed[NOTE_LINES_MAX];
	size_t n_suppressed;
	struct note_text skip_text, suppress_text; /* which the patterns point into */
};

/* Lines that make no sense are passed over. NULL: no memory. */
struct lists *lists_new(const struct note_text *skip, const struct note_text *suppress, uint64_t edition);
struct lists *lists_ref(struct lists *lists); /* returns it */
void lists_unref(struct lists *lists);        /* takes NULL */

/* Whether a leak is known by a name that it has, or by a function, source file or module of a place. Any may
 * be NULL. */
bool lists_suppress_name(const struct lists *lists, const char *name);
bool lists_suppress(const struct lists *lists, const struct symbol *symbol, const char *module);

/* Which of frames, innermost first, to show: see skip_choose. */
size_t lists_choose(const struct lists *lists, const struct skip_frame *frame, size_t n, bool *ret_wrapper);
