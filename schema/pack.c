/* SPDX-License-Identifier: MIT */
/* Packed minutes. */
#include "schema/pack.h"
#include "schema/pack_varint.h"

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

/* The differences of a column whose first value stands in its place already. */
static bool column_get(const uint8_t **at, const uint8_t *end, uint64_t *value, uint64_t present)
{
	uint64_t before = value[__builtin_ctzll(present)], z, run;

	if (*at == end || **at > 63)
		return false;
	unsigned shift = *(*at)++;
	for (present &= present - 1; present; present &= present - 1) {
		if (!varint_get(at, end, &z))
			return false;
		if (z == 0) {
			if (!varint_get(at, end, &run))
				return false;
			for (; run; run--) {
				value[__builtin_ctzll(present)] = before;
				present &= present - 1;
				if (!present)
					return false;
			}
		}
		before += unzigzag(z) << shift;
		value[__builtin_ctzll(present)] = before;
	}
	return true;
}

bool pack_minute_decode(struct pack_minute *ret, const void *bytes, size_t len)
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
	pack_minute_init(ret, (unsigned)n);
	ret->seconds = all_seconds & ~not_seconds;
	for (unsigned m = 0; m < n; m++) {
		uint64_t missing = 0, first;

		if (absent >> m & 1)
			continue;
		if (partial >> m & 1 && (!varint_get(&at, end, &missing) || missing & ~ret->seconds))
			return false;
		uint64_t present = ret->seconds & ~missing;
		if (!present || !paged_get(&at, end, &first))
			return false;
		ret->present[m] = present;
		if (varying >> m & 1) {
			ret->value[m][__builtin_ctzll(present)] = first;
			if (!column_get(&at, end, ret->value[m], present))
				return false;
		} else if (present == all_seconds) {
			for (unsigned s = 0; s < PACK_SECONDS; s++)
				ret->value[m][s] = first;
		} else {
			for (; present; present &= present - 1)
				ret->value[m][__builtin_ctzll(present)] = first;
		}
	}
	return at == end;
}
