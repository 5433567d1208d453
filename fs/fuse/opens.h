/* SPDX-License-Identifier: MIT */
/*
 * Open tables and streams (classes C and D): the snapshot that an open file shows to all its reads, and where
 * a stream's reader stands. Kept over a serve's death, so that the next one goes on where a reader was.
 * Thread-safe.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct keep;
struct keep_open;
struct opens;

int opens_new(struct keep *keep, struct opens **ret);
void opens_free(struct opens *opens);

/* Bit 63 marks a request that the kernel sends again after its server died; the rest is the same. */
#define OPENS_UNIQUE(unique) ((unique) & ~(UINT64_C(1) << 63))

/* The handle that an OPEN request was given before it was sent again; false where it is new. */
bool opens_find_request(struct opens *opens, uint64_t unique, uint64_t id, uint64_t *ret_handle);

/*
 * Keeps a snapshot (or, with error, the errno that its reads bring) and stores its handle. 0; -EMFILE where
 * the user has a share of all already (root may have all); -ENFILE where too many files are open; -EFBIG,
 * -ENOMEM where the bytes find no room.
 */
int opens_add(struct opens *opens, uint64_t unique, uint64_t id, uid_t uid, const char *bytes, size_t len,
	int error, uint64_t *ret_handle);

/* The slot of a handle, valid until opens_release; NULL where there is none. */
struct keep_open *opens_get(struct opens *opens, uint64_t handle);

/* Bytes of a snapshot from offset; they stay until opens_release. 0 or -errno. */
int opens_read(struct opens *opens, uint64_t handle, size_t offset, size_t size, const char **ret_bytes,
	size_t *ret_len);

void opens_release(struct opens *opens, uint64_t handle);

/* Gives back the memory of large snapshots released a while ago; to be called about once a second. */
void opens_tidy(struct opens *opens);

/* The length of the last snapshot of a node id; -1 where none is remembered. */
int64_t opens_last_length(struct opens *opens, uint64_t id);
void opens_remember_length(struct opens *opens, uint64_t id, size_t len);

/* Calls fn with each open slot; the lock is held. */
void opens_each(struct opens *opens, void (*fn)(void *ctx, struct keep_open *slot), void *ctx);
