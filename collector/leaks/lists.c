/* SPDX-License-Identifier: MIT */
#include "collector/leaks/lists.h"

#include <stdlib.h>

#include "collector/symbols/suppress.h"

struct lists *lists_new(const struct note_text *skip, const struct note_text *suppress, uint64_t edition)
{
	struct lists *lists = calloc(1, sizeof(*lists));
	size_t n = 0;
	int r;

	if (!lists)
		return NULL;
	lists->references = 1;
	lists->edition = edition;
	lists->skip_text = *skip;
	lists->suppress_text = *suppress;

	struct span rest = { lists->skip_text.text, lists->skip_text.len };
	while (n < NOTE_LINES_MAX && (r = skip_next(&rest, &lists->pattern[n], NULL)))
		n += r > 0;
	lists->skip[0] = skip_builtin;
	lists->skip[1] = (struct skip_list) { lists->pattern, n };

	rest = (struct span) { lists->suppress_text.text, lists->suppress_text.len };
	n = 0;
	while (n < NOTE_LINES_MAX && (r = suppress_next(&rest, &lists->suppressed[n], NULL)))
		n += r > 0;
	lists->n_suppressed = n;
	return lists;
}

struct lists *lists_ref(struct lists *lists)
{
	lists->references++;
	return lists;
}

void lists_unref(struct lists *lists)
{
	if (lists && !--lists->references)
		free(lists);
}

bool lists_suppress_name(const struct lists *lists, const char *name)
{
	for (size_t i = 0; name && i < lists->n_suppressed; i++)
		if (suppress_matches(lists->suppressed[i], name))
			return true;
	return false;
}

bool lists_suppress(const struct lists *lists, const struct symbol *symbol, const char *module)
{
	if (lists_suppress_name(lists, module))
		return true;
	for (unsigned i = 0; symbol && i < symbol->n; i++)
		if (lists_suppress_name(lists, symbol->frame[i].function) ||
			lists_suppress_name(lists, symbol->frame[i].file))
			return true;
	return false;
}

size_t lists_choose(const struct lists *lists, const struct skip_frame *frame, size_t n, bool *ret_wrapper)
{
	return skip_choose(lists->skip, 2, frame, n, ret_wrapper);
}
