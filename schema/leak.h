/* SPDX-License-Identifier: MIT */
/*
 * What memfs tells of the blocks that a traced process has: the words and numbers of leaks/, as the collector
 * makes them and serve shows them, of the living and of those that ended.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "schema/base/buf.h"
#include "schema/base/err.h"
#include "schema/base/kv.h"
#include "schema/shadow.h"

/* How a process is traced, as `leaks/trace` takes and reads it. */
struct leak_trace {
	uint32_t mode;       /* SHADOW_OFF, SHADOW_EXACT, SHADOW_SAMPLE or SHADOW_STACK */
	uint64_t rate_bytes; /* mean bytes between two samples, of the latter two; else 0 */
};

/* `off`, `exact`, `sample [BYTES]`, `stacks [BYTES]`, with or without a newline. 0, or -EINVAL, -ERANGE with
 * the reason. */
int leak_trace_parse(struct leak_trace *ret_trace, struct span text, struct err *err);

/* What leak_trace_parse takes, without a newline. Of a mode that is none of these `off`. */
void leak_trace_put(struct buf *out, const struct leak_trace *trace);

enum { LEAK_RATE_MIN = 1024 }; /* bytes: below, every block would do better with `exact` */
#define LEAK_RATE_MAX (UINT64_C(1) << 40)

/* What a process has, as last counted. Bytes and blocks of a sampled process are estimates without bias. */
struct leak_stat {
	struct leak_trace trace;
	int64_t since_ns;   /* epoch: since when blocks are recorded; 0: they are not */
	int64_t counted_ns; /* epoch; 0: never, and all below is unknown */
			    /* What they are is said there. */
#define LEAK_COUNT(name, doc) uint64_t name;
#include "schema/leak_counts.def"
#undef LEAK_COUNT
	uint64_t mapped_bytes; /* of its address space: vms has it too much */
	int64_t rate_1m;       /* of live_bytes, bytes per second; LEAK_RATE_UNKNOWN */
};
#define LEAK_RATE_UNKNOWN INT64_MIN

enum {
#define LEAK_COUNT(name, doc) LEAK_COUNT_##name,
#include "schema/leak_counts.def"
#undef LEAK_COUNT
	N_LEAK_COUNTS,
};

/* The same by number. LEAK_COUNT_UNKNOWN: stored by a memfs that did not count it. */
#define LEAK_COUNT_UNKNOWN UINT64_MAX
extern const char *const leak_count_key[N_LEAK_COUNTS];
uint64_t leak_count_get(const struct leak_stat *stat, unsigned count);
void leak_count_set(struct leak_stat *stat, unsigned count, uint64_t value);

/* A place in the code that allocates, and what it has. */
struct leak_site {
	uint64_t suspect_bytes, suspect_blocks, live_bytes, live_blocks;
	int64_t oldest_age_ms;      /* of its live blocks */
	int64_t rate_1m;            /* of live_bytes, bytes per second; LEAK_RATE_UNKNOWN */
	uint64_t caller;            /* return address; 0: unknown, or a name that the program gave */
	struct span symbol, module; /* any bytes; empty: unknown */
	uint64_t module_offset;     /* of caller in the module, where it has one */
	struct span build_id;       /* bytes of it; empty: none */
};

/* One order for all: most suspect bytes first, then most live bytes. */
int leak_site_compare(const struct leak_site *a, const struct leak_site *b);
