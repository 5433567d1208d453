/* SPDX-License-Identifier: MIT */
#include "fs/tree.h"

#include <errno.h>
#include <string.h>

#include "fs/names.h"
#include "fs/view.h"

enum {
	NAMED_SHIFT = 63,
	ROW_SHIFT = 54,
	PID_SHIFT = 32,
	/* Cookies: static children are 1 + index; dynamic ones carry the row above and their key below. */
	COOKIE_KEY_BITS = 40,
};
#define PID_MASK  UINT64_C(0x3fffff)
#define NAME_MASK ((UINT64_C(1) << ROW_SHIFT) - 1)
#define KEY_MASK  ((UINT64_C(1) << COOKIE_KEY_BITS) - 1)

static uint64_t mix_number(uint64_t hash, unsigned number)
{
	return (hash ^ number) * UINT64_C(1099511628211);
}

static uint64_t mix(uint64_t hash, const char *text)
{
	for (; text && *text; text++)
		hash = (hash ^ (unsigned char)*text) * UINT64_C(1099511628211);
	return (hash ^ 0xff) * UINT64_C(1099511628211);
}

static bool row_is_sound(const struct node *node)
{
	bool content = node->class != NODE_DIR && node->class != NODE_STREAM;

	return (node->name || (node->list && node->shown)) && (!content || node->render) &&
	       (node->class != NODE_DIR || node->children);
}

int tree_init(struct tree *tree, const struct node *root)
{
	memset(tree, 0, sizeof(*tree));
	tree->fingerprint = UINT64_C(14695981039346656037);
	tree->row[0] = (struct tree_row) { .node = root };
	tree->n = 1;
	/* Breadth first: the row numbers of one directory's children are consecutive. */
	for (uint16_t at = 0; at < tree->n; at++) {
		struct tree_row *row = &tree->row[at];
		if (!row->node->doc || (at && row->node->class != NODE_NONE && !row_is_sound(row->node)))
			return -EINVAL;
		tree->fingerprint = mix(tree->fingerprint, row->node->name);
		tree->fingerprint = mix_number(tree->fingerprint, row->node->class);
		tree->fingerprint = mix_number(tree->fingerprint, row->parent);
		row->first_child = tree->n;
		const struct node *child = row->node->children;
		for (; child && child->doc; child++) {
			if (tree->n == TREE_ROWS)
				return -EINVAL;
			tree->row[tree->n++] = (struct tree_row) { .node = child, .parent = at };
			row->n_children++;
		}
		/* A row whose doc was forgotten is not the end. */
		if (child && (child->name || child->list))
			return -EINVAL;
	}
	return 0;
}

uint64_t tree_id(const struct place *place)
{
	if (!place->row)
		return TREE_ROOT_ID;
	if (place->name != PLACE_NO_NAME)
		return UINT64_C(1) << NAMED_SHIFT | (uint64_t)place->row << ROW_SHIFT | place->name;
	return (uint64_t)place->row << ROW_SHIFT | (uint64_t)place->pid << PID_SHIFT | place->start_ticks;
}

bool tree_place(const struct tree *tree, uint64_t id, struct place *ret)
{
	struct place place = { .name = PLACE_NO_NAME };

	if (id == TREE_ROOT_ID) {
		*ret = place;
		return true;
	}
	place.row = (uint16_t)(id >> ROW_SHIFT & (TREE_ROWS - 1));
	if (!place.row || place.row >= tree->n)
		return false;
	if (id >> NAMED_SHIFT) {
		if ((id & NAME_MASK) >= PLACE_NO_NAME)
			return false;
		place.name = (uint32_t)(id & NAME_MASK);
	} else {
		place.pid = (uint32_t)(id >> PID_SHIFT & PID_MASK);
		place.start_ticks = (uint32_t)id;
	}
	*ret = place;
	return true;
}

static bool is_there(struct view *view, const struct node *node, const struct place *place)
{
	return node->class != NODE_NONE && (!node->exists || node->exists(view, place));
}

int tree_lookup(const struct tree *tree, struct view *view, const struct place *dir, const char *name,
	struct place *ret)
{
	const struct tree_row *row = &tree->row[dir->row];

	if (row->node->class != NODE_DIR)
		return -ENOTDIR;
	for (uint16_t i = 0; i < row->n_children; i++) {
		const struct node *child = tree->row[row->first_child + i].node;
		struct place place = *dir;

		place.row = (uint16_t)(row->first_child + i);
		if (!child->name) {
			if (child->list->find(view, dir, place.row, name, &place))
				continue;
		} else if (strcmp(child->name, name) != 0 || !is_there(view, child, &place)) {
			continue;
		}
		*ret = place;
		return 0;
	}
	return -ENOENT;
}

bool tree_next(const struct tree *tree, struct view *view, const struct place *dir, uint64_t *cookie,
	struct entry *ret)
{
	const struct tree_row *row = &tree->row[dir->row];
	uint64_t index = *cookie >> COOKIE_KEY_BITS, key = *cookie & KEY_MASK;

	for (; index < row->n_children; index++, key = 0) {
		uint16_t number = (uint16_t)(row->first_child + index);
		const struct node *child = tree->row[number].node;

		if (child->hidden)
			continue;
		if (!child->name) {
			if (!child->list->next(view, dir, number, &key, ret))
				continue;
			ret->node = child;
			*cookie = index << COOKIE_KEY_BITS | (key & KEY_MASK);
			return true;
		}
		ret->place = *dir;
		ret->place.row = number;
		if (key || !is_there(view, child, &ret->place))
			continue;
		ret->node = child;
		strcpy(ret->name, child->name);
		*cookie = (index + 1) << COOKIE_KEY_BITS;
		return true;
	}
	return false;
}

unsigned tree_entry_timeout_ms(const struct tree *tree, const struct place *place)
{
	const struct node *node = tree_node(tree, place);
	return node->list ? node->list->entry_timeout_ms : 0;
}

void tree_path(const struct tree *tree, struct view *view, const struct place *place, struct buf *out)
{
	uint16_t chain[16];
	size_t n = 0;

	for (uint16_t at = place->row; at && n < 16; at = tree->row[at].parent)
		chain[n++] = at;
	while (n--) {
		const struct node *node = tree->row[chain[n]].node;
		if (node->name)
			buf_puts(out, node->name);
		else if (node->list == view->node_list)
			buf_puts(out, view->node_name);
		else if (place->name != PLACE_NO_NAME)
			names_put(view->names, place->name, out);
		else
			buf_put_u64(out, place->pid);
		if (n)
			buf_putc(out, '/');
	}
}
