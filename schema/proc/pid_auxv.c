/* SPDX-License-Identifier: MIT */
#include "schema/proc/pid_auxv.h"

#include <elf.h>
#include <string.h>

/* The whole vector of one width; false where no size of pages is in it that could be one. */
static bool parse(struct pid_auxv *ret, const char *bytes, size_t len, bool wide)
{
	struct pid_auxv auxv = { .wide = wide };
	size_t word = wide ? 8 : 4;

	for (size_t at = 0; at + 2 * word <= len; at += 2 * word) {
		uint64_t type = 0, value = 0;
		if (wide) {
			memcpy(&type, bytes + at, 8);
			memcpy(&value, bytes + at + 8, 8);
		} else {
			uint32_t narrow[2];
			memcpy(narrow, bytes + at, 8);
			type = narrow[0];
			value = narrow[1];
		}
		switch (type) {
		case AT_NULL:
			at = len - 2 * word;
			break;
		case AT_PAGESZ:
			auxv.page_bytes = value;
			break;
		case AT_SECURE:
			auxv.secure = value;
			break;
		case AT_BASE:
			auxv.interpreted = value;
			break;
		}
	}
	if (auxv.page_bytes < 4096 || auxv.page_bytes > 1 << 20 || auxv.page_bytes & (auxv.page_bytes - 1))
		return false;
	*ret = auxv;
	return true;
}

bool pid_auxv_parse(struct pid_auxv *ret, const void *bytes, size_t len)
{
	return parse(ret, bytes, len, true) || parse(ret, bytes, len, false);
}
