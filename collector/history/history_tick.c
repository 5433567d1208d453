/* SPDX-License-Identifier: MIT */
#include "collector/history/history_tick.h"

#include <stdlib.h>
#include <string.h>

struct history_tick *history_tick_new(size_t n)
{
	struct history_tick *tick;
	size_t bytes;

	if (__builtin_mul_overflow(n, sizeof(tick->entry[0]), &bytes) ||
		__builtin_add_overflow(bytes, sizeof(*tick), &bytes))
		return NULL;
	tick = calloc(1, bytes);
	if (tick)
		tick->n = n;
	return tick;
}

void history_tick_free(struct history_tick *tick)
{
	if (tick)
		history_events_deinit(&tick->events);
	free(tick);
}

/* By identity, so that an earlier user of a pid comes before a later one; then by age. */
static int by_identity(const void *a, const void *b)
{
	const struct history_entry *x = *(const struct history_entry *const *)a;
	const struct history_entry *y = *(const struct history_entry *const *)b;

	if (x->pid != y->pid)
		return x->pid < y->pid ? -1 : 1;
	if (x->start_ticks != y->start_ticks)
		return x->start_ticks < y->start_ticks ? -1 : 1;
	return 0;
}

static void fold(struct history_entry *into, const struct history_entry *later)
{
	struct history_entry folded = *later;

	folded.born |= into->born;
	folded.renamed |= into->renamed;
	*into = folded;
}

struct history_tick *history_tick_merge(struct history_tick *first, struct history_tick *second)
{
	size_t n = first->n + second->n, out = 0;
	struct history_tick *merged = history_tick_new(n);
	/* first's in the lower half and second's in the upper: qsort of glibc 2.36 is a stable merge, others
	 * need not be, so the halves are sorted apart and merged here. */
	const struct history_entry **order = calloc(n + 1, sizeof(const struct history_entry *));

	if (merged && order) {
		const struct history_entry **a = order, **b = order + first->n;
		const struct history_entry **a_end = b, **b_end = order + n;

		for (size_t i = 0; i < first->n; i++)
			a[i] = &first->entry[i];
		for (size_t i = 0; i < second->n; i++)
			b[i] = &second->entry[i];
		qsort(a, first->n, sizeof(*a), by_identity);
		qsort(b, second->n, sizeof(*b), by_identity);
		while (a < a_end || b < b_end) {
			bool earlier = b == b_end || (a < a_end && by_identity(a, b) <= 0);
			const struct history_entry *entry = earlier ? *a++ : *b++;

			if (out && !by_identity(&(const struct history_entry *) { &merged->entry[out - 1] },
					   &entry))
				fold(&merged->entry[out - 1], entry);
			else
				merged->entry[out++] = *entry;
		}
		merged->n = out;
		merged->time_ns = second->time_ns;
		merged->system = second->system;
		history_events_move(&merged->events, &first->events);
		history_events_move(&merged->events, &second->events);
	} else {
		free(merged);
		merged = NULL;
	}
	free(order);
	history_tick_free(first);
	history_tick_free(second);
	return merged;
}
