/* SPDX-License-Identifier: MIT */
#include "fs/fuse/opens.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "fs/fuse/keep.h"
#include "schema/base/clock.h"

enum { SLOT_FREE, SLOT_OPEN, SLOT_CLEARING };
enum { PAGE = 4096, LENGTHS = 4096, INDEX_BITS = 12, KEPT_BYTES = 65536 };

/*
 * Memory of a large snapshot is given back some time after its release, and its place is not used before: a
 * predecessor that was killed while it gave memory back may be doing so still, in the kernel.
 */
static const int64_t clearing_ns = INT64_C(5000000000);
/* What one user but root may have of slots and bytes, and what is left for root alone. */
enum { SHARE = KEEP_OPENS / 4, RESERVE = KEEP_OPENS / 8 };
static const uint64_t share_bytes = KEEP_OPENS_BYTES / 4;
_Static_assert(1 << INDEX_BITS == KEEP_OPENS, "a handle holds the index of a slot");

struct opens {
	struct keep *keep;
	int64_t began_ns; /* CLOCK_MONOTONIC */
	pthread_mutex_t lock;
	uint32_t n_used;
	uint16_t used[KEEP_OPENS]; /* slots with bytes, ascending by offset */
	uint16_t n_free;
	uint16_t free[KEEP_OPENS];
	struct {
		uint64_t id;
		uint64_t len;
	} length[LENGTHS]; /* direct-mapped: a newcomer takes the place */
};

static uint64_t room(uint64_t len)
{
	return (len + PAGE - 1) / PAGE * PAGE;
}

static bool is_sound(const struct keep_open *slot)
{
	return (slot->state == SLOT_OPEN || (slot->state == SLOT_CLEARING && slot->len)) &&
	       slot->offset % PAGE == 0 && slot->len <= KEEP_OPENS_BYTES &&
	       slot->offset <= KEEP_OPENS_BYTES - slot->len;
}

static void insert_used(struct opens *opens, uint16_t index)
{
	uint32_t at = opens->n_used++;

	for (; at && opens->keep->open[opens->used[at - 1]].offset > opens->keep->open[index].offset; at--)
		opens->used[at] = opens->used[at - 1];
	opens->used[at] = index;
}

int opens_new(struct keep *keep, struct opens **ret)
{
	struct opens *opens = calloc(1, sizeof(*opens));

	if (!opens)
		return -ENOMEM;
	opens->keep = keep;
	opens->began_ns = clock_monotonic_ns();
	pthread_mutex_init(&opens->lock, NULL);
	for (unsigned i = KEEP_OPENS; i--;) {
		if (!is_sound(&keep->open[i])) {
			keep->open[i].state = SLOT_FREE;
			opens->free[opens->n_free++] = (uint16_t)i;
			continue;
		}
		if (keep->open[i].time_ns < 0 || keep->open[i].time_ns > opens->began_ns)
			keep->open[i].time_ns = opens->began_ns;
		if (keep->open[i].len)
			insert_used(opens, (uint16_t)i);
	}
	*ret = opens;
	return 0;
}

void opens_free(struct opens *opens)
{
	if (opens)
		pthread_mutex_destroy(&opens->lock);
	free(opens);
}

static uint64_t handle_of(const struct opens *opens, unsigned index)
{
	return (uint64_t)opens->keep->open[index].generation << INDEX_BITS | index;
}

struct keep_open *opens_get(struct opens *opens, uint64_t handle)
{
	struct keep_open *slot = &opens->keep->open[handle % KEEP_OPENS];
	return slot->state == SLOT_OPEN && slot->generation == handle >> INDEX_BITS ? slot : NULL;
}

bool opens_find_request(struct opens *opens, uint64_t unique, uint64_t id, uint64_t *ret_handle)
{
	bool found = false;

	pthread_mutex_lock(&opens->lock);
	for (unsigned i = 0; i < KEEP_OPENS && !found; i++) {
		const struct keep_open *slot = &opens->keep->open[i];
		found = slot->state == SLOT_OPEN && slot->unique == unique && slot->id == id;
		if (found)
			*ret_handle = handle_of(opens, i);
	}
	pthread_mutex_unlock(&opens->lock);
	return found;
}

/* First fit among the gaps between the used extents. The lock is held. */
static bool find_room(const struct opens *opens, uint64_t len, uint64_t *ret_offset)
{
	uint64_t at = 0;

	for (uint32_t i = 0; i < opens->n_used; i++) {
		const struct keep_open *slot = &opens->keep->open[opens->used[i]];
		if (slot->offset >= at && slot->offset - at >= room(len))
			break;
		/* A predecessor's may overlap. */
		if (slot->offset + room(slot->len) > at)
			at = slot->offset + room(slot->len);
	}
	*ret_offset = at;
	return at <= KEEP_OPENS_BYTES && room(len) <= KEEP_OPENS_BYTES - at;
}

static int fill_slot(struct opens *opens, uint16_t index, const char *bytes, size_t len)
{
	struct keep_open *slot = &opens->keep->open[index];
	uint64_t offset;

	if (!find_room(opens, len, &offset))
		return -EFBIG;
	slot->offset = offset;
	slot->len = len;
	if (len) {
		memcpy(opens->keep->open_bytes + offset, bytes, len);
		insert_used(opens, index);
	}
	return 0;
}

/* What is being cleared counts: else many opens one after the other would do what as many at once may not. */
static bool share_is_used(const struct opens *opens, uint32_t uid, uint64_t len)
{
	uint64_t bytes = 0;
	unsigned n = 0;

	for (uint32_t i = 0; i < opens->n_used; i++)
		bytes += room(opens->keep->open[opens->used[i]].len);
	/* A user's are not more than all are. */
	if (opens->n_free > KEEP_OPENS - SHARE && bytes + room(len) <= share_bytes)
		return false;
	bytes = 0;
	for (unsigned i = 0; i < KEEP_OPENS; i++) {
		const struct keep_open *slot = &opens->keep->open[i];
		if (slot->state == SLOT_FREE || slot->uid != uid)
			continue;
		n++;
		bytes += room(slot->len);
	}
	return n >= SHARE || (n && bytes + room(len) > share_bytes);
}

/* A slot with room for the bytes. The lock is held. */
static int claim_slot(struct opens *opens, uint32_t uid, const char *bytes, size_t len, uint16_t *ret_index)
{
	if (uid && share_is_used(opens, uid, len))
		return -EMFILE;
	if (opens->n_free <= (uid ? RESERVE : 0))
		return -ENFILE;
	*ret_index = opens->free[opens->n_free - 1];
	return fill_slot(opens, *ret_index, bytes, len);
}

/* The lock is held. */
static void free_slot(struct opens *opens, uint16_t index)
{
	opens->keep->open[index].state = SLOT_FREE;
	opens->free[opens->n_free++] = index;
	for (uint32_t i = 0; i < opens->n_used; i++) {
		if (opens->used[i] != index)
			continue;
		memmove(&opens->used[i], &opens->used[i + 1], (--opens->n_used - i) * sizeof(*opens->used));
		break;
	}
}

/* Gives back the memory of slots released that long ago. The lock is held. */
static void clear_slots(struct opens *opens, int64_t age_ns)
{
	int64_t now = clock_monotonic_ns();

	for (uint32_t i = opens->n_used; i--;) {
		uint16_t index = opens->used[i];
		struct keep_open *slot = &opens->keep->open[index];
		if (slot->state != SLOT_CLEARING || now - slot->time_ns < age_ns ||
			now - opens->began_ns < clearing_ns)
			continue;
		madvise(opens->keep->open_bytes + slot->offset, room(slot->len), MADV_REMOVE);
		free_slot(opens, index);
	}
}

int opens_add(struct opens *opens, uint64_t unique, uint64_t id, uid_t uid, const char *bytes, size_t len,
	int error, uint64_t *ret_handle)
{
	uint16_t index;

	pthread_mutex_lock(&opens->lock);
	int r = claim_slot(opens, uid, bytes, len, &index);
	if (r) {
		clear_slots(opens, 0);
		r = claim_slot(opens, uid, bytes, len, &index);
	}
	if (!r) {
		struct keep_open *slot = &opens->keep->open[index];
		opens->n_free--;
		*slot = (struct keep_open) {
			.generation = slot->generation + 1,
			.id = id,
			.unique = unique,
			.time_ns = clock_monotonic_ns(),
			.uid = uid,
			.error = error,
			.offset = slot->offset,
			.len = len,
		};
		atomic_store_explicit(&slot->state, SLOT_OPEN, memory_order_release);
		*ret_handle = handle_of(opens, index);
	}
	pthread_mutex_unlock(&opens->lock);
	return r;
}

int opens_read(struct opens *opens, uint64_t handle, size_t offset, size_t size, const char **ret_bytes,
	size_t *ret_len)
{
	const struct keep_open *slot = opens_get(opens, handle);

	if (!slot)
		return -ESTALE;
	if (slot->error)
		return -slot->error;
	size_t len = offset < slot->len ? slot->len - offset : 0;
	*ret_len = len < size ? len : size;
	*ret_bytes = opens->keep->open_bytes + slot->offset + (len ? offset : 0);
	return 0;
}

void opens_release(struct opens *opens, uint64_t handle)
{
	pthread_mutex_lock(&opens->lock);
	struct keep_open *slot = opens_get(opens, handle);
	if (slot && slot->len > KEPT_BYTES) {
		slot->time_ns = clock_monotonic_ns();
		slot->state = SLOT_CLEARING;
	} else if (slot) {
		free_slot(opens, (uint16_t)(handle % KEEP_OPENS));
	}
	pthread_mutex_unlock(&opens->lock);
}

void opens_tidy(struct opens *opens)
{
	pthread_mutex_lock(&opens->lock);
	clear_slots(opens, clearing_ns);
	pthread_mutex_unlock(&opens->lock);
}

static unsigned length_bucket(uint64_t id)
{
	return (unsigned)(id * UINT64_C(0x9e3779b97f4a7c15) >> 52) % LENGTHS;
}

int64_t opens_last_length(struct opens *opens, uint64_t id)
{
	unsigned at = length_bucket(id);

	pthread_mutex_lock(&opens->lock);
	int64_t len = opens->length[at].id == id ? (int64_t)opens->length[at].len : -1;
	pthread_mutex_unlock(&opens->lock);
	return len;
}

void opens_remember_length(struct opens *opens, uint64_t id, size_t len)
{
	unsigned at = length_bucket(id);

	pthread_mutex_lock(&opens->lock);
	opens->length[at].id = id;
	opens->length[at].len = len;
	pthread_mutex_unlock(&opens->lock);
}

void opens_each(struct opens *opens, void (*fn)(void *ctx, struct keep_open *slot), void *ctx)
{
	pthread_mutex_lock(&opens->lock);
	for (unsigned i = 0; i < KEEP_OPENS; i++) {
		if (opens->keep->open[i].state == SLOT_OPEN)
			fn(ctx, &opens->keep->open[i]);
	}
	pthread_mutex_unlock(&opens->lock);
}
