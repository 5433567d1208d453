/* SPDX-License-Identifier: MIT */
/* Lines of keys: every span lies in the text, behind the one before, and the cursor always comes to the end.
 */
#include "schema/base/kv.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

static size_t walk(struct kv_cursor cursor, const char *text, size_t len)
{
	const char *before = text, *end = text + len;
	struct span key = { 0 }, value = { 0 };
	size_t n = 0;

	while (kv_next(&cursor, &key, &value)) {
		CHECK(key.n > 0 && key.p >= before && key.p + key.n <= end);
		CHECK(value.p >= key.p + key.n && value.p + value.n <= end);
		CHECK(!memchr(key.p, '\n', key.n) && !memchr(key.p, ' ', key.n) &&
			!memchr(value.p, '\n', value.n));
		CHECK(!value.n || (value.p[0] != ' ' && value.p[value.n - 1] != ' '));
		CHECK(cursor.at > before && cursor.at >= value.p + value.n && cursor.at <= end);
		before = cursor.at;
		CHECK(++n <= len);
	}
	struct span key_again = key;
	CHECK(!kv_next(&cursor, &key_again, &value) && key_again.p == key.p);
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct span rest = { text, size }, line, word;
	size_t lines = 0, with_words = 0;

	while (span_line(&rest, &line)) {
		CHECK(line.p >= text && line.p + line.n <= text + size && rest.n < size);
		lines++;
		with_words += span_word(&line, &word);
	}
	size_t keys = walk(kv_begin(text, size), text, size);
	CHECK(keys == with_words && keys <= lines);
	/* Complete lines are all, or all but the last. */
	size_t complete = walk(kv_begin_lines(text, size), text, size);
	CHECK(complete == keys || complete + 1 == keys);
	return 0;
}
