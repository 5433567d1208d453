/* SPDX-License-Identifier: MIT */
#include "collector/inquiry/pid_regions.h"

#include <string.h>

#include "schema/proc/pid_smaps.h"

void regions_put_head(struct buf *out)
{
	buf_puts(out, "start\tend\tperms\trss\tpss\tswap\treferenced\tpattern\tname\n");
}

static void put_hex(struct buf *out, uint64_t value)
{
	char digits[16];
	size_t at = sizeof(digits);

	do
		digits[--at] = "0123456789abcdef"[value & 15];
	while (value >>= 4);
	buf_puts(out, "0x");
	buf_put(out, digits + at, sizeof(digits) - at);
}

/*
 * The kernel escapes a newline, as \012, and nothing else. That one stays, or it would be escaped twice; and
 * a name that has these four characters itself looks the same, as it does in smaps.
 */
static void put_name(struct buf *out, struct span name)
{
	const char *newline;

	if (!name.n)
		buf_putc(out, '-');
	while (name.n && (newline = memmem(name.p, name.n, "\\012", 4))) {
		size_t n = (size_t)(newline - name.p);
		buf_put_escaped(out, name.p, n);
		buf_put(out, newline, 4);
		name.p += n + 4;
		name.n -= n + 4;
	}
	buf_put_escaped(out, name.p, name.n);
}

static void put_number(struct buf *out, const struct pid_region *region, enum pid_region_number number)
{
	buf_putc(out, '\t');
	if (region->present >> number & 1)
		buf_put_u64(out, region->bytes[number]);
	else
		buf_putc(out, '-');
}

size_t regions_put(struct buf *out, struct span *rest, bool last)
{
	struct pid_region region;
	size_t n = 0;

	for (; pid_smaps_next(rest, last, &region); n++) {
		put_hex(out, region.start);
		buf_putc(out, '\t');
		put_hex(out, region.end);
		buf_putc(out, '\t');
		buf_put_escaped(out, region.perms.p, region.perms.n);
		put_number(out, &region, REGION_RSS);
		put_number(out, &region, REGION_PSS);
		put_number(out, &region, REGION_SWAP);
		put_number(out, &region, REGION_REFERENCED);
		buf_puts(out, "\t-\t"); /* pattern: nothing watches accesses */
		put_name(out, region.name);
		buf_putc(out, '\n');
	}
	return n;
}

void numa_put(struct buf *out, const struct pid_numa *numa)
{
	buf_puts(out, "node\tanon\tfile\n");
	for (unsigned node = 0; node < NUMA_NODES_MAX; node++) {
		if (!numa->anon_bytes[node] && !numa->file_bytes[node])
			continue;
		buf_put_u64(out, node);
		buf_putc(out, '\t');
		buf_put_u64(out, numa->anon_bytes[node]);
		buf_putc(out, '\t');
		buf_put_u64(out, numa->file_bytes[node]);
		buf_putc(out, '\n');
	}
}
