/* SPDX-License-Identifier: MIT */
#include "collector/symbols/child/demangle.h"

#include <libiberty/demangle.h>
#include <string.h>

#include "collector/symbols/wire.h"
#include "schema/base/cleanup.h"

void demangle_put_cut(struct buf *out, const char *text, size_t max)
{
	static const char mark[] = "…";
	size_t n = strnlen(text, max + 1);

	if (n <= max) {
		buf_put(out, text, n);
		return;
	}
	n = max - (sizeof(mark) - 1);
	while (n && ((unsigned char)text[n] & 0xc0) == 0x80)
		n--;
	buf_put(out, text, n);
	buf_puts(out, mark);
}

void demangle_put(struct buf *out, const char *name)
{
	/* libiberty, not __cxa_demangle: it knows both manglings of Rust, and bounds its recursion. */
	CLEANUP_FREE char *plain = name[0] == '_' && (name[1] == 'Z' || name[1] == 'R')
					   ? cplus_demangle(name, DMGL_PARAMS | DMGL_ANSI | DMGL_AUTO)
					   : NULL;
	const char *text = plain ? plain : name, *version = plain ? NULL : strchr(text + 1, '@');
	char cut[256];

	if (version && (size_t)(version - text) < sizeof(cut)) {
		memcpy(cut, text, (size_t)(version - text));
		cut[version - text] = 0;
		text = cut;
	}
	demangle_put_cut(out, text, WIRE_FUNCTION_MAX);
}
