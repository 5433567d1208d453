/* SPDX-License-Identifier: MIT */
#include "schema/history/pack_leaks.h"

#include "schema/history/pack_varint.h"

/* The first version had as many counts as came before stacks_lost, and did not say so. */
enum { VERSION = 2, FIRST_VERSION = 1, FIRST_COUNTS = LEAK_COUNT_stacks_lost, SITE_NUMBERS = 8 };

static void put(struct buf *out, uint64_t value)
{
	uint8_t bytes[VARINT_MAX];

	buf_put(out, bytes, (size_t)(varint_put(bytes, value) - bytes));
}

static void put_span(struct buf *out, struct span text)
{
	put(out, text.n);
	buf_put(out, text.p, text.n);
}

static bool get_span(struct pack_leaks *pack, struct span *ret)
{
	uint64_t n;

	if (!varint_get(&pack->at, pack->end, &n) || n > (uint64_t)(pack->end - pack->at))
		return false;
	*ret = (struct span) { (const char *)pack->at, (size_t)n };
	pack->at += n;
	return true;
}

/* Rates are shifted by one, so that 0 is one that is not known. */
static uint64_t of_rate(int64_t rate)
{
	return rate == LEAK_RATE_UNKNOWN ? 0 : zigzag((uint64_t)rate) + 1;
}

static int64_t to_rate(uint64_t packed)
{
	return packed ? (int64_t)unzigzag(packed - 1) : LEAK_RATE_UNKNOWN;
}

void pack_leaks_stat(struct buf *out, const struct leak_stat *stat)
{
	put(out, VERSION);
	put(out, stat->trace.mode);
	put(out, stat->trace.rate_bytes);
	put(out, (uint64_t)stat->since_ns);
	put(out, (uint64_t)stat->counted_ns);
	put(out, N_LEAK_COUNTS);
	for (unsigned i = 0; i < N_LEAK_COUNTS; i++)
		put(out, leak_count_get(stat, i));
	put(out, of_rate(stat->rate_1m));
}

void pack_leaks_count(struct buf *out, uint64_t n)
{
	put(out, n);
}

void pack_leaks_site(struct buf *out, const struct leak_site *site)
{
	const uint64_t numbers[SITE_NUMBERS] = { site->suspect_bytes, site->suspect_blocks, site->live_bytes,
		site->live_blocks, (uint64_t)site->oldest_age_ms, of_rate(site->rate_1m), site->caller,
		site->module_offset };

	for (unsigned i = 0; i < SITE_NUMBERS; i++)
		put(out, numbers[i]);
	put_span(out, site->symbol);
	put_span(out, site->module);
	put_span(out, site->build_id);
}

void pack_leaks_text(struct buf *out, struct span folded)
{
	put_span(out, folded);
}

void pack_leaks_block(struct buf *out, struct leak_block *before, const struct leak_block *block)
{
	uint8_t bytes[4 * VARINT_MAX], *at = bytes;

	at = varint_put(at, zigzag((uint64_t)block->time_ms - (uint64_t)before->time_ms));
	at = varint_put(at, zigzag(block->addr - before->addr));
	at = varint_put(at, block->size);
	at = varint_put(at, block->site);
	buf_put(out, bytes, (size_t)(at - bytes));
	*before = *block;
}

/* Those that are not there are unknown; of a later version there may be more. */
static bool get_counts(struct pack_leaks *pack, uint64_t n, struct leak_stat *ret_stat)
{
	uint64_t value;

	for (unsigned i = 0; i < N_LEAK_COUNTS; i++)
		leak_count_set(ret_stat, i, LEAK_COUNT_UNKNOWN);
	for (uint64_t i = 0; i < n; i++) {
		if (!varint_get(&pack->at, pack->end, &value))
			return false;
		if (i < N_LEAK_COUNTS)
			leak_count_set(ret_stat, (unsigned)i, value);
	}
	return true;
}

bool pack_leaks_open(struct pack_leaks *pack, const void *bytes, size_t len, struct leak_stat *ret_stat)
{
	enum { MODE, RATE_BYTES, SINCE, COUNTED, N_HEAD };
	uint64_t version, head[N_HEAD], counts = FIRST_COUNTS, rate;

	*pack = (struct pack_leaks) { .at = bytes, .end = (const uint8_t *)bytes + len };
	if (!varint_get(&pack->at, pack->end, &version) || (version != FIRST_VERSION && version != VERSION))
		return false;
	for (unsigned i = 0; i < N_HEAD; i++)
		if (!varint_get(&pack->at, pack->end, &head[i]))
			return false;
	*ret_stat = (struct leak_stat) {
		.trace = { head[MODE] < N_SHADOW_MODES ? (uint32_t)head[MODE] : SHADOW_OFF,
			head[RATE_BYTES] },
		.since_ns = (int64_t)head[SINCE],
		.counted_ns = (int64_t)head[COUNTED],
	};
	if (version != FIRST_VERSION && !varint_get(&pack->at, pack->end, &counts))
		return false;
	if (!get_counts(pack, counts, ret_stat) || !varint_get(&pack->at, pack->end, &rate) ||
		!varint_get(&pack->at, pack->end, &pack->n_sites))
		return false;
	ret_stat->rate_1m = to_rate(rate);
	return true;
}

bool pack_leaks_next_site(struct pack_leaks *pack, struct leak_site *ret_site)
{
	uint64_t n[SITE_NUMBERS];
	struct leak_site site;

	if (!pack->n_sites)
		return false;
	for (unsigned i = 0; i < SITE_NUMBERS; i++)
		if (!varint_get(&pack->at, pack->end, &n[i]))
			return false;
	site = (struct leak_site) {
		.suspect_bytes = n[0],
		.suspect_blocks = n[1],
		.live_bytes = n[2],
		.live_blocks = n[3],
		.oldest_age_ms = n[4] <= INT64_MAX ? (int64_t)n[4] : INT64_MAX,
		.rate_1m = to_rate(n[5]),
		.caller = n[6],
		.module_offset = n[7],
	};
	if (!get_span(pack, &site.symbol) || !get_span(pack, &site.module) || !get_span(pack, &site.build_id))
		return false;
	pack->n_sites--;
	*ret_site = site;
	return true;
}

bool pack_leaks_read_text(struct pack_leaks *pack, struct span *ret_folded)
{
	struct span folded;

	if (pack->n_sites || !get_span(pack, &folded) || !varint_get(&pack->at, pack->end, &pack->n_blocks))
		return false;
	*ret_folded = folded;
	return true;
}

bool pack_leaks_next_block(struct pack_leaks *pack, struct leak_block *ret_block)
{
	uint64_t time, addr, size, site;

	if (!pack->n_blocks || !varint_get(&pack->at, pack->end, &time) ||
		!varint_get(&pack->at, pack->end, &addr) || !varint_get(&pack->at, pack->end, &size) ||
		!varint_get(&pack->at, pack->end, &site) || site > UINT32_MAX)
		return false;
	pack->n_blocks--;
	pack->before = (struct leak_block) {
		.time_ms = (int64_t)((uint64_t)pack->before.time_ms + unzigzag(time)),
		.addr = pack->before.addr + unzigzag(addr),
		.size = size,
		.site = (uint32_t)site,
	};
	*ret_block = pack->before;
	return true;
}
