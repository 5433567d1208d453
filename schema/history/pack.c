/* SPDX-License-Identifier: MIT */
/* Packed minutes. */
#include "schema/history/pack.h"
#include "schema/history/pack_varint.h"

static const uint64_t all_seconds = (UINT64_C(1) << PACK_SECONDS) - 1;

static uint64_t all_metrics(unsigned n)
{
	return n >= 64 ? UINT64_MAX : (UINT64_C(1) << n) - 1;
}

void pack_minute_init(struct pack_minute *minute, unsigned n_metrics)
{
	minute->n_metrics = n_metrics;
	minute->seconds = 0;
	for (unsigned m = 0; m < PACK_METRICS_MAX; m++)
		minute->present[m] = 0;
}

void pack_minute_set(struct pack_minute *minute, unsigned s, uint64_t present, const uint64_t *value)
{
	uint64_t bit = UINT64_C(1) << s;

	minute->seconds |= bit;
	for (unsigned m = 0; m < minute->n_metrics; m++) {
		if (present >> m & 1) {
			minute->present[m] |= bit;
			minute->value[m][s] = value[m];
		} else {
			minute->present[m] &= ~bit;
		}
	}
}

void pack_minute_merge(struct pack_minute *minute, const struct pack_minute *other)
{
	uint64_t missing = other->seconds & ~minute->seconds;

	if (minute->n_metrics < other->n_metrics)
		minute->n_metrics = other->n_metrics;
	minute->seconds |= missing;
	for (unsigned m = 0; m < other->n_metrics; m++) {
		uint64_t take = other->present[m] & missing;

		minute->present[m] |= take;
		for (; take; take &= take - 1) {
			unsigned s = (unsigned)__builtin_ctzll(take);
			minute->value[m][s] = other->value[m][s];
		}
	}
}

/* The values of one metric, gathered and turned into differences. */
struct column {
	unsigned n; /* differences: one less than values */
	uint64_t first;
	uint64_t any; /* all differences or-ed: 0 where the column is constant */
	uint64_t difference[PACK_SECONDS];
};

static void column_gather(struct column *column, const uint64_t *value, uint64_t present)
{
	unsigned s = (unsigned)__builtin_ctzll(present);
	uint64_t before = value[s], any = 0;
	unsigned n = 0;

	column->first = before;
	for (present &= present - 1; present; present &= present - 1) {
		s = (unsigned)__builtin_ctzll(present);
		column->difference[n] = value[s] - before;
		any |= column->difference[n++];
		before = value[s];
	}
	column->n = n;
	column->any = any;
}

/* Differences share their low zero bits where they count pages or kilobytes: those are stored once, as a
 * shift. */
static uint8_t *column_put(uint8_t *at, const struct column *column)
{
	unsigned shift = (unsigned)__builtin_ctzll(column->any);

	*at++ = (uint8_t)shift;
	for (unsigned i = 0; i < column->n;) {
		uint64_t difference = column->difference[i++];
		unsigned run = 0;

		if (difference) {
			at = varint_put(at, zigzag((uint64_t)((int64_t)difference >> shift)));
			continue;
		}
		for (; i < column->n && !column->difference[i]; i++)
			run++;
		*at++ = 0;
		*at++ = (uint8_t)run;
	}
	return at;
}

void pack_minute_encode(struct buf *out, const struct pack_minute *minute)
{
	uint64_t absent = 0, partial = 0, varying = 0;
	const size_t column_max = VARINT_MAX + 1 + PACK_SECONDS * VARINT_MAX;
	char *room = buf_reserve(out, 5 * VARINT_MAX + minute->n_metrics * column_max);
	uint8_t *at = (uint8_t *)room;
	struct column column;

	if (!room)
		return;
	for (unsigned m = 0; m < minute->n_metrics; m++) {
		uint64_t present = minute->present[m], bit = UINT64_C(1) << m;

		if (!present) {
			absent |= bit;
			continue;
		}
		if (present != minute->seconds)
			partial |= bit;
		uint64_t first = minute->value[m][__builtin_ctzll(present)];
		for (; present; present &= present - 1) {
			if (minute->value[m][__builtin_ctzll(present)] != first) {
				varying |= bit;
				break;
			}
		}
	}
	at = varint_put(at, minute->n_metrics);
	at = varint_put(at, all_seconds & ~minute->seconds);
	at = varint_put(at, absent);
	at = varint_put(at, partial);
	at = varint_put(at, varying);
	for (unsigned m = 0; m < minute->n_metrics; m++) {
		if (absent >> m & 1)
			continue;
		if (partial >> m & 1)
			at = varint_put(at, minute->seconds & ~minute->present[m]);
		at = paged_put(at, minute->value[m][__builtin_ctzll(minute->present[m])]);
		if (varying >> m & 1) {
			column_gather(&column, minute->value[m], minute->present[m]);
			at = column_put(at, &column);
		}
	}
	out->len += (size_t)((char *)at - room);
}

/* --- back --- */

struct columns {
	const uint8_t *at, *end;
	unsigned n_metrics;
	uint64_t seconds, absent, partial, varying;
};

static bool columns_open(struct columns *columns, const void *bytes, size_t len)
{
	const uint8_t *at = bytes, *end = len ? at + len : at;
	uint64_t n, not_seconds, absent, partial, varying, known;

	if (!varint_get(&at, end, &n) || n > PACK_METRICS_MAX || !varint_get(&at, end, &not_seconds) ||
		not_seconds & ~all_seconds || !varint_get(&at, end, &absent) ||
		!varint_get(&at, end, &partial) || !varint_get(&at, end, &varying))
		return false;
	known = all_metrics((unsigned)n) & ~absent;
	if (absent & ~all_metrics((unsigned)n) || (partial | varying) & ~known)
		return false;
	*columns = (struct columns) { at, end, (unsigned)n, all_seconds & ~not_seconds, absent, partial,
		varying };
	return true;
}

/* The differences of a column of n values, whose first stands in its place already. */
static bool differences_get(struct columns *columns, uint64_t *value, unsigned n)
{
	const uint8_t *at = columns->at, *end = columns->end;
	uint64_t before = value[0], z, run;

	if (at == end || *at > 63)
		return false;
	unsigned shift = *at++;
	for (unsigned i = 1; i < n; i++) {
		if (!varint_get(&at, end, &z))
			return false;
		if (z == 0) {
			if (!varint_get(&at, end, &run) || run >= n - i)
				return false;
			for (; run; run--)
				value[i++] = before;
		}
		before += unzigzag(z) << shift;
		value[i] = before;
	}
	columns->at = at;
	return true;
}

/*
 * The next column, m, which is not absent: the seconds that have a value, and the values one behind the
 * other; of one that does not change the first alone.
 */
static inline bool column_next(
	struct columns *columns, unsigned m, uint64_t *ret_present, uint64_t *ret_value)
{
	uint64_t missing = 0;

	if (columns->partial >> m & 1 &&
		(!varint_get(&columns->at, columns->end, &missing) || missing & ~columns->seconds))
		return false;
	*ret_present = columns->seconds & ~missing;
	if (!*ret_present || !paged_get(&columns->at, columns->end, ret_value))
		return false;
	return !(columns->varying >> m & 1) ||
	       differences_get(columns, ret_value, (unsigned)__builtin_popcountll(*ret_present));
}

bool pack_minute_decode(struct pack_minute *ret, const void *bytes, size_t len)
{
	uint64_t value[PACK_SECONDS];
	struct columns columns;

	if (!columns_open(&columns, bytes, len))
		return false;
	pack_minute_init(ret, columns.n_metrics);
	ret->seconds = columns.seconds;
	for (unsigned m = 0; m < columns.n_metrics; m++) {
		bool varies = columns.varying >> m & 1;
		uint64_t present;

		if (columns.absent >> m & 1)
			continue;
		if (!column_next(&columns, m, &present, value))
			return false;
		ret->present[m] = present;
		if (present == all_seconds) {
			for (unsigned s = 0; s < PACK_SECONDS; s++)
				ret->value[m][s] = varies ? value[s] : *value;
			continue;
		}
		for (const uint64_t *next = value; present; present &= present - 1, next += varies)
			ret->value[m][__builtin_ctzll(present)] = *next;
	}
	return columns.at == columns.end;
}

bool pack_minute_rows(struct pack_rows *ret, const void *bytes, size_t len)
{
	uint64_t value[PACK_SECONDS], always;
	struct columns columns;

	if (!columns_open(&columns, bytes, len))
		return false;
	unsigned n = (unsigned)__builtin_popcountll(columns.seconds), width = columns.n_metrics;
	ret->n_metrics = width;
	ret->n = n;
	ret->seconds = columns.seconds;
	always = all_metrics(width) & ~columns.absent & ~columns.partial;
	for (unsigned i = 0; i < n; i++)
		ret->present[i] = always;
	for (unsigned m = 0; m < width; m++) {
		bool varies = columns.varying >> m & 1;
		uint64_t *to = ret->value + m, present;

		if (columns.absent >> m & 1)
			continue;
		if (!column_next(&columns, m, &present, value))
			return false;
		if (always >> m & 1 && !varies) {
			for (unsigned i = 0; i < n; i++)
				to[i * width] = *value;
		} else if (always >> m & 1) {
			for (unsigned i = 0; i < n; i++)
				to[i * width] = value[i];
		} else {
			const uint64_t *next = value;
			uint64_t left = columns.seconds;

			for (unsigned i = 0; i < n; i++, left &= left - 1) {
				if (!(present >> __builtin_ctzll(left) & 1))
					continue;
				ret->present[i] |= UINT64_C(1) << m;
				to[i * width] = *next;
				next += varies;
			}
		}
	}
	return columns.at == columns.end;
}

enum pack_found pack_minute_at(const void *bytes, size_t len, unsigned s, uint64_t *ret_present,
	uint64_t ret_value[static PACK_METRICS_MAX])
{
	uint64_t value[PACK_SECONDS], found = 0, bit = UINT64_C(1) << s;
	struct columns columns;

	if (!columns_open(&columns, bytes, len))
		return PACK_TORN;
	for (unsigned m = 0; m < columns.n_metrics; m++) {
		uint64_t present;

		if (columns.absent >> m & 1)
			continue;
		if (!column_next(&columns, m, &present, value))
			return PACK_TORN;
		if (!(present & bit))
			continue;
		found |= UINT64_C(1) << m;
		ret_value[m] =
			value[columns.varying >> m & 1 ? __builtin_popcountll(present & (bit - 1)) : 0];
	}
	if (columns.at != columns.end)
		return PACK_TORN;
	*ret_present = found;
	return columns.seconds & bit ? PACK_SAMPLE : PACK_NONE;
}
