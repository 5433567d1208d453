/* SPDX-License-Identifier: MIT */
/*
 * Any bytes are a minute or not; what is one comes back from a second packing as it was, and is the same read
 * by sample and of one second.
 */
#include "schema/history/pack.h"
#include "tests/fuzz/fuzz.h"

static void same(const struct pack_minute *a, const struct pack_minute *b)
{
	CHECK(a->n_metrics == b->n_metrics && a->seconds == b->seconds);
	for (unsigned m = 0; m < a->n_metrics; m++) {
		CHECK(a->present[m] == b->present[m] && !(a->present[m] & ~a->seconds));
		for (uint64_t left = a->present[m]; left; left &= left - 1) {
			unsigned s = (unsigned)__builtin_ctzll(left);
			CHECK(a->value[m][s] == b->value[m][s]);
		}
	}
}

static void same_samples(const struct pack_minute *minute, const uint8_t *data, size_t size)
{
	struct pack_rows rows;
	uint64_t value[PACK_METRICS_MAX], present;
	unsigned i = 0;

	CHECK(pack_minute_rows(&rows, data, size));
	CHECK(rows.n_metrics == minute->n_metrics && rows.seconds == minute->seconds);
	for (unsigned s = 0; s < PACK_SECONDS; s++) {
		enum pack_found found = pack_minute_at(data, size, s, &present, value);

		CHECK(found == (minute->seconds >> s & 1 ? PACK_SAMPLE : PACK_NONE));
		CHECK(found == PACK_SAMPLE ? rows.present[i] == present : !present);
		for (unsigned m = 0; m < minute->n_metrics; m++) {
			CHECK((present >> m & 1) == (minute->present[m] >> s & 1));
			CHECK(!(present >> m & 1) || (value[m] == minute->value[m][s] &&
							     value[m] == rows.value[i * rows.n_metrics + m]));
		}
		i += found == PACK_SAMPLE;
	}
	CHECK(i == rows.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pack_minute minute, again, merged;
	struct buf buf = BUF_INIT;

	if (!pack_minute_decode(&minute, data, size)) {
		static struct pack_rows rows;
		uint64_t value[PACK_METRICS_MAX], present;

		CHECK(!pack_minute_rows(&rows, data, size));
		CHECK(pack_minute_at(data, size, 30, &present, value) == PACK_TORN);
		return 0;
	}
	same_samples(&minute, data, size);
	pack_minute_encode(&buf, &minute);
	CHECK(!buf_error(&buf) && pack_minute_decode(&again, buf.data, buf.len));
	same(&minute, &again);
	/* Into nothing, and into itself. */
	pack_minute_init(&merged, 0);
	pack_minute_merge(&merged, &minute);
	same(&merged, &minute);
	pack_minute_merge(&merged, &minute);
	same(&merged, &minute);
	buf_deinit(&buf);
	return 0;
}
