/* SPDX-License-Identifier: MIT */
/* /proc/PID/auxv: refused and untouched, or with a size of pages that can be one. */
#include "schema/proc/pid_auxv.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pid_auxv auxv, before;

	memset(&auxv, 0, sizeof(auxv));
	auxv.page_bytes = 7;
	before = auxv;
	if (!pid_auxv_parse(&auxv, data, size)) {
		CHECK(!memcmp(&auxv, &before, sizeof(auxv)));
		return 0;
	}
	CHECK(auxv.page_bytes >= 4096 && !(auxv.page_bytes & (auxv.page_bytes - 1)));
	CHECK(size >= (auxv.wide ? 16 : 8));
	return 0;
}
