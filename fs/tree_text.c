/* SPDX-License-Identifier: MIT */
/* The tree as prose: docs/tree.md and the README of each directory, made from the same rows as the mount. */
#include <string.h>

#include "fs/tree.h"
#include "fs/twin.h"

static const struct {
	const char *letter, *word;
} class_text[] = {
	[NODE_NONE] = { "", "" },
	[NODE_DIR] = { "dir", "directory" },
	[NODE_LINK] = { "link", "link" },
	[NODE_NUMBER] = { "A", "number" },
	[NODE_SETTING] = { "B", "setting" },
	[NODE_TABLE] = { "C", "table" },
	[NODE_STREAM] = { "D", "stream" },
};

static const char *shown_name(const struct node *node)
{
	return node->name ? node->name : node->shown;
}

const char *tree_class_letter(enum node_class class)
{
	return class_text[class].letter;
}

void tree_put_name(const struct node *node, struct buf *out)
{
	buf_puts(out, shown_name(node));
	if (node->class == NODE_DIR)
		buf_putc(out, '/');
	if (node->form != FORM_PLAIN)
		buf_puts(out, "[" TWIN_SUFFIX "]");
}

void tree_pattern(const struct tree *tree, uint16_t row, struct buf *out)
{
	if (!row)
		return;
	if (tree->row[row].parent) {
		tree_pattern(tree, tree->row[row].parent, out);
		buf_putc(out, '/');
	}
	buf_puts(out, shown_name(tree->row[row].node));
}

void tree_markdown(const struct tree *tree, struct buf *out)
{
	buf_puts(out,
		"# The mounted tree\n\nMade by `memfs tree --markdown` from the tables in fs/nodes/; do not edit.\n"
		"A: number, cached by the kernel until the next tick. B: setting. C: table, a snapshot at each open. "
		"D: stream, blocks until there is news. NAME[.json]: NAME.json is the same for programs, found by name.\n");
	for (uint16_t dir = 0; dir < tree->n; dir++) {
		const struct tree_row *row = &tree->row[dir];
		if (row->node->class != NODE_DIR)
			continue;
		buf_puts(out, "\n## /");
		tree_pattern(tree, dir, out);
		buf_puts(out, "\n");
		buf_puts(out, row->node->doc);
		buf_puts(out, "\n\n| name | class | mode | unit | what |\n|---|---|---|---|---|\n");
		for (uint16_t i = 0; i < row->n_children; i++) {
			const struct node *child = tree->row[row->first_child + i].node;
			buf_puts(out, "| ");
			tree_put_name(child, out);
			buf_printf(out, " | %s | %04o | %s | %s%s |\n", class_text[child->class].letter,
				(unsigned)child->mode, child->unit ? child->unit : "", child->doc,
				child->hidden ? " (found by name, not listed)" : "");
		}
	}
}

void tree_readme(const struct tree *tree, uint16_t row_number, struct buf *out)
{
	const struct tree_row *row = &tree->row[row_number];

	for (uint16_t i = 0; i < row->n_children; i++) {
		const struct node *child = tree->row[row->first_child + i].node;
		if (child->hidden)
			continue;
		buf_printf(out, "%-20s %-9s %-8s %s\n", shown_name(child), class_text[child->class].word,
			child->unit ? child->unit : "-", child->doc);
	}
}
