/* SPDX-License-Identifier: MIT */
#include "schema/proc/pid_smaps.h"

#include <string.h>

#include "schema/base/num.h"
#include "schema/proc/pid_maps.h"

static const struct {
	const char *name;
	size_t n;
} keys[N_REGION_NUMBERS] = {
	[REGION_RSS] = { "Rss:", 4 },
	[REGION_PSS] = { "Pss:", 4 },
	[REGION_SWAP] = { "Swap:", 5 },
	[REGION_REFERENCED] = { "Referenced:", 11 },
};

static bool parse_head(struct span line, struct pid_region *ret)
{
	struct pid_mapping mapping;

	/* Most lines are not: a capital. */
	if (!line.n || (line.p[0] >= 'A' && line.p[0] <= 'Z') || !pid_maps_parse_line(line, &mapping))
		return false;
	*ret = (struct pid_region) {
		.start = mapping.start, .end = mapping.end, .perms = mapping.perms, .name = mapping.name
	};
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
