/* SPDX-License-Identifier: MIT */
/* Any bytes are a minute or not; what is one comes back from a second packing as it was. */
#include "schema/pack.h"
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pack_minute minute, again, merged;
	struct buf buf = BUF_INIT;

	if (!pack_minute_decode(&minute, data, size))
		return 0;
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
