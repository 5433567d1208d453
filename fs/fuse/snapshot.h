/* SPDX-License-Identifier: MIT */
/*
 * The bytes behind numbers (class A). The kernel asks for a file's size and for its content in two requests;
 * both are answered from one rendering, or a reader would get a number cut or padded. So: the first request
 * for attributes after an invalidation renders; until the next one every request is served those bytes, and a
 * read never renders. The bytes are kept over a serve's death, for the sizes that the kernel was told outlive
 * it too.
 *
 * Thread-safe: one lock over all, since rendering a number never waits.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "fs/node.h"
#include "fs/tree.h"

struct keep;
struct snapshots;

struct snapshot_attr {
	int64_t mtime_ns;
	uint32_t len;
	/* For how long the kernel may keep attributes and content: until invalidated where 0, else
	 * milliseconds. */
	unsigned timeout_ms;
	bool resized; /* rendered just now, with another length than everybody knows */
};

int snapshots_new(struct keep *keep, const struct tree *tree, struct view *view, struct snapshots **ret);
void snapshots_free(struct snapshots *snapshots);

/*
 * Attributes of a number: renders it unless its bytes are of this tick. What could not be rendered has length
 * 1, so that the read which brings the errno comes at all.
 */
void snapshot_attr(struct snapshots *snapshots, const struct place *place, struct snapshot_attr *ret);

/* Copies at most `size` bytes from `offset` into out; stores how many. 0, or -errno that the rendering had.
 */
int snapshot_read(struct snapshots *snapshots, const struct place *place, size_t offset, size_t size,
	char *out, size_t *ret_len);

/*
 * A number that gained or lost a digit: the thread whose request rendered it is told the new length, but a
 * reader beside it, that looked at the old one a moment before, must not be given the new content until that
 * thread has made the length known, or the kernel cuts or pads it. Nothing says when; the thread's own read
 * does, or else SNAPSHOT_RESIZED_MS.
 */
enum { SNAPSHOT_RESIZED_MS = 30 };

/* Notes who was told the new length; after snapshot_attr said so. */
void snapshot_resized_for(struct snapshots *snapshots, const struct place *place, pid_t asker);

/* True where a read by `reader` must wait: it counts as parked until snapshot_unpark, and the ticker passes
 * it over. */
bool snapshot_park(struct snapshots *snapshots, const struct place *place, pid_t reader);
bool snapshot_settled(struct snapshots *snapshots, const struct place *place);
void snapshot_unpark(struct snapshots *snapshots, const struct place *place);

/* --- for the ticker --- */

/* Beyond so many warm numbers in a tick the kernel is given a timeout instead of a promise to be told. */
enum { SNAPSHOT_WARM_MAX = 5000 };

/*
 * The ids handed out since the last call, into an array of SNAPSHOT_WARM_MAX. Each must now be invalidated in
 * the kernel, then passed to snapshot_invalidated.
 */
size_t snapshots_take_warm(struct snapshots *snapshots, uint64_t *ret_ids);

/* False where it was handed out again meanwhile: then the invalidation must be repeated. */
bool snapshot_invalidated(struct snapshots *snapshots, uint64_t id);
