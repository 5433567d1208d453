/* SPDX-License-Identifier: MIT */
#include "collector/leaks/stacks.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/symbols/folded.h"
#include "schema/base/cleanup.h"
#include "schema/base/clock.h"

enum {
	AT_ONCE = 16, /* copies that are held and unwound together */
	SPARE = 1024, /* stacks of blocks that are gone */
};

/* --- paths --- */

static size_t path_bytes(const struct stack_path *path)
{
	return sizeof(*path) + path->n * sizeof(*path->call) + strlen(path->folded) + 1;
}

static guint hash_path(gconstpointer it)
{
	const struct stack_path *path = it;
	uint64_t hash = path->n;

	/* Multiplicative, after Knuth, The Art of Computer Programming, 6.4; the factor is 2^64 divided by
	 * the golden ratio. */
	for (unsigned i = 0; i < path->n; i++)
		hash = (hash ^ path->call[i].caller) * UINT64_C(0x9e3779b97f4a7c15);
	return (guint)(hash >> 32);
}

static bool is_same_module(const struct module *left, const struct module *right)
{
	return left == right || (left && right && left->id.n == right->id.n &&
					!memcmp(left->id.bytes, right->id.bytes, left->id.n));
}

/* An address may be another module's by now, or have a name that it had not. */
static gboolean is_same_path(gconstpointer a, gconstpointer b)
{
	const struct stack_path *left = a, *right = b;

	if (left->n != right->n)
		return false;
	for (unsigned i = 0; i < left->n; i++)
		if (left->call[i].caller != right->call[i].caller ||
			!is_same_module(left->call[i].module, right->call[i].module) ||
			left->call[i].symbol != right->call[i].symbol)
			return false;
	return true;
}

static void free_path(struct stack_path *path)
{
	for (unsigned i = 0; path && i < path->n; i++) {
		module_unref(path->call[i].module);
		symbol_unref(path->call[i].symbol);
	}
	if (path)
		free(path->folded);
	free(path);
}

/* The same path where it is known, for which `made` is freed; NULL where there is no room for another. */
static struct stack_path *keep_path(struct stacks *stacks, struct stack_path *made)
{
	struct stack_path *path = g_hash_table_lookup(stacks->path, made);

	if (path) {
		free_path(made);
	} else if (stacks->bytes + path_bytes(made) > STACKS_BYTES) {
		free_path(made);
		return NULL;
	} else {
		path = made;
		stacks->bytes += path_bytes(path);
		g_hash_table_add(stacks->path, path);
	}
	path->users++;
	return path;
}

static void release_path(struct stacks *stacks, struct stack_path *path)
{
	if (--path->users)
		return;
	stacks->bytes -= path_bytes(path);
	g_hash_table_remove(stacks->path, path);
	free_path(path);
}

/* --- notes --- */

void stacks_init(struct stacks *stacks)
{
	*stacks = (struct stacks) { .note = g_hash_table_new_full(NULL, NULL, NULL, free),
		.path = g_hash_table_new(hash_path, is_same_path) };
}

void stacks_deinit(struct stacks *stacks)
{
	GHashTableIter iter;
	void *path;

	g_hash_table_destroy(stacks->note);
	g_hash_table_iter_init(&iter, stacks->path);
	while (g_hash_table_iter_next(&iter, &path, NULL))
		free_path(path);
	g_hash_table_destroy(stacks->path);
}

struct stack_note *stacks_find(const struct stacks *stacks, uint32_t sample, uint64_t number)
{
	struct stack_note *note = g_hash_table_lookup(stacks->note, GUINT_TO_POINTER(sample));

	return note && note->number == number ? note : NULL;
}

bool stacks_note(struct stacks *stacks, uint32_t sample, uint64_t number, struct stack_path *path)
{
	struct stack_note *note = g_hash_table_lookup(stacks->note, GUINT_TO_POINTER(sample));

	if (note)
		release_path(stacks, note->path);
	struct stack_path *kept = keep_path(stacks, path);
	if (!kept) {
		g_hash_table_remove(stacks->note, GUINT_TO_POINTER(sample));
		return false;
	}
	if (!note) {
		note = g_new(struct stack_note, 1);
		g_hash_table_insert(stacks->note, GUINT_TO_POINTER(sample), note);
	}
	*note = (struct stack_note) { .number = number, .path = kept };
	return true;
}

void stacks_tidy(struct stacks *stacks, const struct tally *tally)
{
	CLEANUP_FREE uint64_t *number = NULL;
	GHashTableIter iter;
	void *sample, *value;

	if (g_hash_table_size(stacks->note) <= 2 * tally->n_samples + SPARE &&
		stacks->bytes < STACKS_BYTES / 2)
		return;
	number = calloc(SHADOW_SAMPLES, sizeof(*number));
	for (size_t i = 0; number && i < tally->n_samples; i++)
		number[tally->sample[i].sample] = tally->sample[i].number;
	g_hash_table_iter_init(&iter, stacks->note);
	while (number && g_hash_table_iter_next(&iter, &sample, &value)) {
		const struct stack_note *note = value;
		if (number[GPOINTER_TO_UINT(sample)] == note->number)
			continue;
		release_path(stacks, note->path);
		g_hash_table_iter_remove(&iter);
	}
}

/* --- the ring --- */

/* Takes one out of the ring; false where there is none at the place, or it changed meanwhile. */
static bool take_copy(
	int fd, const struct stacks *stacks, unsigned place, bool drives, struct shadow_stack *ret)
{
	const off_t at = (off_t)(SHADOW_STACKS_AT + place * sizeof(*ret));
	uint64_t number, nothing = 0;

	if (pread(fd, &number, sizeof(number), at) != sizeof(number) || number < 2 ||
		pread(fd, ret, sizeof(*ret), at) != sizeof(*ret) || ret->number != number)
		return false;
	bool fits = ret->sample < SHADOW_SAMPLES && ret->len <= sizeof(ret->bytes);
	if (!drives)
		return fits && !stacks_find(stacks, ret->sample, ret->number);
	/* It is the shim's again. */
	return pwrite(fd, &nothing, sizeof(nothing), at) == sizeof(nothing) && fits;
}

static void put_place(struct buf *out, const struct module_place *place, const struct symbol *symbol)
{
	const char *module = place->module ? place->module->name : NULL;

	for (unsigned i = symbol ? symbol->n : 0; i--;)
		folded_put_frame(out, symbol->frame[i].function, !out->len);
	if (symbol && symbol->n)
		return;
	CLEANUP_BUF struct buf name = BUF_INIT;
	buf_printf(&name, "%s+0x%llx", module ? module : "", (unsigned long long)place->address);
	buf_putc(&name, '\0');
	if (!buf_error(&name))
		folded_put_frame(out, name.data, !out->len);
}

/* From the file's own addresses to those of the process. */
static uint64_t bias_of(const struct module_table *table, const struct module *module)
{
	for (size_t i = 0; module && i < table->n; i++)
		if (table->segment[i].module == module)
			return table->segment[i].bias;
	return 0;
}

static struct stack_call make_call(
	const struct module_table *table, const struct module_place *place, struct symbol *symbol)
{
	/* The place is the last byte of the call. */
	return (struct stack_call) {
		.caller = place->address + 1 + bias_of(table, place->module),
		.offset = place->address + 1,
		.module = place->module ? module_ref(place->module) : NULL,
		.symbol = symbol,
	};
}

static struct stack_path *make_path(const struct namer *namer, const struct module_table *table,
	const struct stack *stack, int64_t until_ns)
{
	struct symbol *symbol[STACK_FRAMES_MAX] = { NULL };
	CLEANUP_BUF struct buf folded = BUF_INIT;
	struct stack_path *path = stack->n ? calloc(1, sizeof(*path) + stack->n * sizeof(*path->call)) : NULL;
	unsigned first = 0;

	if (!path)
		return NULL;
	/* How the shim came to copy it is nobody's leak. */
	while (first < stack->n - 1 && stack->place[first].module &&
		!strcmp(stack->place[first].module->name, SHADOW_LIBRARY))
		first++;
	symbols_resolve(namer->symbols, stack->place + first, stack->n - first, until_ns, symbol + first);
	for (unsigned i = first; i < stack->n; i++)
		path->call[path->n++] = make_call(table, &stack->place[i], symbol[i]);
	for (unsigned i = stack->n; i-- > first;)
		put_place(&folded, &stack->place[i], symbol[i]);
	buf_putc(&folded, '\0');
	path->folded = buf_error(&folded) ? NULL : strdup(folded.data);
	if (!path->folded) {
		free_path(path);
		return NULL;
	}
	return path;
}

static void unwind(struct stacks *stacks, const struct namer *namer, const struct module_table *table,
	const struct shadow_stack *copy, size_t n, bool drives)
{
	const int64_t until_ns = clock_monotonic_ns() + NAMER_PATIENCE_MS * INT64_C(1000000);
	CLEANUP_FREE struct stack *stack = calloc(AT_ONCE, sizeof(*stack));
	struct stack_copy given[AT_ONCE];

	if (!stack)
		return;
	for (size_t i = 0; i < n; i++) {
		given[i] = (struct stack_copy) { .bytes = copy[i].bytes, .n = copy[i].len };
		memcpy(given[i].registers, copy[i].registers, sizeof(given[i].registers));
	}
	symbols_unwind(namer->symbols, table, given, n, until_ns, stack);
	for (size_t i = 0; i < n; i++) {
		struct stack_path *path = make_path(namer, table, &stack[i], until_ns);
		bool noted = path && stacks_note(stacks, copy[i].sample, copy[i].number, path);
		/* Who only looks meets the same ones again. */
		stacks->lost += !noted && drives;
	}
}

void stacks_drain(int fd, struct stacks *stacks, const struct namer *namer,
	const struct namer_process *process, bool drives, struct module_table *table)
{
	CLEANUP_FREE struct shadow_stack *copy = NULL;
	size_t n = 0;

	if (!namer->symbols || lseek(fd, SHADOW_STACKS_AT, SEEK_DATA) >= (off_t)SHADOW_SAMPLES_AT)
		return;
	copy = malloc(AT_ONCE * sizeof(*copy));
	for (unsigned place = 0; copy && place < SHADOW_STACKS; place++) {
		n += take_copy(fd, stacks, place, drives, &copy[n]);
		if (n && (n == AT_ONCE || place == SHADOW_STACKS - 1)) {
			namer_read_modules(namer, process, table, copy[0].registers[NAMER_PC]);
			unwind(stacks, namer, table, copy, n, drives);
			n = 0;
		}
	}
}
