/* SPDX-License-Identifier: MIT */
/* by-name/COMM/, by-user/NAME/, by-unit/UNIT/: processes together. Which of them a row is below says the arg
 * of the row above it. */
#include "fs/groups.h"

#include <errno.h>
#include <string.h>

#include "fs/ask.h"
#include "fs/names.h"
#include "fs/nodes/nodes.h"
#include "fs/render.h"
#include "fs/view.h"
#include "schema/base/clock.h"
#include "schema/leak_text.h"

enum {
	GROUP_COUNT = N_GROUP_SUMS, /* beside enum group_sum, as arg of a number */
	MEASURE_MS = 30000,         /* for all members together */
	MEASURE_ONE_MS = 1000,
};

static enum group_kind kind_of_row(struct view *view, uint16_t row)
{
	return (enum group_kind)view->tree->row[row].node->arg;
}

/* Of a file in a group's directory. */
static enum group_kind kind_of(struct view *view, const struct place *place)
{
	return kind_of_row(view, view->tree->row[place->row].parent);
}

static struct span name_of(struct view *view, const struct place *place)
{
	return names_get(view->names, place->name, NULL);
}

/* The group of a file; -ESRCH where its last member is gone. */
static int get_group(struct view *view, const struct place *place, struct group *ret)
{
	int r = groups_get(view->groups, kind_of(view, place), name_of(view, place), ret);
	return r == -ENOENT ? -ESRCH : r;
}

static bool next_name(
	struct view *view, const struct place *dir, uint16_t child_row, uint64_t *key, struct entry *ret)
{
	uint32_t name;

	if (!groups_next(view->groups, kind_of_row(view, child_row), tree_id(dir), key, &name))
		return false;
	struct span text = names_get(view->names, name, NULL);
	size_t n = text.n < sizeof(ret->name) ? text.n : sizeof(ret->name) - 1;
	ret->place = *dir;
	ret->place.row = child_row;
	ret->place.name = name;
	memcpy(ret->name, text.p, n);
	ret->name[n] = 0;
	return true;
}

static int find_name(
	struct view *view, const struct place *dir, uint16_t child_row, const char *name, struct place *ret)
{
	const struct span text = { name, strlen(name) };
	struct group group;
	uint32_t number;

	if (groups_get(view->groups, kind_of_row(view, child_row), text, &group) ||
		names_intern(view->names, tree_id(dir), text, &number))
		return -ENOENT;
	*ret = *dir;
	ret->row = child_row;
	ret->name = number;
	return 0;
}

/* Groups come and go with their members, which no invalidation tells of: the kernel asks again each second.
 */
const struct node_list group_list = { next_name, find_name, 1000 };

static int number_render(
	struct view *view, const struct place *place, const struct caller *caller, struct buf *out)
{
	unsigned which = tree_node(view->tree, place)->arg;
	struct group group;
	int r = get_group(view, place, &group);

	if (r)
		return r;
	buf_put_u64(out, which == GROUP_COUNT ? group.count : group.sum[which]);
	buf_putc(out, '\n');
	return 0;
}

static int stat_render(
	struct view *view, const struct place *place, const struct caller *caller, struct buf *out)
{
	struct group group;
	int r = get_group(view, place, &group);

	if (r)
		return r;
	render_key_u64(out, "count", group.count);
	for (int i = 0; i < N_GROUP_SUMS; i++)
		render_key_u64(out, process_metrics.rows[group_metric[i]].name, group.sum[i]);
	if (group.pss_count)
		render_key_u64(out, "pss_last", group.pss_last);
	else
		render_key_unknown(out, "pss_last");
	render_key_u64(out, "pss_count", group.pss_count);
	return 0;
}

static int pids_render(
	struct view *view, const struct place *place, const struct caller *caller, struct buf *out)
{
	struct group_members members;
	struct board_process process;

	groups_begin_members(view->groups, kind_of(view, place), name_of(view, place), &members);
	while (groups_next_member(&members, &process)) {
		buf_put_u64(out, process.pid);
		buf_putc(out, '\n');
	}
	return out->len ? 0 : -ESRCH;
}

/*
 * One after the other, so that a group takes no more of the collector's workers than one process. Who ended
 * meanwhile, or has no memory of its own, has no part in the sum; who cannot be measured neither, unless
 * nobody can: then the errno of the first is the answer, ENODATA on a kernel without smaps_rollup. stat says
 * of how many pss_last is.
 */
static int pss_render(
	struct view *view, const struct place *place, const struct caller *caller, struct buf *out)
{
	const int64_t end_ns = clock_monotonic_ns() + INT64_C(1000000) * MEASURE_MS;
	struct group_members members;
	struct board_process process;
	uint64_t sum = 0, n = 0;
	int failure = -ESRCH;

	groups_begin_members(view->groups, kind_of(view, place), name_of(view, place), &members);
	while (groups_next_member(&members, &process)) {
		struct control_measured measured;
		if (failure == -ESRCH)
			failure = -ENODATA;
		if (process.kernel_thread)
			continue;
		if (clock_monotonic_ns() >= end_ns)
			return -ETIMEDOUT;
		int r = ask_measure_within(
			view, process.pid, process.start_ticks, caller, MEASURE_ONE_MS, &measured);
		if (r == -ECONNREFUSED)
			return r;
		if (!r) {
			sum += measured.pss;
			n++;
		} else if (r != -ESRCH && r != -ENODATA && r != -ENOENT && failure == -ENODATA) {
			failure = r;
		}
	}
	if (!n)
		return failure;
	buf_put_u64(out, sum);
	buf_putc(out, '\n');
	return 0;
}

/* As many members as one request has room for. */
static int leaks_group_render(
	struct view *view, const struct place *place, const struct caller *caller, struct buf *out)
{
	CLEANUP_BUF struct buf pids = BUF_INIT;
	struct group_members members;
	struct board_process process;

	groups_begin_members(view->groups, kind_of(view, place), name_of(view, place), &members);
	while (groups_next_member(&members, &process)) {
		if (pids.len + sizeof(process.pid) > CONTROL_PAYLOAD_MAX)
			return -EFBIG;
		buf_put(&pids, &process.pid, sizeof(process.pid));
	}
	if (buf_error(&pids))
		return buf_error(&pids);
	if (!pids.len)
		return -ESRCH;
	return ask_table(view, CONTROL_OP_LEAKS_OF, (struct span) { pids.data, pids.len }, caller, out);
}

static int cgroup_render(
	struct view *view, const struct place *place, const struct caller *caller, struct buf *out)
{
	struct board_cgroup cgroup;
	struct group group;
	int r = get_group(view, place, &group);

	if (r)
		return r;
	/* Units of one name in several cgroups, as of the managers of several users, have no number of their
	 * own. */
	if (group.n_cgroups != 1 || board_read_cgroup(view->board, group.cgroup, &cgroup) != BOARD_FOUND)
		return -ENODATA;
	return cgroup_file_render(
		&view->cgroup_mounts, &view->root, &cgroup, tree_node(view->tree, place)->arg, out);
}

#define GROUP_ROWS                                                                                                       \
	README,                                                                                                          \
		{ "stat", 0444, NODE_NUMBER, "bytes",                                                                    \
			"count rss vms shared swap pss_last pss_count; rss counts shared pages once per "                \
			"process, pss_last is of the pss_count processes measured so far",                               \
			.render = stat_render, .form = FORM_KEYED },                                                     \
		{ "count", 0444, NODE_NUMBER, NULL, "how many processes", .render = number_render,                       \
			.arg = GROUP_COUNT },                                                                            \
		{ "rss", 0444, NODE_NUMBER, "bytes", "sum of rss", .render = number_render,                              \
			.arg = GROUP_RSS },                                                                              \
		{ "vms", 0444, NODE_NUMBER, "bytes", "sum of vms", .render = number_render,                              \
			.arg = GROUP_VMS },                                                                              \
		{ "shared", 0444, NODE_NUMBER, "bytes", "sum of shared", .render = number_render,                        \
			.arg = GROUP_SHARED },                                                                           \
		{ "swap", 0444, NODE_NUMBER, "bytes", "sum of swap", .render = number_render,                            \
			.arg = GROUP_SWAP },                                                                             \
		{ "pss", 0444, NODE_TABLE, "bytes",                                                                      \
			"sum of pss, measured when opened, of those that can be measured",                               \
			.render = pss_render },                                                                          \
		{ "pids", 0444, NODE_TABLE, NULL, "their pids, one a line, ascending",                                   \
			.render = pids_render },                                                                         \
	{                                                                                                                \
		"leaks", 0444, NODE_TABLE, NULL,                                                                         \
			"suspect_bytes suspect_blocks live_bytes live_blocks oldest_age rate_1m caller "                 \
			"symbol module processes: call sites of the traced members that the reader may look into, "      \
			"as last counted; one site of several processes is one row, its caller the place in the module", \
			.render = leaks_group_render, .unshared = true, .form = FORM_TABLE,                              \
			.strings = LEAK_CALLERS_STRINGS                                                                  \
	}

const struct node group_nodes[] = {
	GROUP_ROWS,
	{ 0 },
};

const struct node unit_nodes[] = {
	GROUP_ROWS,
	{ "current", 0444, NODE_NUMBER, "bytes",
		"what its cgroup uses, page cache and kernel memory too: memory.current (v1: usage_in_bytes)",
		.render = cgroup_render, .arg = CGROUP_CURRENT },
	{ "peak", 0444, NODE_NUMBER, "bytes",
		"the most its cgroup ever used: memory.peak (v1: max_usage_in_bytes)",
		.render = cgroup_render, .arg = CGROUP_PEAK },
	{ "max", 0444, NODE_NUMBER, "bytes",
		"what its cgroup may use, or `max`: memory.max (v1: limit_in_bytes)", .render = cgroup_render,
		.arg = CGROUP_MAX },
	{ "pressure", 0444, NODE_NUMBER, NULL, "memory.pressure of its cgroup, byte for byte (v2)",
		.render = cgroup_render, .arg = CGROUP_PRESSURE },
	{ 0 },
};
