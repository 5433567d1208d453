/* SPDX-License-Identifier: MIT */
/* Lists of wrappers and suppressions: patterns point into the text, every line is passed, and matching ends.
 */
#include <string.h>

#include "collector/symbols/noise.h"
#include "collector/symbols/skip.h"
#include "collector/symbols/suppress.h"
#include "tests/fuzz/fuzz.h"

enum { PATTERNS_MAX = 32, NAME_BYTES = 64 };

static bool is_within(struct span span, const char *text, size_t len)
{
	return span.n && span.p >= text && span.n <= len && (size_t)(span.p - text) <= len - span.n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct skip_pattern pattern[PATTERNS_MAX];
	char name[NAME_BYTES + 1];
	struct span rest = { text, size }, found;
	size_t n = 0, lines = 0;
	struct err err = { 0 };
	bool wrapper;
	int r;

	/* The end of the text is the name that is looked for. */
	size_t name_n = size < NAME_BYTES ? size : NAME_BYTES;
	memcpy(name, text + size - name_n, name_n);
	name[name_n] = 0;

	while (n < PATTERNS_MAX && (r = skip_next(&rest, &pattern[n], &err))) {
		CHECK(r == 1 || (r == -EINVAL && err.code == EINVAL && *err.reason));
		CHECK(++lines <= size);
		if (r == 1)
			CHECK(is_within(pattern[n++].text, text, size));
	}
	const struct skip_list lists[] = { skip_builtin, { pattern, n } };
	const struct skip_frame frame[] = { { name, name }, { NULL, name }, { name, NULL } };
	CHECK(skip_choose(lists, 2, frame, 3, &wrapper) < 3);
	if (n && !memchr(name, 0, name_n)) /* the same list twice decides the same */
		CHECK(skip_matches(&lists[1], 1, name, NULL) ==
			skip_matches((const struct skip_list[]) { lists[1], lists[1] }, 2, name, NULL));
	CHECK(noise_of(name, name, size) < N_NOISES);

	rest = (struct span) { text, size };
	for (lines = 0; (r = suppress_next(&rest, &found, NULL)); lines++) {
		CHECK((r == 1 || r == -EINVAL) && lines <= size);
		if (r != 1 || lines > PATTERNS_MAX)
			continue;
		CHECK(is_within(found, text, size));
		suppress_matches(found, name);
	}
	return 0;
}
