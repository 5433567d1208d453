/* SPDX-License-Identifier: MIT */
/* What stands after `-o`: taken or refused with a printable reason, and what is handed on to serve sets the
 * same.
 */
#include "fs/options.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct options options = OPTIONS_INIT, again = OPTIONS_INIT;
	struct buf words CLEANUP_BUF = BUF_INIT, words_again CLEANUP_BUF = BUF_INIT;
	struct err err = { 0 };
	char *text = malloc(size + 1);

	CHECK(text);
	if (size)
		memcpy(text, data, size);
	text[size] = 0;
	int r = options_set_all(&options, text, &err);
	CHECK(r == 0 || r == -EINVAL || r == -ERANGE);
	CHECK(err.code == -r && !*err.reason == !r && strlen(err.reason) < ERR_REASON_MAX);
	options_put(&options, &words);
	for (const char *at = words.data; at < words.data + words.len; at += strlen(at) + 1)
		CHECK(!options_set(&again, at, NULL));
	options_put(&again, &words_again);
	CHECK(words.len == words_again.len && !memcmp(words.data, words_again.data, words.len));
	options_deinit(&options);
	options_deinit(&again);
	free(text);
	return 0;
}
