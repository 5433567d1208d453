/* SPDX-License-Identifier: MIT */
/* /proc/PID/mountinfo: refused and untouched, or spans within the line; a path escaped and back is the same.
 */
#include "schema/base/cleanup.h"
#include "schema/proc/mountinfo.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

static bool within(struct span part, struct span whole)
{
	return !part.n || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n);
}

static void check_escape(const uint8_t *data, size_t size)
{
	CLEANUP_FREE char *path = strndup((const char *)data, size);
	CLEANUP_BUF struct buf escaped = BUF_INIT;
	CLEANUP_BUF struct buf back = BUF_INIT;

	CHECK(path);
	mountinfo_escape(&escaped, path);
	buf_put_unescaped(&back, escaped.data, escaped.len);
	CHECK(back.len == strlen(path) && (!back.len || !memcmp(back.data, path, back.len)));
	CHECK(!escaped.len ||
		(!memchr(escaped.data, ' ', escaped.len) && !memchr(escaped.data, '\n', escaped.len)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span rest = { (const char *)data, size }, line, value;

	check_escape(data, size);
	while (span_line(&rest, &line)) {
		CLEANUP_BUF struct buf dir = BUF_INIT;
		struct mountinfo mount, before;
		memset(&mount, 0x5a, sizeof(mount));
		before = mount;
		if (!mountinfo_parse(line, &mount)) {
			CHECK(!memcmp(&mount, &before, sizeof(mount)));
			continue;
		}
		CHECK(within(mount.dir, line) && within(mount.type, line) && within(mount.options, line));
		if (mountinfo_option(&mount, "hidepid", &value))
			CHECK(within(value, mount.options));
		buf_put_unescaped(&dir, mount.dir.p, mount.dir.n);
		CHECK(dir.len <= mount.dir.n);
	}
	return 0;
}
