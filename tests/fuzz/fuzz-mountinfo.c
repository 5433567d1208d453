/* SPDX-License-Identifier: MIT */
/* mountinfo: its columns are words of one line of the text. */
#include "schema/proc/mountinfo.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct span rest = { text, size };
	struct mountinfo mount;

	while (mountinfo_next(&rest, &mount)) {
		const struct span columns[] = { mount.root, mount.point, mount.type, mount.options };
		for (size_t i = 0; i < sizeof(columns) / sizeof(*columns); i++) {
			CHECK(columns[i].n && columns[i].p >= text &&
				columns[i].p + columns[i].n <= text + size);
			CHECK(!memchr(columns[i].p, '\n', columns[i].n) &&
				!memchr(columns[i].p, ' ', columns[i].n));
		}
	}
	CHECK(!rest.n);
	return 0;
}
