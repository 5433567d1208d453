/* SPDX-License-Identifier: MIT */
#include "collector/leaks/stack_sites.h"

#include <string.h>
#include <unistd.h>

#include "collector/symbols/noise.h"
#include "schema/base/cleanup.h"

enum { FRAMES_MAX = 256, STACK_UNKNOWN = 1, STACK_KNOWN = 2 };

/* Of blocks that a predecessor knew as somebody's: by whom they were made is not known any more. */
static const struct stack_call nobody;
static const char known_leaks[] = "[known leaks]";

struct stack_sites stack_sites_begin(struct book *book, const struct lists *lists, int fd)
{
	return (struct stack_sites) { book, lists, fd, g_hash_table_new(NULL, NULL) };
}

void stack_sites_end(struct stack_sites *sites)
{
	g_hash_table_destroy(sites->suppressed);
}

bool stack_sites_matter(const struct book *book, const struct table_head *head)
{
	return head->mode == SHADOW_STACK || head->mode == SHADOW_SAMPLE ||
	       g_hash_table_size(book->stacks.note) > 0;
}

/*
 * A place in a file, or where there is none an address: what was unloaded leaves its addresses to others. Two
 * leaks of one caller are told apart where one of them is known.
 */
static void put_key(struct buf *key, const struct stack_call *call, bool suppressed)
{
	const struct module *module = call->module;

	buf_printf(key, "%d %llx ", suppressed, (unsigned long long)(module ? call->offset : call->caller));
	for (unsigned i = 0; module && i < module->id.n; i++)
		buf_printf(key, "%02x", module->id.bytes[i]);
	buf_putc(key, '\0');
}

GHashTable *stack_sites_new(void)
{
	return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
}

/* Its number; 0 where there are too many: one is left for what is known, whoever made it. */
static uint32_t find_or_add(struct book *book, const struct stack_call *call, bool suppressed)
{
	CLEANUP_BUF struct buf key = BUF_INIT;

	put_key(&key, call, suppressed);
	if (buf_error(&key))
		return 0;
	uint32_t number = GPOINTER_TO_UINT(g_hash_table_lookup(book->merged, key.data));
	if (number || g_hash_table_size(book->merged) >= TALLY_MERGED - (call != &nobody))
		return number;
	number = SHADOW_SITES + g_hash_table_size(book->merged);
	g_hash_table_insert(book->merged, g_strdup(key.data), GUINT_TO_POINTER(number));
	return number;
}

/* Many stacks have the same few functions in them. */
static bool is_suppressed_at(
	struct stack_sites *sites, const struct symbol *symbol, const struct module *module)
{
	const void *key = symbol ? (const void *)symbol : (const void *)module;
	int known = key ? GPOINTER_TO_INT(g_hash_table_lookup(sites->suppressed, key)) : STACK_UNKNOWN;

	if (!known) {
		known = lists_suppress(sites->lists, symbol, module ? module->path : NULL) ? STACK_KNOWN
											   : STACK_UNKNOWN;
		g_hash_table_insert(sites->suppressed, (void *)(uintptr_t)key, GINT_TO_POINTER(known));
	}
	return known == STACK_KNOWN;
}

static bool is_suppressed(struct stack_sites *sites, const struct stack_path *path)
{
	for (unsigned i = 0; i < path->n; i++)
		if (is_suppressed_at(sites, path->call[i].symbol, path->call[i].module))
			return true;
	return false;
}

/* The frame to show of a stack, and the call that it is of. That of the runtime's own where the block is kept
 * by it. */
static struct skip_frame choose(const struct lists *lists, const struct stack_path *path, uint64_t size,
	unsigned *ret_call, bool *ret_wrapper)
{
	struct skip_frame frame[FRAMES_MAX];
	unsigned call_of[FRAMES_MAX], n = 0;

	for (unsigned i = 0; i < path->n && n < FRAMES_MAX; i++) {
		const struct symbol *symbol = path->call[i].symbol;
		const char *module = path->call[i].module ? path->call[i].module->name : NULL;
		unsigned of = symbol && symbol->n ? symbol->n : 1;
		for (unsigned k = 0; k < of && n < FRAMES_MAX; k++) {
			const char *function =
				symbol && symbol->n ? namer_plain(symbol->frame[k].function) : NULL;
			call_of[n] = i;
			frame[n++] = (struct skip_frame) { function, module };
		}
	}
	size_t at = lists_choose(lists, frame, n, ret_wrapper);
	/* The innermost, where some wrapper says that the runtime keeps the block, or all are wrappers: who
	 * called the outermost of a stack that is cut is not known. */
	for (size_t i = 0; i < at && !*ret_wrapper; i++)
		*ret_wrapper = noise_of(frame[i].function, frame[i].module, size) != NOISE_NONE;
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

/* Of leaks that are known, but not by whom they were made; 0 where there is none. */
static uint32_t known_site(const struct stack_sites *sites)
{
	uint32_t number = find_or_add(sites->book, &nobody, true);
	struct book_site *site = number ? book_get(sites->book, number) : NULL;

	if (!site)
		return 0;
	site->named = site->name.given = site->name.resolved = site->name.suppressed = true;
	site->name.symbol = known_leaks;
	site->name.edition = sites->lists->edition;
	return number;
}

/* 0: it stays with the region's own site. */
static uint32_t site_of(struct stack_sites *sites, const struct stack_path *path, uint64_t size)
{
	struct book *book = sites->book;
	bool suppressed = is_suppressed(sites, path), wrapper;
	unsigned call;
	struct skip_frame frame = choose(sites->lists, path, size, &call, &wrapper);

	if (!suppressed && call == 0)
		return 0;
	uint32_t number = find_or_add(book, &path->call[call], suppressed);
	struct book_site *site = number ? book_get(book, number) : NULL;
	if (!site)
		return suppressed ? known_site(sites) : 0;
	if (site->name.edition != sites->lists->edition || (frame.function && !site->name.symbol))
		name_site(book, site, &path->call[call], &frame);
	/* That of the newest: its module may have been loaded anew. */
	site->name.caller = path->call[call].caller;
	site->name.suppressed = suppressed;
	site->name.edition = sites->lists->edition;
	return number;
}

/* For who comes after this collector. */
static void keep_verdict(const struct stack_sites *sites, const struct table_block *block, bool suppressed)
{
	uint64_t word = (uint32_t)block->number | (uint64_t)(suppressed ? STACK_KNOWN : STACK_UNKNOWN) << 32;
	off_t at = (off_t)(SHADOW_SAMPLES_AT + block->sample * sizeof(struct shadow_sample) +
			   offsetof(struct shadow_sample, stack));

	if (sites->fd >= 0 && suppressed != (block->verdict == STACK_KNOWN) &&
		pwrite(sites->fd, &word, sizeof(word), at) != sizeof(word)) {
		/* Then it is told of anew. */
	}
}

/* A predecessor's verdict holds as long as there is something to be known by. */
static uint32_t site_by_verdict(const struct stack_sites *sites, const struct table_block *block)
{
	uint32_t known = block->verdict == STACK_KNOWN && sites->lists->n_suppressed ? known_site(sites) : 0;

	return known ? known : block->site;
}

uint32_t stack_sites_of(void *stack_sites, const struct table_block *block)
{
	struct stack_sites *sites = stack_sites;
	struct stack_note *note = block->sample == TABLE_NO_SAMPLE
					  ? NULL
					  : stacks_find(&sites->book->stacks, block->sample, block->number);

	if (!note)
		return block->sample == TABLE_NO_SAMPLE ? block->site : site_by_verdict(sites, block);
	if (note->edition != sites->lists->edition) {
		note->site = site_of(sites, note->path, block->size);
		note->edition = sites->lists->edition;
		const struct book_site *site = note->site ? book_get(sites->book, note->site) : NULL;
		keep_verdict(sites, block, site && site->name.suppressed);
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
