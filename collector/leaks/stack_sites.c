/* SPDX-License-Identifier: MIT */
#include "collector/leaks/stack_sites.h"

#include <string.h>

enum { FRAMES_MAX = 256 };

/* Two leaks of one caller are told apart where one of them is known. */
static gint64 key_of(uint64_t caller, bool suppressed)
{
	return (gint64)(caller << 1 | suppressed);
}

GHashTable *stack_sites_new(void)
{
	return g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
}

/* Its number; 0 where there are too many. */
static uint32_t find_or_add(struct book *book, uint64_t caller, bool suppressed)
{
	gint64 key = key_of(caller, suppressed);
	uint32_t number = GPOINTER_TO_UINT(g_hash_table_lookup(book->merged, &key));

	if (number || g_hash_table_size(book->merged) >= TALLY_MERGED)
		return number;
	number = SHADOW_SITES + g_hash_table_size(book->merged);
	gint64 *kept = g_new(gint64, 1);
	*kept = key;
	g_hash_table_insert(book->merged, kept, GUINT_TO_POINTER(number));
	return number;
}

static bool is_suppressed(const struct lists *lists, const struct stack_note *note)
{
	for (unsigned i = 0; i < note->n; i++) {
		const struct stack_call *call = &note->call[i];
		if (lists_suppress(lists, call->symbol, call->module ? call->module->path : NULL))
			return true;
	}
	return false;
}

/* The frame to show of a stack, and the call that it is of. */
static struct skip_frame choose(
	const struct lists *lists, const struct stack_note *note, unsigned *ret_call, bool *ret_wrapper)
{
	struct skip_frame frame[FRAMES_MAX];
	unsigned call_of[FRAMES_MAX], n = 0;

	for (unsigned i = 0; i < note->n && n < FRAMES_MAX; i++) {
		const struct symbol *symbol = note->call[i].symbol;
		const char *module = note->call[i].module ? note->call[i].module->name : NULL;
		unsigned of = symbol && symbol->n ? symbol->n : 1;
		for (unsigned k = 0; k < of && n < FRAMES_MAX; k++) {
			const char *function =
				symbol && symbol->n ? namer_plain(symbol->frame[k].function) : NULL;
			call_of[n] = i;
			frame[n++] = (struct skip_frame) { function, module };
		}
	}
	size_t at = lists_choose(lists, frame, n, ret_wrapper);
	/* Of wrappers alone, the innermost: who called the outermost of a stack that is cut is not known. */
	if (*ret_wrapper)
		at = 0;
	*ret_call = call_of[at];
	return frame[at];
}

static void name_site(struct book *book, struct book_site *site, const struct stack_call *call,
	const struct skip_frame *frame)
{
	struct site_name *name = &site->name;
	const struct module *module = call->module;

	name->caller = call->caller;
	name->symbol = frame->function ? namer_show(book->texts, frame->function, false) : NULL;
	name->function = name->symbol;
	name->module = module ? g_string_chunk_insert_const(book->texts, module->path) : NULL;
	name->module_offset = call->offset;
	if (module && module->id.built && module->id.n <= sizeof(name->build_id)) {
		name->build_id_len = module->id.n;
		memcpy(name->build_id, module->id.bytes, module->id.n);
	}
	site->named = name->resolved = true;
}

/* 0: it stays with the region's own site. */
static uint32_t site_of(struct book *book, const struct lists *lists, const struct stack_note *note)
{
	bool suppressed = is_suppressed(lists, note), wrapper;
	unsigned call;
	struct skip_frame frame = choose(lists, note, &call, &wrapper);

	if (!suppressed && call == 0)
		return 0;
	uint32_t number = find_or_add(book, note->call[call].caller, suppressed);
	struct book_site *site = number ? book_get(book, number) : NULL;
	if (!site)
		return 0;
	if (site->name.edition != lists->edition)
		name_site(book, site, &note->call[call], &frame);
	site->name.suppressed = suppressed;
	site->name.edition = lists->edition;
	return number;
}

uint32_t stack_sites_of(void *stack_sites, const struct table_block *block)
{
	const struct stack_sites *sites = stack_sites;
	struct stack_note *note = block->sample == TABLE_NO_SAMPLE
					  ? NULL
					  : stacks_find(sites->book->stacks, block->sample, block->number);

	if (!note)
		return block->site;
	if (note->edition != sites->lists->edition) {
		note->site = site_of(sites->book, sites->lists, note);
		note->edition = sites->lists->edition;
	}
	return note->site ? note->site : block->site;
}

void stack_sites_callers(struct book *book, uint64_t ret_caller[static TALLY_MERGED])
{
	GHashTableIter iter;
	void *value;

	memset(ret_caller, 0, TALLY_MERGED * sizeof(*ret_caller));
	g_hash_table_iter_init(&iter, book->sites);
	while (g_hash_table_iter_next(&iter, NULL, &value)) {
		const struct book_site *site = value;
		if (site->site >= SHADOW_SITES && site->site < TALLY_SITES)
			ret_caller[site->site - SHADOW_SITES] = site->name.caller;
	}
}
