/* SPDX-License-Identifier: MIT */
/* The root of the mount, and nodes/. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "fs/nodes/nodes.h"
#include "fs/refusals.h"
#include "fs/render.h"
#include "fs/view.h"
#include "schema/base/cleanup.h"
#include "schema/base/num.h"
#include "schema/proc/pid_status.h"

int readme_render(struct view *view, const struct place *place, const struct caller *caller, struct buf *out)
{
	tree_readme(view->tree, view->tree->row[place->row].parent, out);
	return 0;
}

static int root_readme_render(
	struct view *view, const struct place *place, const struct caller *caller, struct buf *out)
{
	buf_puts(out,
		"memfs: the memory of machines, as files.\n"
		"\n"
		"look   cat local/available          bytes that new work can take\n"
		"       cat local/stat               everything about this machine's memory\n"
		"       cat self/rss                 your own resident set, in bytes\n"
		"       cat local/top/rss            the largest processes\n"
		"       cat local/by-name/bash/stat  all processes of one name together\n"
		"back   cat local/history/10m        the last ten minutes; so 36h or any time; 36h.svg is a picture\n"
		"       cat local/at/-1h/top/rss     as it was an hour ago; at/2026-11-20T14:00 or epoch seconds\n"
		"wait   cat local/events             waits until there is news; for cat, grep, awk, not for tail\n"
		"find   ls local                     numbers, then a directory for each process\n"
		"       cat local/README             every name there, a line each; so in each directory\n"
		"       cat local/stat.json          NAME.json: the same for programs, of tables too\n"
		"act    echo sample_interval_ms 500 > local/config    (`memfs settings` has them all)\n"
		"why    cat why                      the reason of your last refused write\n"
		"read   units: bytes, seconds, bytes per second. `-` is not known.\n"
		"       stat -L, find -L, cp -L and tar h follow the links that tables and private files are.\n"
		"\n");
	tree_readme(view->tree, 0, out);
	return 0;
}

static int why_render(
	struct view *view, const struct place *place, const struct caller *caller, struct buf *out)
{
	refusals_render_why(view->refusals, caller, out);
	return 0;
}

static const char *const history_text[] = {
	[BOARD_HISTORY_ABSENT] = "absent",
	[BOARD_HISTORY_OK] = "ok",
	[BOARD_HISTORY_FULL] = "full",
	[BOARD_HISTORY_READ_ONLY] = "read-only",
};

static int status_render(
	struct view *view, const struct place *place, const struct caller *caller, struct buf *out)
{
	struct board_health health = { 0 };
	int64_t age = view_board_age_ns(view);
	char text[NUM_TEXT_MAX];
	struct buf seconds = BUF_FIXED(text);

	board_read_health(view->board, &health);
	render_key_text(out, "version", MEMFS_VERSION);
	render_key_text(out, "node", view->node_name);
	render_key_u64(out, "generation", health.generation);
	render_key_u64(out, "freshness_ms", view->freshness_ms);
	render_key_u64(out, "tick_us", health.tick_us);
	render_key_u64(out, "sweep_us", health.sweep_us);
	render_key_u64(out, "processes", health.processes);
	render_key_text(out, "collector", view_collector_runs(view) ? "running" : "absent");
	if (age == INT64_MAX) {
		render_key_unknown(out, "board_age");
	} else {
		render_age(&seconds, age);
		render_key(out, "board_age", seconds.data, seconds.len);
	}
	render_key_text(out, "live", !view->live_dir ? "single" : view->live_lost ? "dead" : "ok");
	if (health.history_state == BOARD_HISTORY_ABSENT)
		render_key_unknown(out, "history_bytes");
	else
		render_key_u64(out, "history_bytes", health.history_bytes);
	render_key_text(out, "cluster", "single");
	render_key_u64(out, "dropped", health.dropped);
	render_key_text(out, "history", history_text[health.history_state]);
	render_key_text(
		out, "births", health.births_from == BOARD_BIRTHS_CONNECTOR ? "connector" : "listing");
	render_key_text(out, "sweep", board_sweep_name[health.sweep]);
	render_key_u64(out, "recorded", health.recorded);
	render_key_u64(out, "recorded_total", health.recorded_total);
	render_key_u64(out, "recorded_refused_total", health.recorded_refused_total);
	return 0;
}

static int local_render(
	struct view *view, const struct place *place, const struct caller *caller, struct buf *out)
{
	buf_puts(out, "nodes/");
	buf_puts(out, view->node_name);
	return 0;
}

/* The caller is a thread; its process is the thread group that /proc's status names. */
static int self_render(
	struct view *view, const struct place *place, const struct caller *caller, struct buf *out)
{
	CLEANUP_CLOSE int dir = -1;
	CLEANUP_BUF struct buf text = BUF_INIT;
	struct pid_status status = { 0 };

	if (caller->pid <= 0 || proc_open_pid(&view->root, (uint32_t)caller->pid, &dir) ||
		proc_read(dir, "status", &text))
		return -ENOENT;
	pid_status_parse(&status, text.data, text.len);
	if (!status.tgid)
		return -ENOENT;
	buf_printf(out, "%s/nodes/%s/%u", view->mount_dir, view->node_name, status.tgid);
	return 0;
}

static bool next_node(
	struct view *view, const struct place *dir, uint16_t child_row, uint64_t *key, struct entry *ret)
{
	if (*key)
		return false;
	*key = 1;
	ret->place = *dir;
	ret->place.row = child_row;
	strcpy(ret->name, view->node_name);
	return true;
}

static int find_node(
	struct view *view, const struct place *dir, uint16_t child_row, const char *name, struct place *ret)
{
	if (strcmp(name, view->node_name) != 0)
		return -ENOENT;
	*ret = *dir;
	ret->row = child_row;
	return 0;
}

static void put_node_name(struct view *view, const struct place *place, struct buf *out)
{
	buf_puts(out, view->node_name);
}

const struct node_list node_list = { next_node, find_node, 0, put_node_name };

static void put_node_id(struct view *view, const struct place *place, struct buf *out)
{
	buf_puts(out, view->node_id);
}

static bool next_id(
	struct view *view, const struct place *dir, uint16_t child_row, uint64_t *key, struct entry *ret)
{
	if (!next_node(view, dir, child_row, key, ret))
		return false;
	strcpy(ret->name, view->node_id);
	return true;
}

static int find_id(
	struct view *view, const struct place *dir, uint16_t child_row, const char *name, struct place *ret)
{
	return strcmp(name, view->node_id) ? -ENOENT : find_node(view, dir, child_row, view->node_name, ret);
}

static const struct node_list id_list = { next_id, find_id, 0, put_node_id };

static int by_id_render(
	struct view *view, const struct place *place, const struct caller *caller, struct buf *out)
{
	buf_puts(out, "../nodes/");
	buf_puts(out, view->node_name);
	return 0;
}

static const struct node nodes_nodes[] = {
	{ NULL, 0555, NODE_DIR, NULL, "a node, by name", "NODE", .list = &node_list,
		.children = system_nodes },
	README_HIDDEN,
	{ 0 },
};

static const struct node by_id_nodes[] = {
	README,
	{ NULL, 0777, NODE_LINK, NULL, "the node with this uuid", "UUID", .list = &id_list,
		.render = by_id_render },
	{ 0 },
};

static const struct node root_nodes[] = {
	{ "README", 0444, NODE_NUMBER, NULL, "one screen: look, find, act, why, read",
		.render = root_readme_render },
	{ "why", 0444, NODE_TABLE, NULL,
		"reason of the last write refused to your login session: time path written errno reason",
		.render = why_render, .per_user = true, .form = FORM_KEYED,
		.strings = "path written errno reason" },
	{ "status", 0444, NODE_NUMBER, NULL, "the health of memfs itself", .render = status_render,
		.form = FORM_KEYED, .strings = "version node collector live cluster history" },
	{ "local", 0777, NODE_LINK, NULL, "the node you are on", .render = local_render },
	{ "self", 0777, NODE_LINK, NULL, "the directory of whoever asks", .render = self_render },
	{ "nodes", 0555, NODE_DIR, NULL, "every known node, by name", .children = nodes_nodes },
	{ "by-id", 0555, NODE_DIR, NULL,
		"every known node, by uuid, for scripts that must not care about names",
		.children = by_id_nodes },
	{ NULL, 0777, NODE_LINK, NULL, "the same node, for short", "NODE", .list = &node_list,
		.render = local_render, .hidden = true },
	{ 0 },
};

const struct node root_node = { "", 0555, NODE_DIR, NULL, "The root of the mount.", .children = root_nodes };
