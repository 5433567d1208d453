/* SPDX-License-Identifier: MIT */
/* /proc/PID/cgroup: the unit is the end of the path, both lie in the text, and a path that leads upward is
 * nowhere. */
#include "schema/proc/pid_cgroup.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct pid_cgroup cgroup;

	pid_cgroup_parse(&cgroup, text, size);
	if (!cgroup.path.n) {
		CHECK(!cgroup.unit.n && !cgroup.hierarchies);
		return 0;
	}
	CHECK(cgroup.path.p >= text && cgroup.path.p + cgroup.path.n <= text + size && *cgroup.path.p == '/');
	CHECK(cgroup.unit.n && cgroup.unit.p + cgroup.unit.n == cgroup.path.p + cgroup.path.n);
	CHECK(!memchr(cgroup.path.p, '\n', cgroup.path.n) && !memchr(cgroup.unit.p, '/', cgroup.unit.n));
	CHECK(!cgroup.hierarchies || !memmem(cgroup.path.p, cgroup.path.n, "/../", 4));
	CHECK(!span_equals(cgroup.unit, ".."));
	return 0;
}
