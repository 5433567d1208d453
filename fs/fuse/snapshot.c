/* SPDX-License-Identifier: MIT */
#include "fs/fuse/snapshot.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "fs/fuse/keep.h"
#include "fs/view.h"
#include "schema/base/clock.h"

enum snapshot_flags {
	WARM = 1,        /* the kernel may hold it; on the ticker's list */
	RESIZED = 4,     /* not the length that a reader may know: see snapshot_park */
	PARKED = 1 << 8, /* counts from here: reads that wait */
	STALE = 2,       /* invalidated since it was rendered: the next request for attributes renders anew */
};

struct snapshots {
	struct keep *keep;
	const struct tree *tree;
	struct view *view;
	pthread_mutex_t lock;
	size_t n_warm;
	uint64_t warm[SNAPSHOT_WARM_MAX];
	size_t n_inherited;
	uint64_t inherited[(KEEP_SMALL_SETS + KEEP_LARGE_SETS) * KEEP_WAYS];
};

/* The high half of a product: a pid stands in the middle of an id, and its bits move up alone. */
static uint64_t scatter(uint64_t id)
{
	return (id ^ id >> 32) * UINT64_C(0x9e3779b97f4a7c15) >> 32;
}

/* Where the renderings of one size are: sets of KEEP_WAYS. */
struct shelf {
	_Atomic uint64_t *used;
	char *slots;
	size_t n_sets, slot_bytes, bytes; /* bytes: of a rendering */
};

static struct shelf small_shelf(struct keep *keep)
{
	return (struct shelf) { keep->small_used, (char *)keep->small, KEEP_SMALL_SETS,
		sizeof(struct keep_small), KEEP_SMALL_BYTES };
}

static struct shelf large_shelf(struct keep *keep)
{
	return (struct shelf) { keep->large_used, (char *)keep->large, KEEP_LARGE_SETS,
		sizeof(struct keep_large), KEEP_LARGE_BYTES };
}

static struct keep_snapshot *slot_at(const struct shelf *shelf, size_t set, unsigned way)
{
	return (struct keep_snapshot *)(void *)(shelf->slots + (set * KEEP_WAYS + way) * shelf->slot_bytes);
}

static bool is_used(const struct shelf *shelf, size_t set)
{
	return shelf->used[set / 64] >> set % 64 & 1;
}

/* A kept length is checked where it is used: a predecessor wrote it. */
static struct keep_snapshot *find_on(const struct shelf *shelf, uint64_t id)
{
	size_t set = scatter(id) % shelf->n_sets;

	for (unsigned way = 0; is_used(shelf, set) && way < KEEP_WAYS; way++) {
		struct keep_snapshot *slot = slot_at(shelf, set, way);
		if (slot->id == id && slot->len <= shelf->bytes)
			return slot;
	}
	return NULL;
}

static struct keep_snapshot *find(struct snapshots *snapshots, uint64_t id)
{
	const struct shelf small = small_shelf(snapshots->keep), large = large_shelf(snapshots->keep);
	struct keep_snapshot *slot = find_on(&small, id);

	return slot ? slot : find_on(&large, id);
}

/* The slot for a rendering of that length: its own, an empty one, or that of the oldest in the set. */
static struct keep_snapshot *claim(struct snapshots *snapshots, uint64_t id, size_t len)
{
	const struct shelf shelf =
		len <= KEEP_SMALL_BYTES ? small_shelf(snapshots->keep) : large_shelf(snapshots->keep);
	size_t set = scatter(id) % shelf.n_sets;
	struct keep_snapshot *best = NULL;

	/* Before the slot is: what the next serve finds unused is not looked at. */
	shelf.used[set / 64] |= UINT64_C(1) << set % 64;
	for (unsigned way = 0; way < KEEP_WAYS; way++) {
		struct keep_snapshot *slot = slot_at(&shelf, set, way);
		if (slot->id == id)
			return slot;
		if (!best || (best->id && (!slot->id || slot->mtime_ns < best->mtime_ns)))
			best = slot;
	}
	return best;
}

static struct keep_snapshot *render(
	struct snapshots *snapshots, const struct place *place, struct keep_snapshot *old)
{
	static const struct caller nobody = { (uid_t)-1, (gid_t)-1, 0 };
	const struct node *node = tree_node(snapshots->tree, place);
	uint64_t id = tree_id(place);
	uint32_t carried = old ? old->flags & ~(uint32_t)(STALE | RESIZED) : 0;
	char text[KEEP_LARGE_BYTES];
	struct buf buf = BUF_FIXED(text);
	int r = node->render(snapshots->view, place, &nobody, &buf);

	if (!r)
		r = buf_error(&buf);
	if (r) {
		text[0] = '\n';
		buf.len = 1;
	}
	struct keep_snapshot *slot = claim(snapshots, id, buf.len);
	if (old && old != slot)
		old->id = 0;
	slot->id = 0;
	memcpy(slot->bytes, text, buf.len);
	slot->len = (uint32_t)buf.len;
	slot->error = -r;
	slot->mtime_ns = clock_realtime_ns();
	slot->flags = carried;
	slot->id = id;
	return slot;
}

/* Marks it as held by the kernel. False where the ticker's list is full. */
static bool hand_out(struct snapshots *snapshots, struct keep_snapshot *slot)
{
	if (slot->flags & WARM)
		return true;
	if (snapshots->n_warm == SNAPSHOT_WARM_MAX)
		return false;
	slot->flags |= WARM;
	snapshots->warm[snapshots->n_warm++] = slot->id;
	return true;
}

/* What a predecessor handed out is in the kernel still, however much it is: it is invalidated first of all.
 */
static void inherit(struct snapshots *snapshots, struct keep_snapshot *slot)
{
	slot->flags &= STALE;
	if (!slot->id || slot->flags & STALE)
		return;
	slot->flags |= WARM;
	snapshots->inherited[snapshots->n_inherited++] = slot->id;
}

static void inherit_from(struct snapshots *snapshots, struct shelf shelf)
{
	for (size_t set = 0; set < shelf.n_sets; set++)
		for (unsigned way = 0; is_used(&shelf, set) && way < KEEP_WAYS; way++)
			inherit(snapshots, slot_at(&shelf, set, way));
}

int snapshots_new(struct keep *keep, const struct tree *tree, struct view *view, struct snapshots **ret)
{
	struct snapshots *snapshots = calloc(1, sizeof(*snapshots));

	if (!snapshots)
		return -ENOMEM;
	snapshots->keep = keep;
	snapshots->tree = tree;
	snapshots->view = view;
	pthread_mutex_init(&snapshots->lock, NULL);
	inherit_from(snapshots, small_shelf(keep));
	inherit_from(snapshots, large_shelf(keep));
	*ret = snapshots;
	return 0;
}

void snapshots_free(struct snapshots *snapshots)
{
	if (snapshots)
		pthread_mutex_destroy(&snapshots->lock);
	free(snapshots);
}

void snapshot_attr(struct snapshots *snapshots, const struct place *place, struct snapshot_attr *ret)
{
	bool settings = tree_node(snapshots->tree, place)->class == NODE_SETTING;

	pthread_mutex_lock(&snapshots->lock);
	struct keep_snapshot *slot = find(snapshots, tree_id(place));
	bool known = slot;
	uint32_t known_len = known ? slot->len : 0;
	bool unsettled = slot && slot->flags & RESIZED;
	ret->resized = false;
	if (!slot || slot->flags & STALE || settings) {
		slot = render(snapshots, place, slot);
		ret->resized = known && (slot->len != known_len || unsettled);
	}
	ret->len = slot->len;
	ret->mtime_ns = slot->mtime_ns;
	ret->timeout_ms = 0;
	/*
	 * Settings are never the ticker's: while a write to one is under way the kernel holds its page, and
	 * an invalidation would wait for it. The kernel asks for their attributes each time instead.
	 */
	if (settings) {
		ret->timeout_ms = 1;
	} else if (!hand_out(snapshots, slot)) {
		ret->timeout_ms = snapshots->view->freshness_ms;
		slot->flags |= STALE;
	}
	pthread_mutex_unlock(&snapshots->lock);
}

int snapshot_read(struct snapshots *snapshots, const struct place *place, size_t offset, size_t size,
	char *out, size_t *ret_len)
{
	int r;

	pthread_mutex_lock(&snapshots->lock);
	struct keep_snapshot *slot = find(snapshots, tree_id(place));
	if (!slot)
		slot = render(snapshots, place, NULL); /* evicted since: no size can be kept */
	r = -slot->error;
	if (!r) {
		size_t len = offset < slot->len ? slot->len - offset : 0;
		*ret_len = len < size ? len : size;
		memcpy(out, slot->bytes + (len ? offset : 0), *ret_len);
	}
	if (tree_node(snapshots->tree, place)->class == NODE_NUMBER)
		hand_out(snapshots, slot);
	pthread_mutex_unlock(&snapshots->lock);
	return r;
}

static bool is_settled(const struct keep_snapshot *slot)
{
	int64_t age_ns = clock_realtime_ns() - slot->mtime_ns;
	return !(slot->flags & RESIZED) || age_ns < 0 || age_ns > INT64_C(1000000) * SNAPSHOT_RESIZED_MS;
}

void snapshot_resized_for(struct snapshots *snapshots, const struct place *place, pid_t asker)
{
	pthread_mutex_lock(&snapshots->lock);
	struct keep_snapshot *slot = find(snapshots, tree_id(place));
	if (slot) {
		slot->flags |= RESIZED;
		slot->resized_for = (uint32_t)asker;
	}
	pthread_mutex_unlock(&snapshots->lock);
}

bool snapshot_park(struct snapshots *snapshots, const struct place *place, pid_t reader)
{
	bool wait = false;

	pthread_mutex_lock(&snapshots->lock);
	struct keep_snapshot *slot = find(snapshots, tree_id(place));
	if (slot && slot->flags & RESIZED) {
		wait = slot->resized_for != (uint32_t)reader && !is_settled(slot);
		if (wait)
			slot->flags += PARKED;
		else
			slot->flags &= ~(uint32_t)RESIZED;
	}
	pthread_mutex_unlock(&snapshots->lock);
	return wait;
}

bool snapshot_settled(struct snapshots *snapshots, const struct place *place)
{
	pthread_mutex_lock(&snapshots->lock);
	const struct keep_snapshot *slot = find(snapshots, tree_id(place));
	bool settled = !slot || is_settled(slot);
	pthread_mutex_unlock(&snapshots->lock);
	return settled;
}

void snapshot_unpark(struct snapshots *snapshots, const struct place *place)
{
	pthread_mutex_lock(&snapshots->lock);
	struct keep_snapshot *slot = find(snapshots, tree_id(place));
	if (slot && slot->flags >= PARKED)
		slot->flags -= PARKED;
	pthread_mutex_unlock(&snapshots->lock);
}

size_t snapshots_take_warm(struct snapshots *snapshots, uint64_t *ret_ids)
{
	size_t n = 0, left = 0;

	pthread_mutex_lock(&snapshots->lock);
	while (n < SNAPSHOT_WARM_MAX / 2 && snapshots->n_inherited) {
		uint64_t id = snapshots->inherited[--snapshots->n_inherited];
		struct keep_snapshot *slot = find(snapshots, id);
		if (slot)
			slot->flags &= ~(uint32_t)WARM;
		ret_ids[n++] = id;
	}
	for (size_t i = 0; i < snapshots->n_warm; i++) {
		uint64_t id = snapshots->warm[i];
		struct keep_snapshot *slot = find(snapshots, id);
		/* An invalidation waits for the page that a parked read holds: the next tick's, then. */
		if ((slot && slot->flags >= PARKED) || n == SNAPSHOT_WARM_MAX) {
			snapshots->warm[left++] = id;
			continue;
		}
		if (slot)
			slot->flags &= ~(uint32_t)WARM;
		ret_ids[n++] = id;
	}
	snapshots->n_warm = left;
	pthread_mutex_unlock(&snapshots->lock);
	return n;
}

bool snapshot_invalidated(struct snapshots *snapshots, uint64_t id)
{
	pthread_mutex_lock(&snapshots->lock);
	struct keep_snapshot *slot = find(snapshots, id);
	bool again = slot && slot->flags & WARM;
	if (slot && !again)
		slot->flags |= STALE;
	pthread_mutex_unlock(&snapshots->lock);
	return !again;
}
