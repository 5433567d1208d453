/* SPDX-License-Identifier: MIT */
/* What is written to leaks/trace: what is taken reads back as something that is taken as the same. */
#include "schema/leak.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct leak_trace trace, again;
	struct err err = { 0 };
	char room[64];
	struct buf text = BUF_FIXED(room);

	if (leak_trace_parse(&trace, (struct span) { (const char *)data, size }, &err)) {
		CHECK(err.code && err.reason[0]);
		return 0;
	}
	leak_trace_put(&text, &trace);
	CHECK(!buf_error(&text) && !leak_trace_parse(&again, (struct span) { room, text.len }, &err));
	CHECK(again.mode == trace.mode && again.rate_bytes == trace.rate_bytes);
	return 0;
}
