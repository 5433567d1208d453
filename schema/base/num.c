/* SPDX-License-Identifier: MIT */
#include "schema/base/num.h"

#include <string.h>

bool num_parse_u64(const char **p, const char *end, uint64_t *ret_value)
{
	const char *at = *p;
	uint64_t value = 0;

	if (at >= end || *at < '0' || *at > '9')
		return false;
	for (; at < end && *at >= '0' && *at <= '9'; at++) {
		if (__builtin_mul_overflow(value, 10, &value) ||
			__builtin_add_overflow(value, (uint64_t)(*at - '0'), &value))
			return false;
	}
	*p = at;
	*ret_value = value;
	return true;
}

bool num_parse_i64(const char **p, const char *end, int64_t *ret_value)
{
	const char *at = *p;
	bool negative = at < end && *at == '-';
	uint64_t magnitude;

	if (negative)
		at++;
	if (!num_parse_u64(&at, end, &magnitude) || magnitude > (uint64_t)INT64_MAX + negative)
		return false;
	*p = at;
	*ret_value = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
	return true;
}

bool num_parse_whole(const char *text, size_t len, uint64_t *ret_value)
{
	const char *at = text;
	uint64_t value;

	if (!num_parse_u64(&at, text + len, &value) || at != text + len)
		return false;
	*ret_value = value;
	return true;
}

bool num_parse_size(const char *text, size_t len, uint64_t *ret_bytes)
{
	static const char suffixes[] = "kmgt";
	const char *at = text, *end = text + len;
	uint64_t value;

	if (!num_parse_u64(&at, end, &value))
		return false;
	if (at < end) {
		const char *suffix = memchr(suffixes, *at | 0x20, sizeof(suffixes) - 1);
		if (!suffix ||
			__builtin_mul_overflow(value, UINT64_C(1) << (10 * (suffix - suffixes + 1)), &value))
			return false;
		at++;
	}
	if (at != end)
		return false;
	*ret_bytes = value;
	return true;
}

bool num_parse_kb(const char *text, size_t len, uint64_t *ret_bytes)
{
	const char *at = text, *end = text + len;
	uint64_t kb, bytes;

	if (!num_parse_u64(&at, end, &kb) || end - at != 3 || memcmp(at, " kB", 3) ||
		__builtin_mul_overflow(kb, 1024, &bytes))
		return false;
	*ret_bytes = bytes;
	return true;
}

size_t num_format_u64(char *out, uint64_t value)
{
	char reversed[NUM_TEXT_MAX];
	size_t n = 0;

	do {
		reversed[n++] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	for (size_t i = 0; i < n; i++)
		out[i] = reversed[n - 1 - i];
	return n;
}

size_t num_format_i64(char *out, int64_t value)
{
	if (value >= 0)
		return num_format_u64(out, (uint64_t)value);
	*out = '-';
	return 1 + num_format_u64(out + 1, 0 - (uint64_t)value);
}
