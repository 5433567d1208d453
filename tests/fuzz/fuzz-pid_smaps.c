/* SPDX-License-Identifier: MIT */
/* /proc/PID/smaps: mappings point into the text, and pieces give what the whole gives. */
#include <string.h>

#include "schema/proc/pid_smaps.h"
#include "tests/fuzz/fuzz.h"

static bool is_within(struct span span, const char *text, size_t len)
{
	return span.p >= text && span.n <= len && (size_t)(span.p - text) <= len - span.n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct span rest = { text, size }, piece = { text, size / 2 };
	struct pid_region region, early;

	while (pid_smaps_next(&rest, true, &region)) {
		CHECK(region.start <= region.end && region.perms.n == 4);
		CHECK(is_within(region.perms, text, size) && is_within(region.name, text, size));
		CHECK(is_within(rest, text, size) && !memchr(region.name.p, '\n', region.name.n));
		for (unsigned i = 0; i < N_REGION_NUMBERS; i++)
			CHECK(region.present >> i & 1 ? region.bytes[i] % 1024 == 0 : !region.bytes[i]);
		/* What is whole in the first half is the same there. */
		if (piece.p && pid_smaps_next(&piece, false, &early))
			CHECK(!memcmp(&early, &region, sizeof(region)));
		else
			piece.p = NULL;
	}
	return 0;
}
