/* SPDX-License-Identifier: MIT */
#include "schema/proc/pid_smaps.h"
#include "schema/base/num.h"

#include <string.h>

static const struct {
	const char *name;
	size_t n;
} keys[N_REGION_NUMBERS] = {
	[REGION_RSS] = { "Rss:", 4 },
	[REGION_PSS] = { "Pss:", 4 },
	[REGION_SWAP] = { "Swap:", 5 },
	[REGION_REFERENCED] = { "Referenced:", 11 },
};

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

/* `start-end perms offset device inode   name`. */
static bool parse_head(struct span line, struct pid_region *ret)
{
	struct pid_region region = { 0 };
	struct span range, word;

	/* Most lines are not: a capital and no dash. */
	if (!line.n || (line.p[0] >= 'A' && line.p[0] <= 'Z') || !span_word(&line, &range) ||
		!take_hex(&range, &region.start) || !range.n || range.p[0] != '-')
		return false;
	range.p++;
	range.n--;
	if (!take_hex(&range, &region.end) || range.n || region.end < region.start ||
		!span_word(&line, &region.perms) || region.perms.n != 4)
		return false;
	if (!span_word(&line, &word) || !take_hex(&word, &region.offset) || word.n || /* the device */
		!span_word(&line, &word) || !span_word(&line, &word) ||
		!num_parse_whole(word.p, word.n, &region.inode))
		return false;
	/* Blanks before the name are padding; those within and behind it are its own. */
	while (line.n && line.p[0] == ' ') {
		line.p++;
		line.n--;
	}
	region.name = line;
	*ret = region;
	return true;
}

static void parse_number(struct span line, struct pid_region *region)
{
	struct span value;

	for (unsigned i = 0; i < N_REGION_NUMBERS; i++) {
		if (line.n <= keys[i].n || memcmp(line.p, keys[i].name, keys[i].n) != 0)
			continue;
		value = (struct span) { line.p + keys[i].n, line.n - keys[i].n };
		while (value.n && value.p[0] == ' ') {
			value.p++;
			value.n--;
		}
		if (num_parse_kb(value.p, value.n, &region->bytes[i]))
			region->present |= 1U << i;
		return;
	}
}

/* A line that is there to its end. */
static bool take_line(struct span *rest, struct span *ret_line)
{
	return rest->n && memchr(rest->p, '\n', rest->n) && span_line(rest, ret_line);
}

bool pid_smaps_next(struct span *rest, bool last, struct pid_region *ret)
{
	struct span at = *rest, line;
	struct pid_region region, next;

	do {
		*rest = at;
		if (!take_line(&at, &line))
			return false;
	} while (!parse_head(line, &region));
	for (struct span behind = at; take_line(&behind, &line); at = behind) {
		if (parse_head(line, &next)) {
			last = true;
			break;
		}
		parse_number(line, &region);
	}
	if (!last)
		return false;
	*rest = at;
	*ret = region;
	return true;
}
