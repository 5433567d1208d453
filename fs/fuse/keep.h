/* SPDX-License-Identifier: MIT */
/*
 * What outlives a serve: a sparse memfd that the supervisor holds and each serve maps. It has the names
 * behind node ids, the bytes whose sizes the kernel was told, the snapshots of open files, and the refused
 * writes. A serve that is killed leaves it as it is; each part is written so that a half-done change is not
 * seen by the next.
 *
 * A predecessor that ran as the same user wrote it, so its contents are checked as input where they are
 * indexes or lengths.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
	KEEP_NAMES = 1 << 18, /* chosen names that can ever be interned */
	KEEP_NAMES_BYTES = 16 << 20,
	KEEP_SMALL_SETS = 8192,
	KEEP_SMALL_BYTES = 88,
	KEEP_LARGE_SETS = 512,
	KEEP_LARGE_BYTES = 16384, /* a number is a page, but the kernel's vmstat may be two */
	KEEP_WAYS = 8,
	KEEP_OPENS = 4096,
	KEEP_REFUSALS = 128, /* a power of two */
};
#define KEEP_OPENS_BYTES (UINT64_C(1) << 30)

struct keep_names {
	_Atomic uint32_t n; /* published last */
	uint32_t used;      /* of bytes */
	uint32_t offset[KEEP_NAMES];
	_Alignas(8) char bytes[KEEP_NAMES_BYTES];
};

#define KEEP_SNAPSHOT_HEAD                                                                                   \
	_Atomic uint64_t id; /* node id; 0: empty. Cleared before the rest changes, set after */             \
	int64_t mtime_ns;    /* epoch: when it was rendered */                                               \
	uint32_t len;                                                                                        \
	int32_t error;       /* errno that a read brings instead; 0 none */                                  \
	uint32_t flags;      /* of snapshot.c */                                                             \
	uint32_t resized_for /* the thread that was told of a greater length */

struct keep_snapshot {
	KEEP_SNAPSHOT_HEAD;
	char bytes[];
};
struct keep_small {
	KEEP_SNAPSHOT_HEAD;
	char bytes[KEEP_SMALL_BYTES];
};
struct keep_large {
	KEEP_SNAPSHOT_HEAD;
	char bytes[KEEP_LARGE_BYTES];
};

struct keep_open {
	_Atomic uint32_t state; /* enum of opens.c; set last when it becomes valid */
	uint32_t generation;    /* makes handles of one slot differ */
	uint64_t id;            /* node id */
	uint64_t unique;        /* of the OPEN request: one sent again finds its own slot */
	int64_t time_ns;        /* CLOCK_MONOTONIC */
	uint32_t uid;
	int32_t error;        /* errno that a read brings instead */
	uint64_t offset, len; /* in keep.open_bytes */
	uint64_t next_seq; /* streams: the line that the next read begins in, and the bytes of it already read
			    */
	uint64_t next_skip;
	uint64_t read_unique; /* streams: the last READ request answered, and where it began: it may be sent
				 again */
	uint64_t read_seq, read_skip;
	_Atomic uint64_t poll_handle; /* streams: whom to wake; 0 nobody */
};

struct keep_refusal {
	int64_t time_ns; /* epoch */
	uint32_t uid, pid, session;
	int32_t error;
	char path[256], written[64], reason[200]; /* NUL-terminated, escaped */
};

struct keep {
	uint64_t magic;
	uint64_t fingerprint; /* of the tree: rows of another one mean something else */
	struct keep_names names;
	/* A bit a set: written to at some time. The others have no memory yet, and a look would give them
	 * some. */
	_Atomic uint64_t small_used[KEEP_SMALL_SETS / 64];
	_Atomic uint64_t large_used[KEEP_LARGE_SETS / 64];
	struct keep_small small[KEEP_SMALL_SETS][KEEP_WAYS];
	struct keep_large large[KEEP_LARGE_SETS][KEEP_WAYS];
	struct keep_open open[KEEP_OPENS];
	_Atomic uint64_t served;     /* serves that began */
	_Atomic uint64_t board_seq;  /* of the board's events: what the kernel was told of */
	_Atomic uint64_t n_refusals; /* ever */
	struct keep_refusal refusal[KEEP_REFUSALS];
	_Alignas(4096) char open_bytes[KEEP_OPENS_BYTES];
};

/* Makes the memfd, sized and sealed. Returns the descriptor or -errno. */
int keep_create(void);

/* Whether a descriptor is such a memfd of this version: another one's has another size. */
bool keep_fits(int fd);

/*
 * Maps it. One that was made for a tree with another fingerprint is emptied first: the caller then mounts
 * anew. 0, 1 where it held such remains, or -errno.
 */
int keep_map(int fd, uint64_t fingerprint, struct keep **ret_keep);
void keep_unmap(struct keep *keep);
