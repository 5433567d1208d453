/* SPDX-License-Identifier: MIT */
#include "fs/groups.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "fs/names.h"
#include "fs/render.h"
#include "fs/users.h"
#include "schema/base/clock.h"
#include "schema/proc/pid_cgroup.h"

enum { TEXT_BYTES = 4096, MEMOS = 64, PASS_SHARE = 10, PASS_WAIT_NS = 100000000 };

const enum process_metric group_metric[N_GROUP_SUMS] = {
	[GROUP_RSS] = PROCESS_RSS,
	[GROUP_VMS] = PROCESS_VMS,
	[GROUP_SHARED] = PROCESS_SHARED,
	[GROUP_SWAP] = PROCESS_SWAP,
};

struct named_group {
	struct group group;
	uint64_t hash;
	size_t at, len; /* of its directory's name in texts */
};

/* The groups of one kind. Memory is kept from pass to pass. */
struct group_set {
	struct named_group *groups;
	size_t n, cap;
	uint32_t *buckets; /* index + 1; 0 empty; never more than half full */
	size_t n_buckets;  /* a power of two, or 0 */
	struct buf texts;
	uint32_t *order; /* numbers of their names, ascending; of this pass where ordered */
	size_t n_order, cap_order;
	bool ordered;
};

struct groups {
	const struct board *board;
	struct names *names;
	pthread_mutex_t lock; /* of what follows */
	struct users *users;
	struct group_set sets[N_GROUP_KINDS];
	bool made, failed;               /* a pass was made; memory ran out in it */
	uint64_t event_head, generation; /* of the board, when it was made */
	int64_t made_ns, cost_ns;        /* when it ended, and how long it took */
	uint32_t pass;
	/* Which groups users and cgroups are in, so that a pass looks them up once. */
	struct {
		uint32_t pass, uid, index;
	} user[MEMOS];
	struct slot_memo {
		uint64_t id;
		uint32_t pass, index;
	} * slots; /* of the board's cgroups */
	uint32_t n_slots;
};

int groups_new(const struct proc_root *root, const struct board *board, struct names *names,
	struct groups **ret_groups)
{
	struct groups *groups = calloc(1, sizeof(*groups));

	if (!groups || users_new(root, &groups->users)) {
		free(groups);
		return -ENOMEM;
	}
	groups->board = board;
	groups->names = names;
	pthread_mutex_init(&groups->lock, NULL);
	*ret_groups = groups;
	return 0;
}

void groups_free(struct groups *groups)
{
	if (!groups)
		return;
	for (int kind = 0; kind < N_GROUP_KINDS; kind++) {
		struct group_set *set = &groups->sets[kind];
		free(set->groups);
		free(set->buckets);
		free(set->order);
		buf_deinit(&set->texts);
	}
	free(groups->slots);
	users_free(groups->users);
	pthread_mutex_destroy(&groups->lock);
	free(groups);
}

static uint64_t hash_of(struct span text)
{
	uint64_t h = UINT64_C(14695981039346656037);

	for (size_t i = 0; i < text.n; i++)
		h = (h ^ (unsigned char)text.p[i]) * UINT64_C(1099511628211);
	return h ^ h >> 32;
}

static struct span text_of(const struct group_set *set, const struct named_group *group)
{
	return (struct span) { set->texts.data + group->at, group->len };
}

/* The bucket that has the group, or the empty one where it belongs. */
static uint32_t *find_bucket(const struct group_set *set, struct span text, uint64_t hash)
{
	size_t mask = set->n_buckets - 1;

	for (size_t at = hash & mask;; at = (at + 1) & mask) {
		uint32_t *bucket = &set->buckets[at];
		const struct named_group *group = *bucket ? &set->groups[*bucket - 1] : NULL;
		if (!group || (group->hash == hash && group->len == text.n &&
				      !memcmp(text_of(set, group).p, text.p, text.n)))
			return bucket;
	}
}

static int grow(struct group_set *set)
{
	size_t cap = set->cap ? 2 * set->cap : 64;
	struct named_group *groups = reallocarray(set->groups, cap, sizeof(*groups));

	if (!groups)
		return -ENOMEM;
	set->groups = groups;
	uint32_t *buckets = calloc(2 * cap, sizeof(*buckets));
	if (!buckets)
		return -ENOMEM;
	free(set->buckets);
	set->buckets = buckets;
	set->n_buckets = 2 * cap;
	set->cap = cap;
	for (size_t i = 0; i < set->n; i++)
		*find_bucket(set, text_of(set, &groups[i]), groups[i].hash) = (uint32_t)i + 1;
	return 0;
}

/* The index of the group of that name, made now if there was none. 0 or -ENOMEM. */
static int group_of_name(struct group_set *set, struct span text, uint32_t *ret_index)
{
	uint64_t hash = hash_of(text);

	if (set->n == set->cap && grow(set))
		return -ENOMEM;
	uint32_t *bucket = find_bucket(set, text, hash);
	if (!*bucket) {
		struct named_group group = { .hash = hash, .at = set->texts.len, .len = text.n };
		buf_put(&set->texts, text.p, text.n);
		if (buf_error(&set->texts))
			return -ENOMEM;
		set->groups[set->n++] = group;
		*bucket = (uint32_t)set->n;
	}
	*ret_index = *bucket - 1;
	return 0;
}

static int find_by_name(struct groups *groups, const struct board_process *process, uint32_t *ret_index)
{
	char array[TEXT_BYTES];
	struct buf text = BUF_FIXED(array);

	render_directory_name(&text, (struct span) { process->comm, strnlen(process->comm, BOARD_COMM) });
	return group_of_name(&groups->sets[GROUP_BY_NAME], (struct span) { text.data, text.len }, ret_index);
}

static int find_by_user(struct groups *groups, const struct board_process *process, uint32_t *ret_index)
{
	unsigned at = process->uid % MEMOS;
	char array[TEXT_BYTES];
	struct buf text = BUF_FIXED(array);
	int r = 0;

	if (groups->user[at].pass != groups->pass || groups->user[at].uid != process->uid) {
		users_put(groups->users, process->uid, &text);
		r = group_of_name(&groups->sets[GROUP_BY_USER], (struct span) { text.data, text.len },
			&groups->user[at].index);
		groups->user[at].pass = r ? 0 : groups->pass;
		groups->user[at].uid = process->uid;
	}
	*ret_index = groups->user[at].index;
	return r;
}

/* Cgroups that were not there yet when the pass began have no place in the memory of this one. */
static struct slot_memo *slot_memo(struct groups *groups, uint64_t id)
{
	uint32_t slot = (uint32_t)(id % BOARD_CGROUPS);

	return slot < groups->n_slots ? &groups->slots[slot] : NULL;
}

static bool put_unit(const struct board *board, uint64_t id, struct buf *out)
{
	struct board_cgroup cgroup;

	if (board_read_cgroup(board, id, &cgroup) != BOARD_FOUND)
		return false;
	render_directory_name(out, cgroup_unit((struct span) { cgroup.path, cgroup.len }));
	return true;
}

enum unit_outcome { IN_NO_UNIT = 1 };

static int find_by_unit(struct groups *groups, const struct board_process *process, uint32_t *ret_index)
{
	struct group_set *set = &groups->sets[GROUP_BY_UNIT];
	struct slot_memo *memo = slot_memo(groups, process->cgroup);
	char array[TEXT_BYTES];
	struct buf text = BUF_FIXED(array);

	if (!process->cgroup || !memo)
		return IN_NO_UNIT;
	if (memo->pass != groups->pass || memo->id != process->cgroup) {
		if (!put_unit(groups->board, process->cgroup, &text))
			return IN_NO_UNIT;
		if (group_of_name(set, (struct span) { text.data, text.len }, &memo->index))
			return -ENOMEM;
		memo->pass = groups->pass;
		memo->id = process->cgroup;
		struct group *group = &set->groups[memo->index].group;
		if (!group->n_cgroups++)
			group->cgroup = process->cgroup;
	}
	*ret_index = memo->index;
	return 0;
}

static void add(struct group *group, const struct process_values *values)
{
	group->count++;
	for (int i = 0; i < N_GROUP_SUMS; i++) {
		if (metric_has(values->present, group_metric[i]))
			group->sum[i] += values->value[group_metric[i]];
	}
	if (metric_has(values->present, PROCESS_PSS)) {
		group->pss_last += values->value[PROCESS_PSS];
		group->pss_count++;
	}
}

static int (*const find_group[N_GROUP_KINDS])(
	struct groups *groups, const struct board_process *process, uint32_t *ret_index) = {
	[GROUP_BY_NAME] = find_by_name,
	[GROUP_BY_USER] = find_by_user,
	[GROUP_BY_UNIT] = find_by_unit,
};

static void begin_pass(struct groups *groups)
{
	uint32_t n_slots = board_cgroup_slots(groups->board);

	groups->pass++;
	groups->failed = false;
	for (int kind = 0; kind < N_GROUP_KINDS; kind++) {
		struct group_set *set = &groups->sets[kind];
		set->n = 0;
		set->ordered = false;
		buf_clear(&set->texts);
		if (set->n_buckets)
			memset(set->buckets, 0, set->n_buckets * sizeof(*set->buckets));
	}
	if (n_slots > groups->n_slots) {
		struct slot_memo *slots = calloc(n_slots, sizeof(*slots));
		if (!slots) {
			groups->failed = true;
			return;
		}
		free(groups->slots);
		groups->slots = slots;
		groups->n_slots = n_slots;
	}
	users_refresh(groups->users);
}

static void make_pass(struct groups *groups)
{
	struct board_process process;

	begin_pass(groups);
	for (uint32_t pid = 0; (pid = board_next_pid(groups->board, pid + 1));) {
		if (board_read_process(groups->board, pid, &process) != BOARD_FOUND)
			continue;
		for (int kind = 0; kind < N_GROUP_KINDS; kind++) {
			uint32_t index;
			int r = find_group[kind](groups, &process, &index);
			if (!r)
				add(&groups->sets[kind].groups[index].group, &process.values);
			groups->failed |= r < 0;
		}
	}
}

/* The lock is held. 0, or -ENOMEM where the sums would be of some processes alone. */
static int refresh(struct groups *groups)
{
	struct board_health health = { 0 };
	uint64_t head = board_event_head(groups->board);
	int64_t begin_ns = clock_monotonic_ns();
	int64_t wait_ns =
		groups->cost_ns < PASS_WAIT_NS / PASS_SHARE ? groups->cost_ns * PASS_SHARE : PASS_WAIT_NS;

	board_read_health(groups->board, &health);
	bool same_tick = groups->made && !groups->failed && groups->generation == health.generation;
	if (!same_tick || (groups->event_head != head && begin_ns - groups->made_ns >= wait_ns)) {
		make_pass(groups);
		groups->made = true;
		groups->generation = health.generation;
		groups->event_head = head;
		groups->made_ns = clock_monotonic_ns();
		groups->cost_ns = groups->made_ns - begin_ns;
	}
	return groups->failed ? -ENOMEM : 0;
}

int groups_get(struct groups *groups, enum group_kind kind, struct span name, struct group *ret)
{
	const struct group_set *set = &groups->sets[kind];
	char array[TEXT_BYTES];
	struct buf text = BUF_FIXED(array);
	uint32_t uid;

	pthread_mutex_lock(&groups->lock);
	int r = refresh(groups);
	if (!r && kind == GROUP_BY_USER) {
		if (users_find(groups->users, name, &uid))
			users_put(groups->users, uid, &text);
		name = (struct span) { text.data, text.len };
	}
	if (!r) {
		uint32_t bucket = set->n ? *find_bucket(set, name, hash_of(name)) : 0;
		if (bucket)
			*ret = set->groups[bucket - 1].group;
		else
			r = -ENOENT;
	}
	pthread_mutex_unlock(&groups->lock);
	return r;
}

static int by_number(const void *left, const void *right)
{
	uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;
	return (a > b) - (a < b);
}

/* Numbers are given to the groups that are listed, not to all that pass by: they are never taken back. */
static void put_in_order(struct groups *groups, struct group_set *set, uint64_t dir_id)
{
	if (set->ordered)
		return;
	if (set->cap_order < set->n) {
		uint32_t *order = reallocarray(set->order, set->cap, sizeof(*order));
		if (!order)
			return;
		set->order = order;
		set->cap_order = set->cap;
	}
	set->n_order = 0;
	for (size_t i = 0; i < set->n; i++) {
		if (!names_intern(
			    groups->names, dir_id, text_of(set, &set->groups[i]), &set->order[set->n_order]))
			set->n_order++;
	}
	if (set->n_order)
		qsort(set->order, set->n_order, sizeof(*set->order), by_number);
	set->ordered = true;
}

bool groups_next(
	struct groups *groups, enum group_kind kind, uint64_t dir_id, uint64_t *key, uint32_t *ret_name)
{
	struct group_set *set = &groups->sets[kind];
	size_t low = 0;

	pthread_mutex_lock(&groups->lock);
	if (!refresh(groups))
		put_in_order(groups, set, dir_id);
	size_t n = set->ordered ? set->n_order : 0;
	/* The smallest number >= key, which is the last one's and 1. */
	for (size_t high = n; low < high;) {
		size_t middle = low + (high - low) / 2;
		if (set->order[middle] < *key)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < n) {
		*ret_name = set->order[low];
		*key = (uint64_t)*ret_name + 1;
	}
	pthread_mutex_unlock(&groups->lock);
	return low < n;
}

void groups_begin_members(
	struct groups *groups, enum group_kind kind, struct span name, struct group_members *ret)
{
	*ret = (struct group_members) { .board = groups->board, .kind = kind, .name = name };
	if (kind != GROUP_BY_USER)
		return;
	pthread_mutex_lock(&groups->lock);
	users_refresh(groups->users);
	ret->none = !users_find(groups->users, name, &ret->uid);
	pthread_mutex_unlock(&groups->lock);
}

static bool equals(const struct buf *text, struct span name)
{
	return text->len == name.n && !memcmp(text->data, name.p, name.n);
}

static bool is_member(struct group_members *members, const struct board_process *process)
{
	char array[TEXT_BYTES];
	struct buf text = BUF_FIXED(array);

	switch (members->kind) {
	case GROUP_BY_NAME:
		render_directory_name(
			&text, (struct span) { process->comm, strnlen(process->comm, BOARD_COMM) });
		return equals(&text, members->name);
	case GROUP_BY_USER:
		return process->uid == members->uid;
	case GROUP_BY_UNIT:
		if (process->cgroup && process->cgroup != members->cgroup) {
			members->cgroup = process->cgroup;
			members->cgroup_fits = put_unit(members->board, process->cgroup, &text) &&
					       equals(&text, members->name);
		}
		return process->cgroup && members->cgroup_fits;
	case N_GROUP_KINDS:
		break;
	}
	return false;
}

bool groups_next_member(struct group_members *members, struct board_process *ret)
{
	while (!members->none && (members->pid = board_next_pid(members->board, members->pid + 1))) {
		if (board_read_process(members->board, members->pid, ret) == BOARD_FOUND &&
			is_member(members, ret))
			return true;
	}
	members->none = true;
	return false;
}
