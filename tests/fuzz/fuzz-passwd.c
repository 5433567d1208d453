/* SPDX-License-Identifier: MIT */
/* passwd: names lie in the text, are not empty, and have no colon or newline. */
#include "schema/proc/passwd.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct span rest = { text, size };
	struct passwd user;

	while (passwd_next(&rest, &user)) {
		CHECK(user.name.n && user.name.p >= text && user.name.p + user.name.n <= text + size);
		CHECK(!memchr(user.name.p, ':', user.name.n) && !memchr(user.name.p, '\n', user.name.n));
	}
	CHECK(!rest.n);
	return 0;
}
