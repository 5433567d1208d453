/* SPDX-License-Identifier: MIT */
#include "collector/history/history_chain.h"
#include "schema/base/array.h"

#include <stdlib.h>
#include <string.h>

void chain_init(struct chain *chain, enum level level)
{
	struct level_columns columns;

	level_columns_init(&columns, &process_metrics);
	*chain = (struct chain) { .level = level, .counters = columns.counters };
}

void chain_deinit(struct chain *chain)
{
	free(chain->before);
	free(chain->now);
	chain_init(chain, chain->level);
}

void chain_break(struct chain *chain)
{
	chain->whole = false;
}

void chain_begin(struct chain *chain, int64_t unit, unsigned samples, bool key)
{
	int64_t period = level_key_period[chain->level];

	chain->key = key || !chain->whole || unit != chain->last + 1 || unit % period == 0;
	chain->since = chain->key ? unit : chain->since;
	chain->unit = unit;
	chain->samples = samples;
	chain->at = chain->n_now = 0;
	if (chain->key)
		chain->n_before = 0;
	/* Until it is complete there is nothing that another could build on. */
	chain->whole = false;
}

bool chain_lost(struct chain *chain, int64_t subject, int64_t *ret_subject)
{
	if (chain->at == chain->n_before || chain->before[chain->at].subject >= subject)
		return false;
	*ret_subject = chain->before[chain->at++].subject;
	return true;
}

bool chain_wants(struct chain *chain, int64_t subject, const struct level_row *row)
{
	struct chain_held held = { .subject = subject, .present = row->present };
	const struct chain_held *before = NULL;

	if (chain->at < chain->n_before && chain->before[chain->at].subject == subject)
		before = &chain->before[chain->at++];
	if (!row->samples)
		return before != NULL;
	for (unsigned c = 0; c < LIVE_COLUMNS; c++)
		held.value[c] = row->present >> c & 1 ? row->value[c] : 0;
	held.constant = level_row_is_constant(row, chain->counters);
	if (!row->ended) {
		struct chain_held *now = array_push(&chain->now, &chain->n_now, &chain->cap_now);

		/* Whoever is not held is not missed at its end either: the unit that follows names everyone.
		 */
		if (now)
			*now = held;
		else
			chain->samples = 0;
	}
	return row->ended || !before || !before->constant || !held.constant ||
	       row->samples != chain->samples || before->present != held.present ||
	       memcmp(before->value, held.value, sizeof(held.value)) != 0;
}

void chain_end(struct chain *chain)
{
	struct chain_held *spare = chain->before;
	size_t cap = chain->cap_before;

	chain->before = chain->now;
	chain->cap_before = chain->cap_now;
	chain->n_before = chain->n_now;
	chain->now = spare;
	chain->cap_now = cap;
	chain->n_now = 0;
	chain->last = chain->unit;
	chain->whole = chain->samples != 0;
}
