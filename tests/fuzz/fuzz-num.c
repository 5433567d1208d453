/* SPDX-License-Identifier: MIT */
/* Numbers: what is parsed reads back, and a refusal changes nothing. */
#include "schema/base/num.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

static const uint64_t untouched = UINT64_C(0x5ca1ab1e5ca1ab1e);

static void check_u64(const char *text, const char *end)
{
	const char *at = text;
	uint64_t value = untouched;
	char again[NUM_TEXT_MAX];

	if (!num_parse_u64(&at, end, &value)) {
		CHECK(at == text && value == untouched);
		return;
	}
	CHECK(at > text && at <= end && (at == end || *at < '0' || *at > '9'));
	const char *digits = text;
	while (digits < at - 1 && *digits == '0')
		digits++;
	size_t n = num_format_u64(again, value);
	CHECK(n == (size_t)(at - digits) && !memcmp(again, digits, n));
}

static void check_i64(const char *text, const char *end)
{
	const char *at = text, *at_again;
	int64_t value = -77, value_again = 0;
	char again[NUM_TEXT_MAX];

	if (!num_parse_i64(&at, end, &value)) {
		CHECK(at == text && value == -77);
		return;
	}
	size_t n = num_format_i64(again, value);
	CHECK(n < NUM_TEXT_MAX);
	at_again = again;
	CHECK(num_parse_i64(&at_again, again + n, &value_again));
	CHECK(at_again == again + n && value_again == value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data, *at = text;
	uint64_t whole = untouched, bytes = untouched, kb = untouched;

	check_u64(text, text + size);
	check_i64(text, text + size);
	if (num_parse_whole(text, size, &whole)) {
		/* A number is a size, of as many bytes. */
		CHECK(num_parse_size(text, size, &bytes) && bytes == whole);
		CHECK(num_parse_u64(&at, text + size, &bytes) && at == text + size);
	} else {
		CHECK(whole == untouched);
		if (num_parse_size(text, size, &bytes))
			CHECK(bytes % 1024 == 0);
		else
			CHECK(bytes == untouched);
	}
	if (num_parse_kb(text, size, &kb))
		CHECK(kb % 1024 == 0 && size > 3 && !memcmp(text + size - 3, " kB", 3));
	else
		CHECK(kb == untouched);
	return 0;
}
