/* SPDX-License-Identifier: MIT */
/* The words and rows of leaks/, and their packed form. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schema/leak_text.h"
#include "schema/history/pack_leaks.h"

static int parse(const char *text, struct leak_trace *trace)
{
	return leak_trace_parse(trace, (struct span) { text, strlen(text) }, NULL);
}

static void traces_read_back_as_they_were_written(void **state)
{
	static const char *const texts[] = { "off", "exact", "sample 524288", "stacks 1024" };
	struct leak_trace trace;

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		char room[64];
		struct buf text = BUF_FIXED(room);
		assert_int_equal(parse(texts[i], &trace), 0);
		leak_trace_put(&text, &trace);
		buf_putc(&text, '\0');
		assert_string_equal(room, texts[i]);
	}
	assert_int_equal(parse("sample\n", &trace), 0);
	assert_int_equal(trace.rate_bytes, SHADOW_SAMPLE_BYTES);
	assert_int_equal(parse(" stacks\t64k \n", &trace), 0);
	assert_int_equal(trace.rate_bytes, 65536);
	static const char *const wrong[] = { "", "\n", "on", "exact 1", "off off", "sample x", "sample -1",
		"sample 4096 2", "exact\noff", "exact\n\n" };
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		assert_int_equal(parse(wrong[i], &trace), -EINVAL);
	assert_int_equal(parse("sample 1023", &trace), -ERANGE);
	assert_int_equal(parse("sample 2T", &trace), -ERANGE);
	assert_int_equal(trace.rate_bytes, 65536); /* untouched */
}

static void rows_are_what_printf_would_write(void **state)
{
	static const uint64_t numbers[] = { 0, 1, 9, 10, 15, 16, 99, 100, 999, 1000, 4095, 65535, 65536,
		0xabcdef, UINT64_C(0xfedcba987654), UINT64_C(1) << 40, UINT64_MAX };
	enum { N = sizeof(numbers) / sizeof(*numbers) };
	struct leak_record_text text;

	leak_record_text_init(&text, 4711);
	for (size_t i = 0; i < N * N; i++) {
		uint64_t size = numbers[i % N], addr = numbers[i / N], caller = numbers[(i * 7) % N];
		int64_t time_ms = (int64_t)(i * 12345678901);
		char expected[200], caller_text[32] = "-", row[LEAK_RECORD_MAX];
		if (caller)
			snprintf(caller_text, sizeof(caller_text), "0x%llx", (unsigned long long)caller);
		int n = snprintf(expected, sizeof(expected), "%lld.%03d\t4711\t%llu\t0x%llx\t%s\n",
			(long long)(time_ms / 1000), (int)(time_ms % 1000), (unsigned long long)size,
			(unsigned long long)addr, caller_text);
		char *end = leak_record_write(&text, row, time_ms, size, addr, caller);
		assert_int_equal(end - row, n);
		assert_memory_equal(row, expected, (size_t)n);
		assert_int_equal(leak_record_len(&text, time_ms, size, addr, caller), n);
	}
}

static struct span span_of(const char *text)
{
	return (struct span) { text, strlen(text) };
}

static void packed_is_unpacked(void **state)
{
	const struct leak_stat stat = { .trace = { SHADOW_SAMPLE, 4096 },
		.since_ns = 1700000000000000000,
		.counted_ns = 1700000001000000000,
		.live_bytes = 10,
		.live_blocks = UINT64_MAX,
		.rate_1m = -5 };
	const struct leak_site site = { .suspect_bytes = 1,
		.live_bytes = 2,
		.oldest_age_ms = 3,
		.rate_1m = LEAK_RATE_UNKNOWN,
		.caller = 0x401234,
		.symbol = span_of("f"),
		.module = span_of("/m"),
		.build_id = { "\0\1", 2 } };
	const struct leak_block put[] = { { 5, 0x1000, 10, 1 }, { 5, 0x10, 1 << 30, 0 },
		{ 900, UINT64_MAX, 0, 1 } };
	struct leak_block before = { 0 }, block;
	struct buf out = BUF_INIT;
	struct pack_leaks pack;
	struct leak_stat stat_back;
	struct leak_site site_back;
	struct span folded;

	pack_leaks_stat(&out, &stat);
	pack_leaks_count(&out, 1);
	pack_leaks_site(&out, &site);
	pack_leaks_text(&out, span_of("a;b 2\n"));
	pack_leaks_count(&out, 3);
	for (int i = 0; i < 3; i++)
		pack_leaks_block(&out, &before, &put[i]);

	assert_true(pack_leaks_open(&pack, out.data, out.len, &stat_back));
	assert_int_equal(stat_back.trace.mode, SHADOW_SAMPLE);
	assert_true(stat_back.live_blocks == UINT64_MAX && stat_back.rate_1m == -5);
	assert_true(pack_leaks_next_site(&pack, &site_back));
	assert_int_equal(site_back.caller, 0x401234);
	assert_true(site_back.rate_1m == LEAK_RATE_UNKNOWN);
	assert_memory_equal(site_back.module.p, "/m", 2);
	assert_int_equal(site_back.build_id.n, 2);
	assert_false(pack_leaks_next_site(&pack, &site_back));
	assert_true(pack_leaks_read_text(&pack, &folded));
	assert_int_equal(folded.n, 6);
	for (int i = 0; i < 3; i++) {
		assert_true(pack_leaks_next_block(&pack, &block));
		assert_true(block.time_ms == put[i].time_ms && block.addr == put[i].addr);
		assert_true(block.size == put[i].size && block.site == put[i].site);
	}
	assert_false(pack_leaks_next_block(&pack, &block));
	assert_true(pack.at == pack.end);
	buf_deinit(&out);
}

/* What was stored when there were less counts, or will be when there are more. */
static void what_another_version_packed_is_unpacked(void **state)
{
	/* The version, mode, rate, since, counted; eleven counts; no rate; no sites. */
	static const uint8_t first[] = { 1, 1, 0, 7, 8, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 0, 0 };
	struct pack_leaks pack;
	struct leak_stat stat;

	assert_true(pack_leaks_open(&pack, first, sizeof(first), &stat));
	assert_true(pack.at == pack.end);
	assert_true(stat.counted_ns == 8 && stat.live_bytes == 10 && stat.sites == 20);
	assert_true(stat.stacks_lost == LEAK_COUNT_UNKNOWN);
	assert_true(stat.rate_1m == LEAK_RATE_UNKNOWN);
	for (size_t len = 0; len < sizeof(first); len++)
		assert_false(pack_leaks_open(&pack, first, len, &stat));
	/* One count alone; one more than is known. */
	static const uint8_t less[] = { 2, 1, 0, 7, 8, 1, 10, 0, 0 };
	uint8_t more[5 + 1 + N_LEAK_COUNTS + 1 + 2] = { 2, 1, 0, 7, 8, N_LEAK_COUNTS + 1 };
	assert_true(pack_leaks_open(&pack, less, sizeof(less), &stat));
	assert_true(pack.at == pack.end && stat.live_bytes == 10 && stat.live_blocks == LEAK_COUNT_UNKNOWN);
	more[5 + N_LEAK_COUNTS] = 99;
	assert_true(pack_leaks_open(&pack, more, sizeof(more), &stat));
	assert_true(pack.at == pack.end && stat.stacks_lost == 99);
	static const uint8_t none[sizeof(first)] = { 3, 1 };
	assert_false(pack_leaks_open(&pack, none, sizeof(none), &stat));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(traces_read_back_as_they_were_written),
		cmocka_unit_test(rows_are_what_printf_would_write),
		cmocka_unit_test(packed_is_unpacked),
		cmocka_unit_test(what_another_version_packed_is_unpacked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
