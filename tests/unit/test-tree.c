/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "fs/names.h"
#include "fs/nodes/nodes.h"
#include "tests/unit/fs_world.h"

static int nothing_render(
	struct view *view, const struct place *place, const struct caller *caller, struct buf *out)
{
	return 0;
}

static bool key_next(
	struct view *view, const struct place *dir, uint16_t child_row, uint64_t *key, struct entry *ret)
{
	const struct world *world = world_of(view);

	for (unsigned i = 0; i < world->n_keys; i++) {
		if (world->keys[i] <= *key)
			continue;
		*key = world->keys[i];
		ret->place = (struct place) { child_row, world->keys[i], 5, PLACE_NO_NAME };
		snprintf(ret->name, sizeof(ret->name), "%u", world->keys[i]);
		return true;
	}
	return false;
}

static int key_find(
	struct view *view, const struct place *dir, uint16_t child_row, const char *name, struct place *ret)
{
	const struct world *world = world_of(view);

	for (unsigned i = 0; i < world->n_keys; i++) {
		char text[16];
		snprintf(text, sizeof(text), "%u", world->keys[i]);
		if (!strcmp(text, name)) {
			*ret = (struct place) { child_row, world->keys[i], 5, PLACE_NO_NAME };
			return 0;
		}
	}
	return -ENOENT;
}

static bool only_odd(struct view *view, const struct place *place)
{
	return place->pid % 2;
}

static const struct node_list key_list = { key_next, key_find, 700 };

/* Any count of seconds, "7s". */
static int span_find(
	struct view *view, const struct place *dir, uint16_t child_row, const char *name, struct place *ret)
{
	unsigned span_s = (unsigned)strtoul(name, NULL, 10);
	char text[16];

	snprintf(text, sizeof(text), "%us", span_s);
	if (!span_s || strcmp(text, name) != 0)
		return -ENOENT;
	*ret = *dir;
	ret->row = child_row;
	ret->span_s = span_s;
	return 0;
}

static void span_put(struct view *view, const struct place *place, struct buf *out)
{
	buf_printf(out, "%us", place->span_s);
}

static const struct node_list span_list = { NULL, span_find, 0, span_put };

static int table_render(
	struct view *view, const struct place *place, const struct caller *caller, struct buf *out)
{
	buf_printf(out, "span\tname\n%u\t7\n", place->span_s);
	return 0;
}

static const struct node item_nodes[] = {
	{ "size", 0444, NODE_NUMBER, "bytes", "a size", .render = nothing_render },
	{ "odd", 0444, NODE_NUMBER, NULL, "of odd ones alone", .render = nothing_render, .exists = only_odd },
	{ "table", 0400, NODE_TABLE, NULL, "with a twin", .render = table_render, .form = FORM_TABLE,
		.strings = "name" },
	{ NULL, 0444, NODE_TABLE, NULL, "of any duration", "DURATION", .render = table_render,
		.form = FORM_TABLE, .strings = "name", .list = &span_list, .hidden = true },
	{ 0 },
};
static const struct node dir_nodes[] = {
	{ "first", 0444, NODE_NUMBER, NULL, "first", .render = nothing_render },
	{ NULL, 0555, NODE_DIR, NULL, "an item", "ITEM", .children = item_nodes, .list = &key_list },
	{ "absent", 0444, NODE_NONE, NULL, "no file" },
	{ "secret", 0444, NODE_TABLE, NULL, "not listed", .render = nothing_render, .hidden = true },
	{ "last", 0444, NODE_STREAM, NULL, "last" },
	{ 0 },
};
static const struct node root_children[] = {
	{ "dir", 0555, NODE_DIR, NULL, "a directory", .children = dir_nodes },
	{ "file", 0644, NODE_SETTING, "ms", "a file", .render = nothing_render },
	{ 0 },
};
static const struct node toy_root = { "", 0555, NODE_DIR, NULL, "the root", .children = root_children };

static const struct place top = { .name = PLACE_NO_NAME };

static struct world *begin(void)
{
	struct world *world = calloc(1, sizeof(*world));

	assert_non_null(world);
	assert_int_equal(tree_init(&world->tree, &toy_root), 0);
	world->view.tree = &world->tree;
	return world;
}

static struct place look_up(struct world *world, const struct place *dir, const char *name)
{
	struct place place;

	assert_int_equal(tree_lookup(&world->tree, &world->view, dir, name, &place), 0);
	return place;
}

static void assert_not_there(struct world *world, const struct place *dir, const char *name)
{
	struct place place = { .row = 99 };

	assert_int_equal(tree_lookup(&world->tree, &world->view, dir, name, &place), -ENOENT);
	assert_int_equal(place.row, 99);
}

static void set_keys(struct world *world, const uint32_t *keys, unsigned n)
{
	memcpy(world->keys, keys, n * sizeof(*keys));
	world->n_keys = n;
}
#define SET_KEYS(world, ...)                                                                                 \
	set_keys(world, (const uint32_t[]) { __VA_ARGS__ },                                                  \
		sizeof((const uint32_t[]) { __VA_ARGS__ }) / sizeof(uint32_t))

static void finds_children_by_name(void **state)
{
	struct world *world = begin();
	SET_KEYS(world, 3, 4);
	struct place dir = look_up(world, &top, "dir"), item = look_up(world, &dir, "3");

	assert_string_equal(tree_node(&world->tree, &dir)->name, "dir");
	assert_int_equal(item.pid, 3);
	struct place size = look_up(world, &item, "size");
	assert_int_equal(size.pid, 3);
	assert_int_equal(size.start_ticks, 5);
	assert_string_equal(tree_node(&world->tree, &size)->name, "size");
	look_up(world, &dir, "secret");
	look_up(world, &dir, "first");
	assert_not_there(world, &dir, "absent");
	assert_not_there(world, &dir, "5");
	assert_not_there(world, &dir, "");
	assert_not_there(world, &dir, "firs");
	assert_not_there(world, &dir, "first ");
	assert_not_there(world, &top, "first");
	assert_int_equal(tree_lookup(&world->tree, &world->view, &size, "x", &dir), -ENOTDIR);
	free(world);
}

static void a_row_may_be_there_for_some_alone(void **state)
{
	struct world *world = begin();
	SET_KEYS(world, 3, 4);
	struct place dir = look_up(world, &top, "dir"), three = look_up(world, &dir, "3"),
		     four = look_up(world, &dir, "4");
	struct entry entry;
	uint64_t cookie = 0;

	look_up(world, &three, "odd");
	assert_not_there(world, &four, "odd");
	assert_true(tree_next(&world->tree, &world->view, &four, &cookie, &entry));
	assert_string_equal(entry.name, "size");
	assert_true(tree_next(&world->tree, &world->view, &four, &cookie, &entry));
	assert_string_equal(entry.name, "table");
	assert_false(tree_next(&world->tree, &world->view, &four, &cookie, &entry));
	free(world);
}

static void assert_next(struct world *world, const struct place *dir, uint64_t *cookie, const char *name)
{
	struct entry entry = { 0 };

	assert_true(tree_next(&world->tree, &world->view, dir, cookie, &entry));
	assert_string_equal(entry.name, name);
	assert_ptr_equal(entry.node, tree_node(&world->tree, &entry.place));
	struct place found = look_up(world, dir, name);
	assert_int_equal(tree_id(&found), tree_id(&entry.place));
}

static void lists_what_can_be_found(void **state)
{
	struct world *world = begin();
	SET_KEYS(world, 1, 20, 4194303);
	struct place dir = look_up(world, &top, "dir");
	struct entry entry;
	uint64_t cookie = 0;

	assert_next(world, &dir, &cookie, "first");
	assert_next(world, &dir, &cookie, "1");
	assert_next(world, &dir, &cookie, "20");
	assert_next(world, &dir, &cookie, "4194303");
	assert_next(world, &dir, &cookie, "last");
	assert_false(tree_next(&world->tree, &world->view, &dir, &cookie, &entry));
	cookie = UINT64_MAX >> 1;
	assert_false(tree_next(&world->tree, &world->view, &dir, &cookie, &entry));
	free(world);
}

static void a_cookie_goes_on_over_changes(void **state)
{
	struct world *world = begin();
	SET_KEYS(world, 10, 20, 30);
	struct place dir = look_up(world, &top, "dir");
	struct entry entry;
	uint64_t cookie = 0;

	assert_next(world, &dir, &cookie, "first");
	uint64_t first = cookie;
	assert_next(world, &dir, &cookie, "10");
	assert_next(world, &dir, &cookie, "20");
	/* The one it stands on goes, others come before and after. */
	SET_KEYS(world, 5, 25, 30);
	assert_next(world, &dir, &cookie, "25");
	uint64_t at_25 = cookie;
	SET_KEYS(world, 30);
	assert_next(world, &dir, &cookie, "30");
	world->n_keys = 0;
	assert_next(world, &dir, &cookie, "last");
	assert_false(tree_next(&world->tree, &world->view, &dir, &cookie, &entry));
	/* A cookie of earlier is as good: nobody is told twice, nobody who stayed is left out. */
	SET_KEYS(world, 20, 40);
	assert_next(world, &dir, &at_25, "40");
	assert_next(world, &dir, &first, "20");
	free(world);
}

static void assert_leads_back(const struct tree *tree, const struct place *place)
{
	struct place back = { 0 };
	uint64_t id = tree_id(place);

	assert_true(id > TREE_ROOT_ID);
	assert_true(tree_place(tree, id, &back));
	assert_int_equal(back.row, place->row);
	assert_int_equal(back.pid, place->pid);
	assert_int_equal(back.start_ticks, place->start_ticks);
	assert_int_equal(back.name, place->name);
	assert_int_equal(back.span_s, place->span_s);
}

/* All rows, with all a place can be: the id leads back to the very place. */
static void assert_round_trips(const struct tree *tree)
{
	static const uint32_t pids[] = { 0, 1, 4711, 4194303 }, starts[] = { 0, 1, UINT32_MAX },
			      names[] = { 0, 1, 262143, PLACE_NO_NAME - 1 };

	for (uint16_t row = 1; row < tree->n; row++) {
		for (int i = 0; i < 16; i++) {
			struct place place = { .row = row };
			if (i < 12) {
				place.pid = pids[i % 4];
				place.start_ticks = starts[i / 4];
				place.name = PLACE_NO_NAME;
			} else {
				place.name = names[i - 12];
			}
			assert_leads_back(tree, &place);
		}
	}
}

static void ids_lead_back_for_every_row(void **state)
{
	struct world *world = begin();
	struct tree *tree = malloc(sizeof(*tree));
	struct place place;

	assert_non_null(tree);
	assert_round_trips(&world->tree);
	assert_int_equal(tree_init(tree, &root_node), 0);
	assert_true(tree->n > 50);
	assert_round_trips(tree);
	assert_int_equal(tree_id(&top), TREE_ROOT_ID);
	assert_true(tree_place(tree, TREE_ROOT_ID, &place));
	assert_int_equal(place.row, 0);
	assert_int_equal(place.name, PLACE_NO_NAME);
	free(tree);
	free(world);
}

/* A row that is there for any duration: of the node, of a process, of something with a number. */
static void ids_with_a_span_lead_back(void **state)
{
	static const uint32_t spans[] = { 1, 59, 60, 61, 600, 3600, 5000, 7200, 8191, 86400, 30 * 86400,
		8191 * 60, 8191 * 3600, 8191U * 86400 };
	struct world *world = begin();

	for (size_t i = 0; i < sizeof(spans) / sizeof(*spans); i++) {
		struct place of_node = { .row = 1, .name = PLACE_NO_NAME, .span_s = spans[i] };
		struct place of_name = { .row = 1, .name = 262143, .span_s = spans[i] };
		struct place of_process = { 2, 4194303, 0x1234abcd, PLACE_NO_NAME, spans[i] }, back;
		assert_true(tree_span_fits(spans[i], true));
		assert_leads_back(&world->tree, &of_node);
		assert_leads_back(&world->tree, &of_name);
		assert_true(tree_place(&world->tree, tree_id(&of_process), &back));
		assert_int_equal(back.row, 2);
		assert_int_equal(back.pid, 4194303);
		assert_int_equal(back.span_s, spans[i]);
		/* Of the start time as many bits as there is room for. */
		assert_true(place_started(&back, 0x1234abcd));
		assert_false(place_started(&back, 0x1234abce));
		assert_false(place_started(&back, 0x123481cd));
	}
	assert_false(tree_span_fits(0, false));
	assert_false(tree_span_fits(8192 + 1, true));
	assert_true(tree_span_fits(8192 + 1, false));
	assert_false(tree_span_fits(524288 + 1, false));
	assert_true(tree_span_fits(49710U * 86400, false));
	free(world);
}

static void ids_of_nothing_are_refused(void **state)
{
	struct world *world = begin();
	struct place place = { .row = 99 };
	const uint64_t wide = UINT64_C(1) << 63 | UINT64_C(1) << 54, of_process = UINT64_C(1) << 53;
	const uint64_t ids[] = { 0, 2, UINT64_C(1) << 63, (uint64_t)world->tree.n << 54, UINT64_C(511) << 54,
		UINT64_MAX, wide | PLACE_NO_NAME, wide | UINT64_C(120) << 34, /* two minutes in seconds */
		wide | UINT64_C(0x7ffff) << 34 | UINT64_C(3) << 32, /* more days than seconds can tell */
		wide | of_process | UINT64_C(1) << 31,              /* no span */
		wide | of_process | UINT64_C(60) << 18 | UINT64_C(1) << 31,
		wide | of_process | UINT64_C(7) << 18 /* no pid */ };

	for (size_t i = 0; i < sizeof(ids) / sizeof(*ids); i++)
		assert_false(tree_place(&world->tree, ids[i], &place));
	assert_int_equal(place.row, 99);
	free(world);
}

static int init_with(const struct node *row)
{
	const struct node rows[] = { *row, { 0 } };
	const struct node root = { "", 0555, NODE_DIR, NULL, "the root", .children = rows };
	struct tree *tree = malloc(sizeof(*tree));

	assert_non_null(tree);
	int r = tree_init(tree, &root);
	free(tree);
	return r;
}

static void assert_twin(struct world *world, const struct place *twin, const char *wanted, const char *path)
{
	struct caller caller = { 0 };
	CLEANUP_BUF struct buf text = BUF_INIT, found = BUF_INIT;

	assert_int_equal(
		tree_node(&world->tree, twin)->mode, tree_node(&world->tree, twin)->list ? 0444 : 0400);
	assert_int_equal(tree_node(&world->tree, twin)->render(&world->view, twin, &caller, &text), 0);
	buf_putc(&text, 0);
	assert_string_equal(text.data, wanted);
	tree_path(&world->tree, &world->view, twin, &found);
	buf_putc(&found, 0);
	assert_string_equal(found.data, path);
}

static void tables_have_twins_that_are_found_and_not_listed(void **state)
{
	struct world *world = begin();
	SET_KEYS(world, 3);
	struct place dir = look_up(world, &top, "dir"), item = look_up(world, &dir, "3"),
		     twin = look_up(world, &item, "table.json"), of_span = look_up(world, &item, "90s.json"),
		     back;
	struct entry entry;
	uint64_t cookie = 0;

	assert_twin(world, &twin, "[\n{\"span\":0,\"name\":\"7\"}\n]\n", "dir/3/table.json");
	assert_twin(world, &of_span, "[\n{\"span\":90,\"name\":\"7\"}\n]\n", "dir/3/90s.json");
	assert_true(tree_place(&world->tree, tree_id(&of_span), &back));
	assert_int_equal(back.row, of_span.row);
	assert_not_there(world, &item, "size.json");
	assert_not_there(world, &item, ".json");
	assert_not_there(world, &item, "json");
	assert_not_there(world, &item, "table.json.json");
	assert_not_there(world, &item, "90.json");
	while (tree_next(&world->tree, &world->view, &item, &cookie, &entry))
		assert_null(strstr(entry.name, "json"));
	free(world);
}

static void unsound_rows_are_refused(void **state)
{
	const struct node good = { "a", 0444, NODE_NUMBER, NULL, "good", .render = nothing_render };
	struct node bad = good;

	assert_int_equal(init_with(&good), 0);
	bad.render = NULL;
	assert_int_equal(init_with(&bad), -EINVAL);
	bad = good;
	bad.doc = NULL;
	assert_int_equal(init_with(&bad), -EINVAL);
	bad = good;
	bad.name = NULL;
	assert_int_equal(init_with(&bad), -EINVAL);
	bad.list = &key_list;
	assert_int_equal(init_with(&bad), -EINVAL);
	bad.shown = "ITEM";
	assert_int_equal(init_with(&bad), 0);
	bad = good;
	bad.class = NODE_DIR;
	assert_int_equal(init_with(&bad), -EINVAL);
	bad.children = item_nodes;
	assert_int_equal(init_with(&bad), 0);
	const struct node no_doc = { "", 0555, NODE_DIR, NULL, NULL, .children = item_nodes };
	struct tree *tree = malloc(sizeof(*tree));
	assert_non_null(tree);
	assert_int_equal(tree_init(tree, &no_doc), -EINVAL);
	free(tree);
}

static void a_row_that_nobody_finds_or_lists_is_refused(void **state)
{
	struct node row = { NULL, 0444, NODE_NUMBER, NULL, "found alone", "ITEM", .render = nothing_render,
		.list = &span_list };

	assert_int_equal(init_with(&row), -EINVAL);
	row.hidden = true;
	assert_int_equal(init_with(&row), 0);
}

static void more_rows_than_an_id_can_tell_are_refused(void **state)
{
	struct node *rows = calloc(TREE_ROWS + 1, sizeof(*rows));
	const struct node root = { "", 0555, NODE_DIR, NULL, "the root", .children = rows };
	struct tree *tree = malloc(sizeof(*tree));

	assert_non_null(rows);
	assert_non_null(tree);
	for (int i = 0; i < TREE_ROWS - 1; i++)
		rows[i] = dir_nodes[0];
	assert_int_equal(tree_init(tree, &root), 0);
	rows[TREE_ROWS - 1] = dir_nodes[0];
	assert_int_equal(tree_init(tree, &root), -EINVAL);
	free(tree);
	free(rows);
}

static uint64_t fingerprint_of(const struct node *left, const struct node *right)
{
	const struct node rows[] = {
		{ "left", 0555, NODE_DIR, NULL, "left", .children = left },
		{ "right", 0555, NODE_DIR, NULL, "right", .children = right },
		{ 0 },
	};
	const struct node root = { "", 0555, NODE_DIR, NULL, "the root", .children = rows };
	struct tree *tree = malloc(sizeof(*tree));

	assert_non_null(tree);
	assert_int_equal(tree_init(tree, &root), 0);
	uint64_t fingerprint = tree->fingerprint;
	free(tree);
	return fingerprint;
}

/* An id of one table must not be taken for one of another where it means something else. */
static void tables_of_another_shape_have_another_fingerprint(void **state)
{
	struct node a[] = { item_nodes[0], dir_nodes[0], { 0 } }, b[] = { dir_nodes[4], { 0 } };
	struct node shorter[] = { item_nodes[0], { 0 } }, longer[] = { dir_nodes[0], dir_nodes[4], { 0 } };
	uint64_t fingerprint = fingerprint_of(a, b);

	assert_true(fingerprint == fingerprint_of(a, b));
	/* A row that moved to the other directory: the same names in the same order. */
	assert_true(fingerprint != fingerprint_of(shorter, longer));
	b[0].name = "latest";
	assert_true(fingerprint != fingerprint_of(a, b));
	b[0].name = "last";
	assert_true(fingerprint == fingerprint_of(a, b));
	/* A number that became a table. */
	a[0].class = NODE_TABLE;
	assert_true(fingerprint != fingerprint_of(a, b));
}

static void assert_path(struct world *world, const struct place *place, const char *wanted)
{
	CLEANUP_BUF struct buf path = BUF_INIT;

	tree_path(&world->tree, &world->view, place, &path);
	buf_putc(&path, 0);
	assert_string_equal(path.data, wanted);
}

static uint16_t row_named(const struct tree *tree, const char *pattern)
{
	for (uint16_t row = 1; row < tree->n; row++) {
		CLEANUP_BUF struct buf text = BUF_INIT;
		tree_pattern(tree, row, &text);
		buf_putc(&text, 0);
		if (!strcmp(text.data, pattern))
			return row;
	}
	fail_msg("no row %s", pattern);
	return 0;
}

static void paths_of_places(void **state)
{
	struct world *world = begin();
	uint32_t number;
	SET_KEYS(world, 4711);
	struct place dir = look_up(world, &top, "dir"), item = look_up(world, &dir, "4711"),
		     size = look_up(world, &item, "size");

	assert_path(world, &top, "");
	assert_path(world, &dir, "dir");
	assert_path(world, &item, "dir/4711");
	assert_path(world, &size, "dir/4711/size");
	assert_int_equal(row_named(&world->tree, "dir/ITEM/size"), size.row);
	assert_int_equal(tree_entry_timeout_ms(&world->tree, &item), 700);
	assert_int_equal(tree_entry_timeout_ms(&world->tree, &size), 0);
	/* The real one: nodes and chosen names have their own. */
	assert_int_equal(tree_init(&world->tree, &root_node), 0);
	world_keep(world);
	assert_int_equal(names_new(world->keep, &world->view.names), 0);
	strcpy(world->view.node_name, "web-3");
	struct place rss = {
		.row = row_named(&world->tree, "nodes/NODE/PID/rss"), .pid = 12, .name = PLACE_NO_NAME
	};
	assert_path(world, &rss, "nodes/web-3/12/rss");
	struct place count = { .row = row_named(&world->tree, "nodes/NODE/by-name/COMM/count") };
	assert_int_equal(names_intern(world->view.names, 1, (struct span) { "bash", 4 }, &number), 0);
	count.name = number;
	assert_path(world, &count, "nodes/web-3/by-name/bash/count");
	names_free(world->view.names);
	world_deinit(world);
	free(world);
}

/* What is said of the tree is made of all its rows. */
static void prose_has_every_row(void **state)
{
	struct tree *tree = malloc(sizeof(*tree));
	CLEANUP_BUF struct buf markdown = BUF_INIT;

	assert_non_null(tree);
	assert_int_equal(tree_init(tree, &root_node), 0);
	tree_markdown(tree, &markdown);
	buf_putc(&markdown, 0);
	for (uint16_t row = 1; row < tree->n; row++) {
		const struct node *node = tree->row[row].node;
		CLEANUP_BUF struct buf line = BUF_INIT, readme = BUF_INIT;
		if (row >= tree->first_twin)
			continue;
		buf_printf(&line, "\n| %s%s%s | ", node->name ? node->name : node->shown,
			node->class == NODE_DIR ? "/" : "", node->form == FORM_PLAIN ? "" : "[.json]");
		buf_putc(&line, 0);
		assert_non_null(strstr(markdown.data, line.data));
		assert_non_null(strstr(markdown.data, node->doc));
		tree_readme(tree, tree->row[row].parent, &readme);
		buf_putc(&readme, 0);
		if (!node->hidden)
			assert_non_null(strstr(readme.data, node->doc));
	}
	free(tree);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_children_by_name),
		cmocka_unit_test(a_row_may_be_there_for_some_alone),
		cmocka_unit_test(lists_what_can_be_found),
		cmocka_unit_test(a_cookie_goes_on_over_changes),
		cmocka_unit_test(ids_lead_back_for_every_row),
		cmocka_unit_test(ids_with_a_span_lead_back),
		cmocka_unit_test(ids_of_nothing_are_refused),
		cmocka_unit_test(tables_have_twins_that_are_found_and_not_listed),
		cmocka_unit_test(unsound_rows_are_refused),
		cmocka_unit_test(a_row_that_nobody_finds_or_lists_is_refused),
		cmocka_unit_test(more_rows_than_an_id_can_tell_are_refused),
		cmocka_unit_test(tables_of_another_shape_have_another_fingerprint),
		cmocka_unit_test(paths_of_places),
		cmocka_unit_test(prose_has_every_row),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
