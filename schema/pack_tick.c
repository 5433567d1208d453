/* SPDX-License-Identifier: MIT */
/* Ticks: the rows of the journal. */
#include "schema/pack.h"
#include "schema/pack_varint.h"

#include <string.h>

enum { TICK_KEY = 1, TICK_FLAGS = TICK_KEY };

void pack_tick_begin(struct buf *out, bool key)
{
	buf_putc(out, key ? TICK_KEY : 0);
}

/*
 * Each entry has its length in front, so that a reader after one subject passes over the others without
 * looking at their values.
 */
void pack_tick_put(struct buf *out, int64_t before_subject, const struct pack_entry *entry)
{
	uint8_t body[(2 + PACK_METRICS_MAX) * VARINT_MAX];
	uint8_t head[2 * VARINT_MAX];
	uint8_t *at = body, *h = head;
	bool has_present = !entry->ended && entry->present != entry->before_present;

	if (!entry->ended) {
		uint64_t difference[PACK_METRICS_MAX], mask = 0;

		for (uint64_t left = entry->present; left; left &= left - 1) {
			unsigned m = (unsigned)__builtin_ctzll(left);
			uint64_t before = entry->before_present >> m & 1 ? entry->before_value[m] : 0;

			difference[m] = entry->value[m] - before;
			if (difference[m])
				mask |= UINT64_C(1) << m;
		}
		if (has_present)
			at = varint_put(at, entry->present);
		at = varint_put(at, mask);
		for (; mask; mask &= mask - 1)
			at = paged_put(at, difference[__builtin_ctzll(mask)]);
	}
	h = varint_put(h, (uint64_t)(entry->subject - before_subject - 1));
	h = varint_put(h, (uint64_t)(at - body) << 1 | has_present);
	buf_put(out, head, (size_t)(h - head));
	buf_put(out, body, (size_t)(at - body));
}

bool pack_tick_open(struct pack_cursor *cursor, const void *bytes, size_t len)
{
	const uint8_t *at = bytes;

	if (!len || *at & ~TICK_FLAGS)
		return false;
	*cursor = (struct pack_cursor) { at + 1, at + len, -1, *at & TICK_KEY };
	return true;
}

enum pack_step pack_tick_next(struct pack_cursor *cursor, struct pack_change *ret_change)
{
	const uint8_t *at = cursor->at;
	uint64_t gap, head;

	if (at == cursor->end)
		return PACK_END;
	if (!varint_get(&at, cursor->end, &gap) ||
		gap >= (uint64_t)INT64_MAX - (uint64_t)(cursor->subject + 1) ||
		!varint_get(&at, cursor->end, &head) || head >> 1 > (uint64_t)(cursor->end - at) || head == 1)
		return PACK_BAD;
	cursor->subject += (int64_t)gap + 1;
	cursor->at = at + (head >> 1);
	*ret_change = (struct pack_change) { cursor->subject, at, head >> 1, head & 1 };
	return PACK_ENTRY;
}

void pack_follow_key(struct pack_follow *follow)
{
	follow->alive = false;
	follow->present = 0;
	memset(follow->value, 0, sizeof(follow->value));
}

bool pack_follow_apply(struct pack_follow *follow, const struct pack_change *change)
{
	const uint8_t *at = change->bytes, *end = at + change->len;
	uint64_t present = follow->present, mask, difference[PACK_METRICS_MAX];

	if (!change->len) {
		pack_follow_key(follow);
		return true;
	}
	if ((change->has_present && !varint_get(&at, end, &present)) || !varint_get(&at, end, &mask) ||
		mask & ~present)
		return false;
	for (uint64_t left = mask; left; left &= left - 1) {
		if (!paged_get(&at, end, &difference[__builtin_ctzll(left)]))
			return false;
	}
	if (at != end)
		return false;
	for (uint64_t gone = follow->present & ~present; gone; gone &= gone - 1)
		follow->value[__builtin_ctzll(gone)] = 0;
	for (; mask; mask &= mask - 1) {
		unsigned m = (unsigned)__builtin_ctzll(mask);
		follow->value[m] += difference[m];
	}
	follow->present = present;
	follow->alive = true;
	return true;
}

bool pack_tick_follow(struct pack_follow *follow, const void *bytes, size_t len)
{
	struct pack_cursor cursor;
	struct pack_change change;
	enum pack_step step;

	if (!pack_tick_open(&cursor, bytes, len))
		return false;
	do {
		step = pack_tick_next(&cursor, &change);
	} while (step == PACK_ENTRY && change.subject < follow->subject);
	if (step == PACK_BAD)
		return false;
	bool named = step == PACK_ENTRY && change.subject == follow->subject;
	if (!cursor.key)
		return !named || pack_follow_apply(follow, &change);
	struct pack_follow anew = { .subject = follow->subject };
	if (named && !pack_follow_apply(&anew, &change))
		return false;
	*follow = anew;
	return true;
}
