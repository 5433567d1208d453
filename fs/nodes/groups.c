/* SPDX-License-Identifier: MIT */
/*
 * by-name/COMM/: all processes of one name together. The sums are made in one pass over the board, at most
 * once a tick, whoever asks for which group.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "fs/names.h"
#include "fs/nodes/nodes.h"
#include "fs/render.h"
#include "fs/view.h"

static const enum process_metric summed[] = { PROCESS_RSS, PROCESS_VMS, PROCESS_SHARED, PROCESS_SWAP };
enum { N_SUMMED = sizeof(summed) / sizeof(*summed), GROUP_COUNT = N_SUMMED };

struct group {
	uint32_t name; /* number in the table of names */
	uint64_t count;
	uint64_t sum[N_SUMMED];
};

struct groups {
	pthread_mutex_t lock;
	uint64_t event_head, generation; /* of the board, when the sums were made */
	size_t n, cap;
	struct group *group; /* ascending by name */
};

int groups_new(struct groups **ret)
{
	struct groups *groups = calloc(1, sizeof(*groups));

	if (!groups)
		return -ENOMEM;
	pthread_mutex_init(&groups->lock, NULL);
	*ret = groups;
	return 0;
}

void groups_free(struct groups *groups)
{
	if (!groups)
		return;
	pthread_mutex_destroy(&groups->lock);
	free(groups->group);
	free(groups);
}

/* A comm as the name of a directory: escaped, and nothing that a path would take otherwise. */
static void put_directory_name(struct buf *out, const char *comm)
{
	size_t n = strnlen(comm, BOARD_COMM);
	bool dots = !strcmp(comm, ".") || !strcmp(comm, "..");

	if (!n)
		buf_puts(out, "\\000");
	for (size_t i = 0; i < n; i++) {
		if (comm[i] == '/' || dots)
			buf_printf(out, "\\%03o", (unsigned)comm[i]);
		else
			buf_put_escaped(out, comm + i, 1);
	}
}

static int intern_comm(struct view *view, uint64_t dir_id, const char *comm, uint32_t *ret_name)
{
	char text[4 * BOARD_COMM];
	struct buf name = BUF_FIXED(text);

	put_directory_name(&name, comm);
	return names_intern(view->names, dir_id, (struct span) { name.data, name.len }, ret_name);
}

static int by_group_name(const void *left, const void *right)
{
	uint32_t a = ((const struct group *)left)->name, b = ((const struct group *)right)->name;
	return a < b ? -1 : a > b;
}

static struct group *new_group(struct groups *groups)
{
	if (groups->n == groups->cap) {
		size_t cap = groups->cap ? 2 * groups->cap : 64;
		struct group *grown = realloc(groups->group, cap * sizeof(*grown));
		if (!grown)
			return NULL;
		groups->group = grown;
		groups->cap = cap;
	}
	groups->group[groups->n] = (struct group) { 0 };
	return &groups->group[groups->n++];
}

static void merge_equal(struct groups *groups)
{
	size_t n = 0;

	qsort(groups->group, groups->n, sizeof(*groups->group), by_group_name);
	for (size_t i = 0; i < groups->n; i++) {
		const struct group *from = &groups->group[i];
		if (n && groups->group[n - 1].name == from->name) {
			groups->group[n - 1].count += from->count;
			for (unsigned s = 0; s < N_SUMMED; s++)
				groups->group[n - 1].sum[s] += from->sum[s];
		} else {
			groups->group[n++] = *from;
		}
	}
	groups->n = n;
}

/* The lock is held. */
static void refresh(struct view *view, uint64_t dir_id)
{
	struct groups *groups = view->groups;
	struct board_health health = { 0 };
	struct board_process process;
	uint64_t head = board_event_head(view->board);

	board_read_health(view->board, &health);
	if (groups->group && groups->generation == health.generation && groups->event_head == head)
		return;
	groups->n = 0;
	groups->generation = health.generation;
	groups->event_head = head;
	for (uint32_t pid = 0; (pid = board_next_pid(view->board, pid + 1));) {
		uint32_t name;
		struct group *group;
		if (board_read_process(view->board, pid, &process) != BOARD_FOUND ||
			intern_comm(view, dir_id, process.comm, &name) || !(group = new_group(groups)))
			continue;
		group->name = name;
		group->count = 1;
		for (unsigned s = 0; s < N_SUMMED; s++)
			group->sum[s] = metric_has(process.values.present, summed[s])
						? process.values.value[summed[s]]
						: 0;
	}
	merge_equal(groups);
}

/* The smallest group with a name number >= from. The lock is held. */
static const struct group *group_from(const struct groups *groups, uint32_t from)
{
	size_t low = 0, high = groups->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (groups->group[middle].name < from)
			low = middle + 1;
		else
			high = middle;
	}
	return low < groups->n ? &groups->group[low] : NULL;
}

/* A place's group as of now; -ENOENT where it has no member left. */
static int get_group(struct view *view, uint32_t name, struct group *ret)
{
	uint64_t parent = 0;

	names_get(view->names, name, &parent);
	pthread_mutex_lock(&view->groups->lock);
	refresh(view, parent);
	const struct group *group = group_from(view->groups, name);
	bool found = group && group->name == name;
	if (found)
		*ret = *group;
	pthread_mutex_unlock(&view->groups->lock);
	return found ? 0 : -ENOENT;
}

static bool next_name(
	struct view *view, const struct place *dir, uint16_t child_row, uint64_t *key, struct entry *ret)
{
	pthread_mutex_lock(&view->groups->lock);
	refresh(view, tree_id(dir));
	const struct group *group =
		group_from(view->groups, (uint32_t)*key); /* the key is the name's number + 1 */
	uint32_t name = group ? group->name : PLACE_NO_NAME;
	pthread_mutex_unlock(&view->groups->lock);
	if (name == PLACE_NO_NAME)
		return false;
	struct span text = names_get(view->names, name, NULL);
	size_t n = text.n < sizeof(ret->name) ? text.n : sizeof(ret->name) - 1;
	ret->place = *dir;
	ret->place.row = child_row;
	ret->place.name = name;
	memcpy(ret->name, text.p, n);
	ret->name[n] = 0;
	*key = (uint64_t)name + 1;
	return true;
}

static int find_name(
	struct view *view, const struct place *dir, uint16_t child_row, const char *name, struct place *ret)
{
	struct entry entry;

	for (uint64_t key = 0; next_name(view, dir, child_row, &key, &entry);) {
		if (!strcmp(entry.name, name)) {
			*ret = entry.place;
			return 0;
		}
	}
	return -ENOENT;
}

/* Groups come and go with their members, which no invalidation tells of: the kernel asks again each second.
 */
const struct node_list name_list = { next_name, find_name, 1000 };

static int number_render(
	struct view *view, const struct place *place, const struct caller *caller, struct buf *out)
{
	unsigned which = tree_node(view->tree, place)->arg;
	struct group group;
	int r = get_group(view, place->name, &group);

	if (r)
		return -ESRCH;
	buf_put_u64(out, which == GROUP_COUNT ? group.count : group.sum[which]);
	buf_putc(out, '\n');
	return 0;
}

static int stat_render(
	struct view *view, const struct place *place, const struct caller *caller, struct buf *out)
{
	struct group group;

	if (get_group(view, place->name, &group))
		return -ESRCH;
	render_key_u64(out, "count", group.count);
	for (unsigned s = 0; s < N_SUMMED; s++)
		render_key_u64(out, process_metrics.rows[summed[s]].name, group.sum[s]);
	return 0;
}

static int pids_render(
	struct view *view, const struct place *place, const struct caller *caller, struct buf *out)
{
	struct span wanted = names_get(view->names, place->name, NULL);
	struct board_process process;

	for (uint32_t pid = 0; (pid = board_next_pid(view->board, pid + 1));) {
		char text[4 * BOARD_COMM];
		struct buf name = BUF_FIXED(text);
		if (board_read_process(view->board, pid, &process) != BOARD_FOUND)
			continue;
		put_directory_name(&name, process.comm);
		if (name.len != wanted.n || memcmp(name.data, wanted.p, wanted.n) != 0)
			continue;
		buf_put_u64(out, pid);
		buf_putc(out, '\n');
	}
	return 0;
}

const struct node group_nodes[] = {
	README,
	{ "stat", 0444, NODE_NUMBER, "bytes",
		"count rss vms shared swap; rss counts shared pages once per process", .render = stat_render,
		.form = FORM_KEYED },
	{ "count", 0444, NODE_NUMBER, NULL, "how many processes", .render = number_render,
		.arg = GROUP_COUNT },
	{ "rss", 0444, NODE_NUMBER, "bytes", "sum of rss", .render = number_render, .arg = 0 },
	{ "vms", 0444, NODE_NUMBER, "bytes", "sum of vms", .render = number_render, .arg = 1 },
	{ "shared", 0444, NODE_NUMBER, "bytes", "sum of shared", .render = number_render, .arg = 2 },
	{ "swap", 0444, NODE_NUMBER, "bytes", "sum of swap", .render = number_render, .arg = 3 },
	{ "pids", 0444, NODE_TABLE, NULL, "their pids, one a line, ascending", .render = pids_render },
	{ 0 },
};
