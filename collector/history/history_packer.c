/* SPDX-License-Identifier: MIT */
#include "collector/history/history_packer.h"
#include "schema/base/array.h"

#include <errno.h>
#include <stdlib.h>

void packer_init(struct packer *packer)
{
	*packer = (struct packer) { 0 };
}

void packer_deinit(struct packer *packer)
{
	buf_deinit(&packer->bytes);
	free(packer->tick);
	packer_init(packer);
}

int packer_add(struct packer *packer, unsigned second, const void *bytes, size_t len)
{
	struct packer_tick *tick = array_push(&packer->tick, &packer->n, &packer->cap);

	if (!tick)
		return -ENOMEM;
	*tick = (struct packer_tick) { packer->bytes.len, len, second };
	buf_put(&packer->bytes, bytes, len);
	return buf_error(&packer->bytes);
}

void packer_ready(struct packer *packer, size_t *ret_bad)
{
	size_t good = 0, all = packer->n;

	for (size_t i = 0; i < all; i++) {
		struct packer_tick *tick = &packer->tick[i];

		if (!tick->len ||
			!pack_tick_open(&tick->cursor, packer->bytes.data + tick->offset, tick->len))
			continue;
		tick->step = pack_tick_next(&tick->cursor, &tick->change);
		packer->tick[good++] = *tick;
	}
	packer->n = good;
	*ret_bad = all - good;
}

bool packer_next(struct packer *packer, unsigned node_columns, unsigned process_columns, int64_t *ret_subject,
	struct pack_minute *ret_minute, bool *ret_alive)
{
	struct pack_follow follow = { .subject = INT64_MAX };

	for (size_t i = 0; i < packer->n; i++) {
		const struct packer_tick *tick = &packer->tick[i];

		if (tick->step == PACK_ENTRY && tick->change.subject < follow.subject)
			follow.subject = tick->change.subject;
	}
	if (follow.subject == INT64_MAX)
		return false;
	pack_minute_init(ret_minute, follow.subject ? process_columns : node_columns);
	for (size_t i = 0; i < packer->n; i++) {
		struct packer_tick *tick = &packer->tick[i];

		if (tick->cursor.key)
			pack_follow_key(&follow);
		if (tick->step == PACK_ENTRY && tick->change.subject == follow.subject) {
			/* What cannot be read says nothing: the subject is unknown until the next key tick.
			 */
			if (!pack_follow_apply(&follow, &tick->change))
				pack_follow_key(&follow);
			tick->step = pack_tick_next(&tick->cursor, &tick->change);
		}
		if (follow.alive)
			pack_minute_set(ret_minute, tick->second, follow.present, follow.value);
	}
	*ret_subject = follow.subject;
	*ret_alive = follow.alive;
	return true;
}
