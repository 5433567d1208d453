/* SPDX-License-Identifier: MIT */
/* /proc/PID/stat: refused and untouched, or a struct that holds what the text has. */
#include "schema/base/num.h"
#include "schema/proc/pid_stat.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

static bool same(const struct pid_stat *a, const struct pid_stat *b)
{
	return a->pid == b->pid && !memcmp(a->comm, b->comm, sizeof(a->comm)) && a->comm_len == b->comm_len &&
	       a->state == b->state && a->ppid == b->ppid && a->flags == b->flags &&
	       a->minor_faults == b->minor_faults && a->major_faults == b->major_faults &&
	       a->threads == b->threads && a->start_ticks == b->start_ticks &&
	       a->vsize_bytes == b->vsize_bytes;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pid_stat stat, before, again;
	struct process_values values = { 0 };
	char pid[NUM_TEXT_MAX];

	/* A text that is torn tells no program from another. */
	CHECK(!size || data[size - 1] == ')' || !pid_stat_image((const char *)data, size) ||
		memchr(data, ')', size));
	memset(&stat, 0x5a, sizeof(stat));
	before = stat;
	if (!pid_stat_parse(&stat, (const char *)data, size)) {
		CHECK(!memcmp(&stat, &before, sizeof(stat)));
		return 0;
	}
	CHECK(stat.comm_len < sizeof(stat.comm) && !stat.comm[stat.comm_len]);
	CHECK((stat.state >= 'A' && stat.state <= 'Z') || (stat.state >= 'a' && stat.state <= 'z'));
	CHECK(memmem(data, size, stat.comm, stat.comm_len));
	CHECK(memmem(data, size, pid, num_format_u64(pid, stat.pid)));
	/* More fields behind it change nothing. */
	char *longer = malloc(size + 3);
	CHECK(longer);
	memcpy(longer, data, size);
	memcpy(longer + size, " 1\n", 3);
	CHECK(pid_stat_parse(&again, longer, size + 3) && same(&again, &stat));
	free(longer);
	pid_stat_values(&values, &stat);
	CHECK(values.value[PROCESS_MINOR_FAULTS] == stat.minor_faults);
	return 0;
}
