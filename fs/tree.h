/* SPDX-License-Identifier: MIT */
/*
 * The tree over the tables: lookup, listing and node ids. No FUSE, no SQL.
 *
 * A node id is computed, never allocated: row, pid and start time, or row and index of a chosen name. So any
 * serve understands the ids that its predecessor handed out, forgetting costs nothing, and an id is never
 * used again for something else.
 *
 *   bit 63 = 0:            row (9 bits)  pid (22 bits)  start time (32 bits)
 *   bit 63 = 1, 53 = 0:    row (9 bits)  span (21 bits)  name (32 bits)
 *   bit 63 = 1, 53 = 1:    row (9 bits)  pid (22 bits)  span (15 bits)  start time (16 bits)
 *
 * A span is a unit (2 bits: seconds, minutes, hours, days) and a count of them. Of a process with a span the
 * id has the low bits of the start time: enough between a lookup and its open, and no such id is kept longer.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "fs/node.h"

enum { TREE_ROWS = 512, TREE_ROOT_ID = 1 };

struct tree_row {
	const struct node *node;
	uint16_t parent;
	uint16_t first_child; /* row of the first of node->children that is there */
	uint16_t n_children;
	uint16_t twin; /* the row that shows this one as JSON; of that one, the row that it shows. 0: none */
};

enum { TREE_TWINS = 128 };
struct tree_twin {
	struct node node;
	char name[48];
};

struct tree {
	struct tree_row row[TREE_ROWS];
	uint16_t n;
	struct tree_twin twin[TREE_TWINS];
	uint16_t first_twin;  /* rows from here on are twins */
	uint64_t fingerprint; /* of all names and shapes: equal tables number their rows alike */
};

/* Numbers the rows of the tables below `root`. 0 or -EINVAL where a row breaks a rule (no doc, no handler,
 * too many). */
int tree_init(struct tree *tree, const struct node *root);

/* The span must be one that tree_span_fits. */
uint64_t tree_id(const struct place *place);

/* Whether an id of a process, or of anything else, has room for a duration: a count of up to 8191, or 524287,
 * of its largest whole unit. */
bool tree_span_fits(uint32_t span_s, bool of_process);

/* The place of an id; false where the id is not one of this tree's. */
bool tree_place(const struct tree *tree, uint64_t id, struct place *ret);

static inline const struct node *tree_node(const struct tree *tree, const struct place *place)
{
	return tree->row[place->row].node;
}

/* The child of that name. 0, -ENOENT, -ENOTDIR. */
int tree_lookup(const struct tree *tree, struct view *view, const struct place *dir, const char *name,
	struct place *ret);

/*
 * Walks a directory: start with *cookie 0; each call stores one entry and the cookie to go on from, which
 * stays good over changes in between. False at the end.
 */
bool tree_next(const struct tree *tree, struct view *view, const struct place *dir, uint64_t *cookie,
	struct entry *ret);

/* How long the kernel may keep the entry of a place without asking, in milliseconds; 0: until told otherwise.
 */
unsigned tree_entry_timeout_ms(const struct tree *tree, const struct place *place);

/* "nodes/web-3/4711/rss", without a leading slash. */
void tree_path(const struct tree *tree, struct view *view, const struct place *place, struct buf *out);

/* The path as in documentation: "nodes/NODE/PID/rss". */
void tree_pattern(const struct tree *tree, uint16_t row, struct buf *out);

/* The name of a row as in documentation: "rss", "stat[.json]", "PID/". */
void tree_put_name(const struct node *node, struct buf *out);

/* "A" ... "D", "dir", "link". */
const char *tree_class_letter(enum node_class class);

/* The contract of the whole tree as Markdown: docs/tree.md. */
void tree_markdown(const struct tree *tree, struct buf *out);

/* README of a directory row: name, class, unit, a line each. */
void tree_readme(const struct tree *tree, uint16_t row, struct buf *out);
