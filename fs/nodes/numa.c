/* SPDX-License-Identifier: MIT */
/* nodes/NODE/numa/N/: the memory of each NUMA node. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "fs/names.h"
#include "fs/nodes/nodes.h"
#include "fs/view.h"
#include "schema/base/num.h"
#include "schema/proc/node_meminfo.h"
#include "schema/proc/node_online.h"

#define NUMA_DIR "devices/system/node/"

enum { MEMINFO_BYTES = 8192, ONLINE_BYTES = 4096 };

/* The smallest node that is online, of those >= from. */
static bool next_online(struct view *view, uint32_t from, uint32_t *ret_node)
{
	char text[ONLINE_BYTES];
	size_t len;

	return view->root.sys >= 0 &&
	       !proc_read_short(view->root.sys, NUMA_DIR "online", text, sizeof(text), &len) &&
	       node_online_next(text, len, from, ret_node);
}

static int intern_node(struct view *view, const struct place *dir, uint32_t node, uint32_t *ret_name)
{
	char text[NUM_TEXT_MAX];
	return names_intern(
		view->names, tree_id(dir), (struct span) { text, num_format_u64(text, node) }, ret_name);
}

static bool next_node(
	struct view *view, const struct place *dir, uint16_t child_row, uint64_t *key, struct entry *ret)
{
	uint32_t node;

	/* The key is the number of the last one and 1. */
	if (*key > UINT32_MAX || !next_online(view, (uint32_t)*key, &node))
		return false;
	ret->place = *dir;
	ret->place.row = child_row;
	if (intern_node(view, dir, node, &ret->place.name))
		return false;
	ret->name[num_format_u64(ret->name, node)] = 0;
	*key = (uint64_t)node + 1;
	return true;
}

static int find_node(
	struct view *view, const struct place *dir, uint16_t child_row, const char *name, struct place *ret)
{
	struct place place = *dir;
	uint64_t wanted;
	uint32_t node;

	if ((*name == '0' && name[1]) || !num_parse_whole(name, strlen(name), &wanted) ||
		wanted > UINT32_MAX || !next_online(view, (uint32_t)wanted, &node) || node != wanted ||
		intern_node(view, dir, node, &place.name))
		return -ENOENT;
	place.row = child_row;
	*ret = place;
	return 0;
}

/* Nodes are plugged in and out, and nobody tells. */
const struct node_list numa_list = { next_node, find_node, 1000 };

bool numa_exists(struct view *view, const struct place *place)
{
	uint32_t node;
	return next_online(view, 0, &node);
}

static int number_render(
	struct view *view, const struct place *place, const struct caller *caller, struct buf *out)
{
	unsigned metric = tree_node(view->tree, place)->arg;
	char array[64], text[MEMINFO_BYTES];
	struct buf path = BUF_FIXED(array);
	struct node_meminfo node;
	size_t len;

	buf_puts(&path, NUMA_DIR "node");
	names_put(view->names, place->name, &path);
	buf_puts(&path, "/meminfo");
	buf_putc(&path, '\0');
	int r = buf_error(&path) ? -ENODATA
				 : proc_read_short(view->root.sys, array, text, sizeof(text), &len);
	if (r) /* it was there at lookup */
		return r > 0 || r == -ENOENT ? -ENODATA : r;
	node_meminfo_parse(&node, text, len);
	if (!(node.present >> metric & 1))
		return -ENODATA;
	buf_put_u64(out, node.bytes[metric]);
	buf_putc(out, '\n');
	return 0;
}

const struct node numa_nodes[] = {
	README,
	{ "total", 0444, NODE_NUMBER, "bytes", "memory of the NUMA node: MemTotal", .render = number_render,
		.arg = NODE_METRIC_TOTAL },
	{ "used", 0444, NODE_NUMBER, "bytes", "total - free: MemUsed", .render = number_render,
		.arg = NODE_METRIC_USED },
	{ "free", 0444, NODE_NUMBER, "bytes", "memory that nothing uses: MemFree", .render = number_render,
		.arg = NODE_METRIC_FREE },
	{ "anon", 0444, NODE_NUMBER, "bytes", "mapped anonymous pages: AnonPages", .render = number_render,
		.arg = NODE_METRIC_ANON },
	{ "file", 0444, NODE_NUMBER, "bytes", "page cache, with tmpfs and shared memory: FilePages",
		.render = number_render, .arg = NODE_METRIC_FILE },
	{ 0 },
};
