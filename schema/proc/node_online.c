/* SPDX-License-Identifier: MIT */
#include "schema/proc/node_online.h"

#include "schema/base/num.h"

/* `3` or `0-1` at *at, which then stands behind it. */
static bool read_range(const char **at, const char *end, uint64_t *ret_first, uint64_t *ret_last)
{
	if (!num_parse_u64(at, end, ret_first))
		return false;
	*ret_last = *ret_first;
	if (*at == end || **at != '-')
		return true;
	++*at;
	return num_parse_u64(at, end, ret_last);
}

bool node_online_next(const char *text, size_t len, uint32_t from, uint32_t *ret_node)
{
	const char *at = text, *end = len ? text + len : text;
	uint64_t first, last, best = UINT64_MAX;

	while (read_range(&at, end, &first, &last)) {
		if (last >= from && first <= last && (first > from ? first : from) < best)
			best = first > from ? first : from;
		if (at == end || *at++ != ',')
			break;
	}
	if (best > UINT32_MAX)
		return false;
	*ret_node = (uint32_t)best;
	return true;
}
