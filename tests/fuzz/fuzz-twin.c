/* SPDX-License-Identifier: MIT */
/* Tables and keyed lines as JSON: whatever they hold, what comes out is printable, balanced, and valid UTF-8.
 */
#include "fs/twin.h"
#include "schema/base/cleanup.h"
#include "tests/fuzz/fuzz.h"

/* Walks what was put: strings end, brackets match, nothing but JSON's own stands between. */
static void check_json(const char *p, size_t n)
{
	int depth = 0;
	bool string = false;

	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)p[i];
		if (string) {
			CHECK(c >= 0x20);
			if (c == '\\')
				CHECK(++i < n);
			else if (c == '"')
				string = false;
			continue;
		}
		if (c == '"')
			string = true;
		depth += (c == '{' || c == '[') - (c == '}' || c == ']');
		CHECK(depth >= 0);
		CHECK(c < 0x80 && (c >= 0x20 || c == '\n'));
	}
	CHECK(!string && !depth && n && p[n - 1] == '\n');
}

/* UTF-8 by its definition, told apart from the code that is tried. */
static void check_utf8(const char *p, size_t n)
{
	for (size_t i = 0; i < n;) {
		unsigned char c = (unsigned char)p[i++];
		unsigned more = c < 0x80 ? 0 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
		uint32_t code = more ? c & (0x3fU >> more) : c;
		CHECK(c < 0x80 || (c >= 0xc2 && c <= 0xf4));
		for (; more; more--, i++) {
			CHECK(i < n && ((unsigned char)p[i] & 0xc0) == 0x80);
			code = code << 6 | ((unsigned char)p[i] & 0x3f);
		}
		CHECK(code <= 0x10ffff && (code < 0xd800 || code > 0xdfff));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = { (const char *)data, size };
	CLEANUP_BUF struct buf table = BUF_INIT, keyed = BUF_INIT;

	twin_put_table(&table, text, "comm a");
	twin_put_keyed(&keyed, text, "comm a");
	CHECK(!buf_error(&table) && !buf_error(&keyed));
	check_json(table.data, table.len);
	check_json(keyed.data, keyed.len);
	check_utf8(table.data, table.len);
	check_utf8(keyed.data, keyed.len);
	return 0;
}
