/* SPDX-License-Identifier: MIT */
#include "fs/tree.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fs/names.h"
#include "fs/twin.h"
#include "fs/view.h"
#include "schema/base/when.h"

enum {
	WIDE_SHIFT = 63, /* a name or a span, or both */
	ROW_SHIFT = 54,
	PID_SHIFT = 32,
	/* Where wide: */
	PROCESS_SHIFT = 53,
	NAME_SPAN_SHIFT = 32,
	NAME_COUNT_BITS = 19,
	WIDE_PID_SHIFT = 31,
	PROCESS_SPAN_SHIFT = PLACE_SPAN_START_BITS,
	PROCESS_COUNT_BITS = 13,
	/* Cookies: static children are 1 + index; dynamic ones carry the row above and their key below. */
	COOKIE_KEY_BITS = 40,
};
#define BITS(n)  ((UINT64_C(1) << (n)) - 1)
#define PID_MASK BITS(22)
#define KEY_MASK BITS(COOKIE_KEY_BITS)

_Static_assert(N_WHEN_UNITS == 4, "two bits of an id");

/* The largest unit that measures the span whole, with the count of it above the two bits of the unit. */
static uint64_t span_pack(uint32_t span_s)
{
	unsigned unit = when_largest_unit(span_s);

	return (uint64_t)(span_s / when_unit[unit].seconds) << 2 | unit;
}

/* 0 where it is more than a span can be. */
static uint32_t span_unpack(uint64_t packed)
{
	uint64_t span_s = (packed >> 2) * when_unit[packed & 3].seconds;
	return span_s <= UINT32_MAX ? (uint32_t)span_s : 0;
}

bool tree_span_fits(uint32_t span_s, bool of_process)
{
	return span_s &&
	       span_pack(span_s) >> 2 < UINT64_C(1) << (of_process ? PROCESS_COUNT_BITS : NAME_COUNT_BITS);
}

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

	return (node->name || (node->list && node->shown && (node->list->next || node->hidden))) &&
	       (!content || node->render) && (node->class != NODE_DIR || node->children);
}

/* Twins follow after all other rows: no directory counts them among its children. */
static int make_twins(struct tree *tree)
{
	tree->first_twin = tree->n;
	for (uint16_t at = 1; at < tree->first_twin; at++) {
		const struct node *node = tree->row[at].node;
		struct tree_twin *twin = &tree->twin[tree->n - tree->first_twin];
		int n = 0;

		if (node->form == FORM_PLAIN)
			continue;
		if (tree->n == TREE_ROWS || tree->n - tree->first_twin == TREE_TWINS)
			return -EINVAL;
		if (node->name)
			n = snprintf(twin->name, sizeof(twin->name), "%s" TWIN_SUFFIX, node->name);
		if (n >= (int)sizeof(twin->name))
			return -EINVAL;
		twin->node = (struct node) { node->name ? twin->name : NULL, node->mode, NODE_TABLE,
			node->unit, node->doc, node->shown, twin_render, .list = node->list,
			.per_user = node->per_user, .unshared = node->unshared, .owner = node->owner,
			.guarded = node->guarded, .hidden = true };
		tree->row[at].twin = tree->n;
		tree->row[tree->n++] =
			(struct tree_row) { .node = &twin->node, .parent = tree->row[at].parent, .twin = at };
	}
	return 0;
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
		if (!row->node->doc || (at && !row_is_sound(row->node)))
			return -EINVAL;
		tree->fingerprint = mix(tree->fingerprint, row->node->name);
		tree->fingerprint = mix_number(tree->fingerprint, row->node->class);
		tree->fingerprint = mix_number(tree->fingerprint, row->node->form);
		tree->fingerprint = mix_number(tree->fingerprint, row->parent);
		row->first_child = tree->n;
		const struct node *child = row->node->children;
		for (; child && child->doc; child++) {
			if (child->class == NODE_NONE)
				continue;
			if (tree->n == TREE_ROWS)
				return -EINVAL;
			tree->row[tree->n++] = (struct tree_row) { .node = child, .parent = at };
			row->n_children++;
		}
		/* A row whose doc was forgotten is not the end. */
		if (child && (child->name || child->list))
			return -EINVAL;
	}
	return make_twins(tree);
}

uint64_t tree_id(const struct place *place)
{
	uint64_t row = (uint64_t)place->row << ROW_SHIFT, wide = UINT64_C(1) << WIDE_SHIFT | row;
	uint64_t span = place->span_s ? span_pack(place->span_s) : 0;

	if (!place->row)
		return TREE_ROOT_ID;
	if (place->span_s && place->pid)
		return wide | UINT64_C(1) << PROCESS_SHIFT | (uint64_t)place->pid << WIDE_PID_SHIFT |
		       span << PROCESS_SPAN_SHIFT | (place->start_ticks & BITS(PLACE_SPAN_START_BITS));
	if (place->span_s || place->name != PLACE_NO_NAME)
		return wide | span << NAME_SPAN_SHIFT | place->name;
	return row | (uint64_t)place->pid << PID_SHIFT | place->start_ticks;
}

static bool wide_place(uint64_t id, struct place *place)
{
	uint64_t span;

	if (id >> PROCESS_SHIFT & 1) {
		place->pid = (uint32_t)(id >> WIDE_PID_SHIFT & PID_MASK);
		place->start_ticks = (uint32_t)(id & BITS(PLACE_SPAN_START_BITS));
		span = id >> PROCESS_SPAN_SHIFT & BITS(PROCESS_COUNT_BITS + 2);
		place->span_s = span_unpack(span);
		return place->pid && place->span_s && span_pack(place->span_s) == span;
	}
	place->name = (uint32_t)id;
	span = id >> NAME_SPAN_SHIFT & BITS(NAME_COUNT_BITS + 2);
	place->span_s = span_unpack(span);
	return place->span_s ? span_pack(place->span_s) == span : !span && place->name != PLACE_NO_NAME;
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
	if (id >> WIDE_SHIFT) {
		if (!wide_place(id, &place))
			return false;
	} else {
		place.pid = (uint32_t)(id >> PID_SHIFT & PID_MASK);
		place.start_ticks = (uint32_t)id;
	}
	*ret = place;
	return true;
}

static bool is_there(struct view *view, const struct node *node, const struct place *place)
{
	return !node->exists || node->exists(view, place);
}

static bool find_child(const struct tree *tree, struct view *view, const struct place *dir, uint16_t row,
	const char *name, struct place *ret)
{
	const struct node *child = tree->row[row].node;
	struct place place = *dir;

	place.row = row;
	if (!child->name) {
		if (child->list->find(view, dir, row, name, &place))
			return false;
	} else if (strcmp(child->name, name) != 0 || !is_there(view, child, &place)) {
		return false;
	}
	*ret = place;
	return true;
}

/* NAME.json of the child NAME. */
static bool find_twin(const struct tree *tree, struct view *view, const struct place *dir, const char *name,
	struct place *ret)
{
	const struct tree_row *row = &tree->row[dir->row];
	char base[256];
	size_t n = strlen(name), suffix = strlen(TWIN_SUFFIX);

	if (n <= suffix || n >= sizeof(base) || strcmp(name + n - suffix, TWIN_SUFFIX) != 0)
		return false;
	memcpy(base, name, n - suffix);
	base[n - suffix] = 0;
	for (uint16_t i = 0; i < row->n_children; i++) {
		uint16_t child = (uint16_t)(row->first_child + i);
		if (tree->row[child].twin && find_child(tree, view, dir, child, base, ret)) {
			ret->row = tree->row[child].twin;
			return true;
		}
	}
	return false;
}

int tree_lookup(const struct tree *tree, struct view *view, const struct place *dir, const char *name,
	struct place *ret)
{
	const struct tree_row *row = &tree->row[dir->row];

	if (row->node->class != NODE_DIR)
		return -ENOTDIR;
	for (uint16_t i = 0; i < row->n_children; i++) {
		if (find_child(tree, view, dir, (uint16_t)(row->first_child + i), name, ret))
			return 0;
	}
	return find_twin(tree, view, dir, name, ret) ? 0 : -ENOENT;
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
		else if (node->list->put_name)
			node->list->put_name(view, place, out);
		else if (place->name != PLACE_NO_NAME)
			names_put(view->names, place->name, out);
		else
			buf_put_u64(out, place->pid);
		if (!node->name && chain[n] >= tree->first_twin)
			buf_puts(out, TWIN_SUFFIX);
		if (n)
			buf_putc(out, '/');
	}
}
