/* SPDX-License-Identifier: MIT */
/* Ticks: the rows of the journal. */
#include "schema/history/pack.h"
#include "schema/history/pack_varint.h"

#include <endian.h>
#include <string.h>

enum {
	TICK_KEY = 1,
	TICK_MARKED = 2,
	TICK_FLAGS = TICK_KEY | TICK_MARKED,
	MARK_ENTRIES = 32, /* from one mark to the next */
	MARK_BYTES = 12,
	MARKS_FOOT = 4,
};

/* Before the entry at `offset` stands one of `subject`. */
struct mark {
	uint32_t offset;
	int64_t subject;
};

static void mark_put(struct buf *out, struct mark mark)
{
	uint32_t offset = htole32(mark.offset);
	uint64_t subject = htole64((uint64_t)mark.subject);

	buf_put(out, &offset, sizeof(offset));
	buf_put(out, &subject, sizeof(subject));
}

static struct mark mark_get(const uint8_t *at)
{
	uint32_t offset;
	uint64_t subject;

	memcpy(&offset, at, sizeof(offset));
	memcpy(&subject, at + sizeof(offset), sizeof(subject));
	return (struct mark) { le32toh(offset), (int64_t)le64toh(subject) };
}

void pack_tick_begin(struct pack_tick *tick, struct buf *out, bool key)
{
	*tick = (struct pack_tick) { .out = out, .begin = out->len, .subject = -1 };
	buf_putc(out, key ? TICK_KEY : 0);
}

/*
 * Each entry has its length in front, so that a reader after one subject passes over the others without
 * looking at their values.
 */
void pack_tick_put(struct pack_tick *tick, const struct pack_entry *entry)
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
	h = varint_put(h, (uint64_t)(entry->subject - tick->subject - 1));
	h = varint_put(h, (uint64_t)(at - body) << 1 | has_present);
	if (tick->n && tick->n % MARK_ENTRIES == 0)
		mark_put(&tick->marks,
			(struct mark) { (uint32_t)(tick->out->len - tick->begin), tick->subject });
	buf_put(tick->out, head, (size_t)(h - head));
	buf_put(tick->out, body, (size_t)(at - body));
	tick->subject = entry->subject;
	tick->n++;
}

/* Marks are a convenience: a tick that has no room for them does without. */
void pack_tick_end(struct pack_tick *tick)
{
	uint32_t n = htole32((uint32_t)(tick->marks.len / MARK_BYTES));

	if (n && !buf_error(&tick->marks) && !buf_error(tick->out) &&
		tick->out->len - tick->begin <= UINT32_MAX) {
		tick->out->data[tick->begin] |= TICK_MARKED;
		buf_put(tick->out, tick->marks.data, tick->marks.len);
		buf_put(tick->out, &n, sizeof(n));
	}
	buf_deinit(&tick->marks);
}

bool pack_tick_open(struct pack_cursor *cursor, const void *bytes, size_t len)
{
	const uint8_t *begin = bytes, *end = len ? begin + len : begin;
	uint32_t n = 0;

	if (!len || *begin & ~TICK_FLAGS)
		return false;
	if (*begin & TICK_MARKED) {
		if (len < 1 + MARKS_FOOT)
			return false;
		end -= MARKS_FOOT;
		memcpy(&n, end, sizeof(n));
		n = le32toh(n);
		if (!n || n > (size_t)(end - begin - 1) / MARK_BYTES)
			return false;
		end -= (size_t)n * MARK_BYTES;
	}
	*cursor = (struct pack_cursor) {
		.begin = begin,
		.at = begin + 1,
		.end = end,
		.mark = end,
		.marks_end = end + (size_t)n * MARK_BYTES,
		.subject = -1,
		.key = *begin & TICK_KEY,
	};
	return true;
}

/* Whether the next mark is not passed over, and tells the truth of the entry that it is about. */
static bool mark_holds(struct pack_cursor *cursor)
{
	size_t offset = (size_t)(cursor->at - cursor->begin);
	struct mark mark = mark_get(cursor->mark);

	if (mark.offset > offset)
		return true;
	cursor->mark += MARK_BYTES;
	return mark.offset == offset && mark.subject >= 0 && mark.subject == cursor->subject &&
	       cursor->at != cursor->end;
}

enum pack_step pack_tick_next(struct pack_cursor *cursor, struct pack_change *ret_change)
{
	const uint8_t *at = cursor->at;
	uint64_t gap, head;

	if (cursor->mark != cursor->marks_end && !mark_holds(cursor))
		return PACK_BAD;
	if (at == cursor->end)
		return cursor->mark == cursor->marks_end ? PACK_END : PACK_BAD;
	if (!varint_get(&at, cursor->end, &gap) ||
		gap >= (uint64_t)INT64_MAX - (uint64_t)(cursor->subject + 1) ||
		!varint_get(&at, cursor->end, &head) || head >> 1 > (uint64_t)(cursor->end - at) || head == 1)
		return PACK_BAD;
	cursor->subject += (int64_t)gap + 1;
	cursor->at = at + (head >> 1);
	*ret_change = (struct pack_change) { cursor->subject, at, head >> 1, head & 1 };
	return PACK_ENTRY;
}

/* Moves a cursor that has not been moved to the last mark before a subject. False where that leads nowhere.
 */
static bool pack_tick_seek(struct pack_cursor *cursor, int64_t subject)
{
	size_t low = 0, high = (size_t)(cursor->marks_end - cursor->mark) / MARK_BYTES;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (mark_get(cursor->mark + middle * MARK_BYTES).subject < subject)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low)
		return true;
	cursor->mark += (low - 1) * MARK_BYTES;
	struct mark mark = mark_get(cursor->mark);
	if (mark.subject < 0 || !mark.offset || mark.offset >= (size_t)(cursor->end - cursor->begin))
		return false;
	cursor->at = cursor->begin + mark.offset;
	cursor->subject = mark.subject;
	return true;
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

	if (!pack_tick_open(&cursor, bytes, len) || !pack_tick_seek(&cursor, follow->subject))
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
