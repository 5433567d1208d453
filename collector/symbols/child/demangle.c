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

/* Where what the compiler and the linker add begins: clones of a function are that function, a version is not
 * its name. */
static size_t name_length(const char *name)
{
	static const char *const added[] = { ".isra.", ".part.", ".constprop.", ".cold", ".lto_priv.",
		".localalias", ".llvm." };
	size_t n = strcspn(name + 1, "@") + 1;

	for (size_t i = 0; i < sizeof(added) / sizeof(*added); i++) {
		const char *at = strstr(name + 1, added[i]);
		if (at && (size_t)(at - name) < n)
			n = (size_t)(at - name);
	}
	return n;
}

void demangle_put(struct buf *out, const char *name)
{
	CLEANUP_FREE char *bare = *name ? strndup(name, name_length(name)) : NULL;

	if (!bare)
		return;
	/* libiberty, not __cxa_demangle: it knows both manglings of Rust, and bounds its recursion. */
	CLEANUP_FREE char *plain = bare[0] == '_' && (bare[1] == 'Z' || bare[1] == 'R')
					   ? cplus_demangle(bare, DMGL_PARAMS | DMGL_ANSI | DMGL_AUTO)
					   : NULL;
	demangle_put_cut(out, plain ? plain : bare, WIRE_FUNCTION_MAX);
}
