/* SPDX-License-Identifier: MIT */
/* What an ended process had, packed: any bytes are taken apart within themselves, and come to an end. */
#include "schema/history/pack_leaks.h"
#include "tests/fuzz/fuzz.h"

static void check_within(struct span span, const uint8_t *data, size_t size)
{
	CHECK((const uint8_t *)span.p >= data && span.n <= size &&
		(size_t)((const uint8_t *)span.p - data) <= size - span.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pack_leaks pack;
	struct leak_stat stat;
	struct leak_site site;
	struct leak_block block;
	struct span folded;
	size_t n = 0;

	if (!pack_leaks_open(&pack, data, size, &stat))
		return 0;
	CHECK(stat.trace.mode < N_SHADOW_MODES);
	while (pack_leaks_next_site(&pack, &site)) {
		check_within(site.symbol, data, size);
		check_within(site.module, data, size);
		check_within(site.build_id, data, size);
		CHECK(site.oldest_age_ms >= 0 && ++n <= size);
	}
	if (!pack_leaks_read_text(&pack, &folded))
		return 0;
	check_within(folded, data, size);
	while (pack_leaks_next_block(&pack, &block))
		CHECK(++n <= size);
	return 0;
}
