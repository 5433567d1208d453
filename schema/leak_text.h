/* SPDX-License-Identifier: MIT */
/* The tables below leaks/ as text: made by the collector of a living process, by serve of one that ended. */
#pragma once

#include "schema/leak.h"

/* --- callers --- */
#define LEAK_CALLERS_HEAD                                                                                    \
	"suspect_bytes\tsuspect_blocks\tlive_bytes\tlive_blocks\toldest_age\trate_1m\tcaller\tsymbol\tmodule\n"
#define LEAK_CALLERS_STRINGS "caller symbol module"

void leak_caller_put(struct buf *out, const struct leak_site *site);

/* The same over processes: of one row a process and site, and of sites that several processes have, whose
 * caller is the place in the module. */
#define LEAK_NODE_HEAD    "pid\tcomm\tsuspect_bytes\tsuspect_blocks\trate_1m\tcaller\tsymbol\tmodule\n"
#define LEAK_NODE_STRINGS "comm caller symbol module"
void leak_node_put(struct buf *out, uint32_t pid, struct span comm, const struct leak_site *site);

#define LEAK_GROUP_HEAD                                                                                      \
	"suspect_bytes\tsuspect_blocks\tlive_bytes\tlive_blocks\toldest_age\trate_1m\tcaller\tsymbol\tmodule\tprocesses\n"
void leak_group_put(struct buf *out, uint64_t processes, const struct leak_site *site);

/* --- records --- */
#define LEAK_RECORDS_HEAD    "time\tpid\tsize\taddr\tcaller\n"
#define LEAK_RECORDS_STRINGS "addr caller"

/* Room for one row. */
enum { LEAK_RECORD_MAX = 20 + 1 + 4 + 1 + 10 + 1 + 20 + 1 + 18 + 1 + 18 + 1 };

/* Rows of one process; what stands in many of them is made once. */
struct leak_record_text {
	char time[32], pid[16];
	unsigned time_len, pid_len; /* each with its TAB */
	int64_t time_ms;            /* that `time` is of; -1: none */
};
void leak_record_text_init(struct leak_record_text *text, uint32_t pid);

/* Writes a row at `at`, with room for LEAK_RECORD_MAX; returns the place behind it. caller 0: unknown. */
char *leak_record_write(struct leak_record_text *text, char *at, int64_t time_ms, uint64_t size_bytes,
	uint64_t addr, uint64_t caller);

/* How long that row is. */
size_t leak_record_len(
	struct leak_record_text *text, int64_t time_ms, uint64_t size_bytes, uint64_t addr, uint64_t caller);
