/* SPDX-License-Identifier: MIT */
#include "schema/proc/pressure.h"
#include "schema/base/num.h"

#include <string.h>

/* The kernel prints %lu.%02lu: other than two decimals is not its text. */
static bool parse_percent(struct span text, uint64_t *ret_hundredths)
{
	const char *at = text.p, *end = text.p + text.n;
	uint64_t whole, fraction, hundredths;

	if (!num_parse_u64(&at, end, &whole) || end - at != 3 || *at++ != '.' ||
		!num_parse_u64(&at, end, &fraction) || at != end ||
		__builtin_mul_overflow(whole, 100, &hundredths) ||
		__builtin_add_overflow(hundredths, fraction, &hundredths))
		return false;
	*ret_hundredths = hundredths;
	return true;
}

void pressure_memory_parse(struct system_values *values, const char *text, size_t len)
{
	struct kv_cursor cursor = kv_begin_lines(text, len);
	struct span share, averages, word;

	while (kv_next(&cursor, &share, &averages)) {
		while (span_word(&averages, &word)) {
			/* "some avg10": longer keys are nobody's. */
			char key[32];
			const char *equals = memchr(word.p, '=', word.n);
			uint64_t hundredths;
			if (!equals)
				continue;
			size_t n = (size_t)(equals - word.p);
			if (share.n + 1 + n > sizeof(key))
				continue;
			memcpy(key, share.p, share.n);
			key[share.n] = ' ';
			memcpy(key + share.n + 1, word.p, n);
			int id = metric_find(&system_metrics, METRIC_SOURCE_PRESSURE_MEMORY,
				(struct span) { key, share.n + 1 + n });
			if (id >= 0 &&
				parse_percent((struct span) { equals + 1, word.n - n - 1 }, &hundredths))
				system_values_set(values, (enum system_metric)id, hundredths);
		}
	}
}
