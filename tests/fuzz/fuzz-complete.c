/* SPDX-License-Identifier: MIT */
/* Completion: three texts, of which the first is the usage; what is offered is whole lines. */
#include "fs/commands/complete.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP_BUF struct buf text = BUF_INIT, out = BUF_INIT;

	buf_put(&text, data, size);
	buf_put(&text, "\0\0", 3);
	CHECK(!buf_error(&text));
	const char *usage = text.data, *before = usage + strlen(usage) + 1,
		   *word = before + strlen(before) + 1;
	complete_argument(&out, usage, before, word);
	CHECK(!buf_error(&out) && (!out.len || out.data[out.len - 1] == '\n'));
	return 0;
}
