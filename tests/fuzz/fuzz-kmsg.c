/* SPDX-License-Identifier: MIT */
/* A record of /dev/kmsg: its text lies within it and has no newline, a cut one is none, and who was killed is
 * named in the text. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schema/proc/kmsg.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *bytes = (const char *)data;
	struct kmsg_record record, torn;
	struct kmsg_oom oom;

	if (!kmsg_record_parse(&record, bytes, size)) {
		kmsg_oom_parse(&oom, (struct span) { bytes, size });
		return 0;
	}
	CHECK(record.text.p > bytes && record.text.p + record.text.n < bytes + size);
	CHECK(!memchr(record.text.p, '\n', record.text.n));
	CHECK(record.text.p[record.text.n] == '\n');
	CHECK(!kmsg_record_parse(&torn, bytes, (size_t)(record.text.p + record.text.n - bytes)));
	if (!kmsg_oom_parse(&oom, record.text))
		return 0;
	CHECK(oom.pid > 0 && oom.pid <= INT32_MAX);
	char *copy = strndup(record.text.p, record.text.n), *at = copy ? strstr(copy, " process ") : NULL;
	CHECK(at && strtoull(at + strlen(" process "), NULL, 10) == oom.pid);
	free(copy);
	return 0;
}
