/* SPDX-License-Identifier: MIT */
/*
 * Records of /dev/kmsg (Documentation/ABI/testing/dev-kmsg), and what the kernel's OOM killer says in them
 * (mm/oom_kill.c).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schema/base/kv.h"

struct kmsg_record {
	uint32_t facility; /* 0: the kernel's own; whoever may write to /dev/kmsg cannot claim it */
	uint64_t seq;
	uint64_t time_us; /* of the kernel's log clock, since the boot */
	struct span text; /* the message without its newline; in the record */
};

/* One record as one read(2) gives it: `prefix,seq,time,flags[,...];text`, then lines of a dictionary. False
 * where it is none. */
bool kmsg_record_parse(struct kmsg_record *ret, const char *record, size_t len);

enum kmsg_oom_kind {
	KMSG_OOM_KILLED, /* the killer chose it and sent SIGKILL */
	KMSG_OOM_REAPED, /* the reaper took its memory, of one that was killed before */
};
struct kmsg_oom {
	enum kmsg_oom_kind kind;
	uint32_t pid; /* in the first pid namespace */
};

/*
 * Whether the text says that the OOM killer ended a process: since Linux 2.6, of the whole machine, of a
 * memory cgroup, and of those that go with their group. Names that people choose cannot make other messages
 * of the kernel look like it.
 */
bool kmsg_oom_parse(struct kmsg_oom *ret, struct span text);
