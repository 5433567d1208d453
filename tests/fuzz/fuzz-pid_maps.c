/* SPDX-License-Identifier: MIT */
/* /proc/PID/maps: mappings point into the text, and pieces give what the whole gives. */
#include <string.h>

#include "schema/proc/pid_maps.h"
#include "tests/fuzz/fuzz.h"

static bool is_within(struct span span, const char *text, size_t len)
{
	return span.p >= text && span.n <= len && (size_t)(span.p - text) <= len - span.n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct span rest = { text, size }, piece = { text, size / 2 };
	struct pid_mapping mapping, early;

	while (pid_maps_next(&rest, true, &mapping)) {
		CHECK(mapping.start <= mapping.end && mapping.perms.n == 4);
		CHECK(is_within(mapping.perms, text, size) && is_within(mapping.name, text, size));
		CHECK(is_within(rest, text, size) && !memchr(mapping.name.p, '\n', mapping.name.n));
		if (piece.p && pid_maps_next(&piece, false, &early))
			CHECK(!memcmp(&early, &mapping, sizeof(mapping)));
		else
			piece.p = NULL;
	}
	return 0;
}
