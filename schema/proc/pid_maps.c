/* SPDX-License-Identifier: MIT */
#include "schema/proc/pid_maps.h"

#include <stddef.h>
#include <string.h>

#include "schema/base/num.h"

/* Hexadecimal digits at the beginning of *span, which then begins behind them. */
static bool take_hex(struct span *span, uint64_t *ret_value)
{
	uint64_t value = 0;
	size_t n = 0;

	for (; n < span->n; n++) {
		char c = span->p[n];
		unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
				 : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a' + 10)
							: 16;
		if (digit == 16)
			break;
		if (value >> 60)
			return false;
		value = value << 4 | digit;
	}
	if (!n)
		return false;
	span->p += n;
	span->n -= n;
	*ret_value = value;
	return true;
}

/* Two numbers with the separator between them, and nothing else. */
static bool parse_pair(struct span word, char separator, uint64_t *ret_first, uint64_t *ret_second)
{
	if (!take_hex(&word, ret_first) || !word.n || word.p[0] != separator)
		return false;
	word.p++;
	word.n--;
	return take_hex(&word, ret_second) && !word.n;
}

bool pid_maps_parse_line(struct span line, struct pid_mapping *ret)
{
	struct pid_mapping mapping = { 0 };
	uint64_t major, minor;
	struct span word;

	if (!span_word(&line, &word) || !parse_pair(word, '-', &mapping.start, &mapping.end) ||
		mapping.end < mapping.start || !span_word(&line, &mapping.perms) || mapping.perms.n != 4 ||
		!span_word(&line, &word) || !take_hex(&word, &mapping.offset) || word.n ||
		!span_word(&line, &word) || !parse_pair(word, ':', &major, &minor) || major > UINT32_MAX ||
		minor > UINT32_MAX || !span_word(&line, &word) ||
		!num_parse_whole(word.p, word.n, &mapping.inode))
		return false;
	mapping.major = (uint32_t)major;
	mapping.minor = (uint32_t)minor;
	/* Blanks before the name are padding; those within and behind it are its own. */
	while (line.n && line.p[0] == ' ') {
		line.p++;
		line.n--;
	}
	mapping.name = line;
	*ret = mapping;
	return true;
}

bool pid_maps_next(struct span *rest, bool last, struct pid_mapping *ret)
{
	struct span line, at = *rest;

	while (rest->n && (last || memchr(rest->p, '\n', rest->n)) && span_line(&at, &line)) {
		*rest = at;
		if (pid_maps_parse_line(line, ret))
			return true;
	}
	return false;
}
