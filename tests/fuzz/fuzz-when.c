/* SPDX-License-Identifier: MIT */
/* Times and durations: a refusal changes nothing, and a duration reads back. */
#include "schema/base/when.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

static void check_duration(struct span text)
{
	uint32_t seconds = 77;
	char again[16];
	struct buf put = BUF_FIXED(again);
	uint32_t seconds_again = 0;

	if (!when_duration_parse(text, &seconds)) {
		CHECK(seconds == 77);
		return;
	}
	CHECK(seconds > 0);
	when_duration_put(&put, seconds);
	CHECK(!buf_error(&put) && put.len <= text.n);
	CHECK(when_duration_parse((struct span) { again, put.len }, &seconds_again) &&
		seconds_again == seconds);
}

static void check_time(struct span text)
{
	struct when when = { WHEN_LAST, -77 }, later = { WHEN_LAST, -77 };
	const int64_t now_s = 1700000000;

	if (!when_time_parse(text, now_s, &when)) {
		CHECK(when.kind == WHEN_LAST && when.time_s == -77);
		return;
	}
	CHECK(when_time_parse(text, now_s + 5, &later) && later.kind == when.kind);
	/* Only what begins with a dash depends on now. */
	CHECK(later.time_s - when.time_s == (text.p[0] == '-' ? 5 : 0));
	CHECK(text.p[0] == '-' || when.time_s >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = { (const char *)data, size };

	check_duration(text);
	check_time(text);
	return 0;
}
