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

static void free_note(void *it)
{
	struct stack_note *note = it;

	for (unsigned i = 0; i < note->n; i++) {
		module_unref(note->call[i].module);
		symbol_unref(note->call[i].symbol);
	}
	free(note->folded);
	free(note);
}

GHashTable *stacks_new(void)
{
	return g_hash_table_new_full(NULL, NULL, NULL, free_note);
}

struct stack_note *stacks_find(GHashTable *stacks, uint32_t sample, uint64_t number)
{
	struct stack_note *note = g_hash_table_lookup(stacks, GUINT_TO_POINTER(sample));

	return note && note->number == number ? note : NULL;
}

static gboolean is_gone(void *sample, void *note, void *number)
{
	return ((const uint64_t *)number)[GPOINTER_TO_UINT(sample)] !=
	       ((const struct stack_note *)note)->number;
}

void stacks_tidy(GHashTable *stacks, const struct tally *tally)
{
	CLEANUP_FREE uint64_t *number = NULL;

	if (g_hash_table_size(stacks) <= 2 * tally->n_samples + SPARE)
		return;
	number = calloc(SHADOW_SAMPLES, sizeof(*number));
	for (size_t i = 0; number && i < tally->n_samples; i++)
		number[tally->sample[i].sample] = tally->sample[i].number;
	if (number)
		g_hash_table_foreach_remove(stacks, is_gone, number);
}

/* Takes one out of the ring; false where there is none at the place, or it changed meanwhile. */
static bool take_copy(int fd, GHashTable *stacks, unsigned place, bool drives, struct shadow_stack *ret)
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

static void note_stack(GHashTable *stacks, const struct namer *namer, const struct module_table *table,
	const struct shadow_stack *copy, const struct stack *stack, int64_t until_ns)
{
	struct symbol *symbol[STACK_FRAMES_MAX] = { NULL };
	CLEANUP_BUF struct buf folded = BUF_INIT;
	struct stack_note *note = stack->n ? calloc(1, sizeof(*note) + stack->n * sizeof(*note->call)) : NULL;
	unsigned first = 0;

	if (!note)
		return;
	/* How the shim came to copy it is nobody's leak. */
	while (first < stack->n - 1 && stack->place[first].module &&
		!strcmp(stack->place[first].module->name, SHADOW_LIBRARY))
		first++;
	symbols_resolve(namer->symbols, stack->place + first, stack->n - first, until_ns, symbol + first);
	for (unsigned i = first; i < stack->n; i++)
		note->call[note->n++] = make_call(table, &stack->place[i], symbol[i]);
	for (unsigned i = stack->n; i-- > first;)
		put_place(&folded, &stack->place[i], symbol[i]);
	buf_putc(&folded, '\0');
	note->number = copy->number;
	note->folded = buf_error(&folded) ? NULL : strdup(folded.data);
	g_hash_table_replace(stacks, GUINT_TO_POINTER(copy->sample), note);
}

static void unwind(GHashTable *stacks, const struct namer *namer, const struct module_table *table,
	const struct shadow_stack *copy, size_t n)
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
	for (size_t i = 0; i < n; i++)
		note_stack(stacks, namer, table, &copy[i], &stack[i], until_ns);
}

void stacks_drain(int fd, GHashTable *stacks, const struct namer *namer, const struct namer_process *process,
	bool drives, struct module_table *table)
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
			unwind(stacks, namer, table, copy, n);
			n = 0;
		}
	}
}
