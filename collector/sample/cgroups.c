/* SPDX-License-Identifier: MIT */
#include "collector/sample/cgroups.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct cgroup {
	struct cgroup *next; /* in its bucket */
	uint64_t id;
	uint32_t holders;
	uint32_t hierarchies;
	uint32_t len;
	char path[];
};

static struct cgroup **bucket_of(struct cgroups *cgroups, struct span path)
{
	uint64_t h = UINT64_C(14695981039346656037);

	for (size_t i = 0; i < path.n; i++)
		h = (h ^ (unsigned char)path.p[i]) * UINT64_C(1099511628211);
	return &cgroups->bucket[(h ^ h >> 32) & (CGROUP_BUCKETS - 1)];
}

static struct cgroup *find(struct cgroups *cgroups, struct span path, uint32_t hierarchies)
{
	struct cgroup *cgroup = *bucket_of(cgroups, path);

	while (cgroup && (cgroup->hierarchies != hierarchies || cgroup->len != path.n ||
				 memcmp(cgroup->path, path.p, path.n) != 0))
		cgroup = cgroup->next;
	return cgroup;
}

static struct cgroup *add(struct cgroups *cgroups, uint64_t id, struct span path, uint32_t hierarchies)
{
	struct cgroup **bucket = bucket_of(cgroups, path);
	struct cgroup *cgroup = malloc(sizeof(*cgroup) + path.n);

	if (!cgroup)
		return NULL;
	*cgroup = (struct cgroup) { *bucket, id, 0, hierarchies, (uint32_t)path.n };
	memcpy(cgroup->path, path.p, path.n);
	*bucket = cgroup;
	cgroups->by_slot[id % BOARD_CGROUPS] = cgroup;
	return cgroup;
}

static void drop(struct cgroups *cgroups, struct cgroup *cgroup)
{
	struct cgroup **link = bucket_of(cgroups, (struct span) { cgroup->path, cgroup->len });
	uint32_t slot = (uint32_t)(cgroup->id % BOARD_CGROUPS);

	while (*link != cgroup)
		link = &(*link)->next;
	*link = cgroup->next;
	board_clear_cgroup(cgroups->board, cgroup->id);
	cgroups->by_slot[slot] = NULL;
	cgroups->free[cgroups->n_free++] = slot;
	free(cgroup);
}

/* A slot that was left empty, or half-written, or is a second one of the same cgroup, is free. */
static int take_over_slot(struct cgroups *cgroups, uint32_t slot)
{
	struct board_cgroup was;

	if (board_read_cgroup_slot(cgroups->board, slot, &was) == BOARD_FOUND) {
		struct span path = { was.path, was.len };
		if (was.id / BOARD_CGROUPS > cgroups->serial)
			cgroups->serial = was.id / BOARD_CGROUPS;
		if (was.id && path.n && !find(cgroups, path, was.hierarchies))
			return add(cgroups, was.id, path, was.hierarchies) ? 0 : -ENOMEM;
	}
	cgroups->free[cgroups->n_free++] = slot;
	return 0;
}

int cgroups_init(struct cgroups *cgroups, struct board *board)
{
	int r = 0;

	*cgroups = (struct cgroups) { .board = board };
	cgroups->by_slot = calloc(BOARD_CGROUPS, sizeof(struct cgroup *));
	cgroups->free = calloc(BOARD_CGROUPS, sizeof(*cgroups->free));
	if (!cgroups->by_slot || !cgroups->free)
		r = -ENOMEM;
	cgroups->n_slots = board_cgroup_slots(board);
	for (uint32_t slot = 0; !r && slot < cgroups->n_slots; slot++)
		r = take_over_slot(cgroups, slot);
	if (r)
		cgroups_deinit(cgroups);
	return r;
}

void cgroups_deinit(struct cgroups *cgroups)
{
	for (uint32_t slot = 0; cgroups->by_slot && slot < cgroups->n_slots; slot++)
		free(cgroups->by_slot[slot]);
	free(cgroups->by_slot);
	free(cgroups->free);
	*cgroups = (struct cgroups) { 0 };
}

static struct cgroup *publish(struct cgroups *cgroups, struct span path, uint32_t hierarchies)
{
	struct board_cgroup shown = { .hierarchies = hierarchies, .len = (uint32_t)path.n };
	bool reuse = cgroups->n_free;

	if (!reuse && cgroups->n_slots == BOARD_CGROUPS)
		return NULL;
	uint32_t slot = reuse ? cgroups->free[cgroups->n_free - 1] : cgroups->n_slots;
	shown.id = (cgroups->serial + 1) * BOARD_CGROUPS + slot;
	struct cgroup *cgroup = add(cgroups, shown.id, path, hierarchies);
	if (!cgroup)
		return NULL;
	cgroups->serial++;
	if (reuse)
		cgroups->n_free--;
	else
		cgroups->n_slots++;
	memcpy(shown.path, path.p, path.n);
	board_write_cgroup(cgroups->board, &shown);
	return cgroup;
}

uint64_t cgroups_enter(struct cgroups *cgroups, const struct pid_cgroup *from)
{
	struct span path = from->path;
	uint32_t hierarchies = from->hierarchies;

	if (path.n >= BOARD_CGROUP_PATH) {
		path = from->unit;
		hierarchies = 0;
	}
	if (!path.n || path.n >= BOARD_CGROUP_PATH)
		return 0;
	struct cgroup *cgroup = find(cgroups, path, hierarchies);
	if (!cgroup)
		cgroup = publish(cgroups, path, hierarchies);
	if (!cgroup)
		return 0;
	cgroup->holders++;
	return cgroup->id;
}

static struct cgroup *by_id(const struct cgroups *cgroups, uint64_t id)
{
	struct cgroup *cgroup = cgroups->by_slot[id % BOARD_CGROUPS];
	return cgroup && cgroup->id == id ? cgroup : NULL;
}

uint64_t cgroups_hold(struct cgroups *cgroups, uint64_t id)
{
	struct cgroup *cgroup = by_id(cgroups, id);

	if (!cgroup)
		return 0;
	cgroup->holders++;
	return id;
}

void cgroups_leave(struct cgroups *cgroups, uint64_t id)
{
	struct cgroup *cgroup = by_id(cgroups, id);

	if (cgroup && !--cgroup->holders)
		drop(cgroups, cgroup);
}

void cgroups_settle(struct cgroups *cgroups)
{
	if (cgroups->settled)
		return;
	cgroups->settled = true;
	for (uint32_t slot = 0; slot < cgroups->n_slots; slot++) {
		struct cgroup *cgroup = cgroups->by_slot[slot];
		if (cgroup && !cgroup->holders)
			drop(cgroups, cgroup);
	}
}
