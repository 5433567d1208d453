/* SPDX-License-Identifier: MIT */
/* nodes/NODE/PID/leaks/, and the call sites of many processes: what the collector counts in shadow regions.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "fs/ask.h"
#include "fs/nodes/nodes.h"
#include "fs/nudge.h"
#include "fs/plot/plot_flame.h"
#include "fs/render.h"
#include "fs/view.h"
#include "schema/leak_text.h"

/* --- numbers and settings, from the board --- */

/* What the board has of a place's process. 0; 1 where it is not one that can be traced; -ESRCH, -errno. */
static int read_board(struct view *view, const struct place *place, struct board_leaks *ret)
{
	CLEANUP_PROCESS struct process process = PROCESS_INIT;
	int r = view_open_process(view, place, &process);

	if (r)
		return r;
	uint32_t slot = board_find_leaks(view->board, place->pid, process.stat.start_ticks);
	return slot < BOARD_LEAKS && board_read_leak_slot(view->board, slot, ret) == BOARD_FOUND &&
			       ret->start_ticks == process.stat.start_ticks
		       ? 0
		       : 1;
}

void leak_stat_put(struct buf *out, const struct leak_stat *stat)
{
	char text[64];
	struct buf word = BUF_FIXED(text);

	leak_trace_put(&word, &stat->trace);
	render_key(out, "mode", word.data, word.len);
	buf_clear(&word);
	if (stat->since_ns)
		render_time(&word, stat->since_ns);
	else
		buf_putc(&word, '-');
	render_key(out, "since", word.data, word.len);
	for (unsigned i = 0; i < N_LEAK_COUNTS; i++) {
		uint64_t count = leak_count_get(stat, i);
		if (stat->counted_ns && count != LEAK_COUNT_UNKNOWN)
			render_key_u64(out, leak_count_key[i], count);
		else
			render_key_unknown(out, leak_count_key[i]);
	}
	if (stat->counted_ns && stat->rate_1m != LEAK_RATE_UNKNOWN)
		render_key_i64(out, "rate_1m", stat->rate_1m);
	else
		render_key_unknown(out, "rate_1m");
	buf_clear(&word);
	if (stat->counted_ns)
		render_time(&word, stat->counted_ns);
	else
		buf_putc(&word, '-');
	render_key(out, "counted", word.data, word.len);
}

/* vms without what the shim reserved: what the program itself has. */
static void put_vms_app(struct view *view, const struct place *place, uint64_t mapped_bytes, struct buf *out)
{
	struct board_process process;

	if (view_board_process(view, place, &process) && metric_has(process.values.present, PROCESS_VMS) &&
		process.values.value[PROCESS_VMS] >= mapped_bytes)
		render_key_u64(out, "vms_app", process.values.value[PROCESS_VMS] - mapped_bytes);
	else
		render_key_unknown(out, "vms_app");
}

static int stat_render(
	struct view *view, const struct place *place, const struct caller *caller, struct buf *out)
{
	static const char *const behind[] = { "rate_1m", "counted", "vms_app" };
	struct board_leaks leaks;
	int r = read_board(view, place, &leaks);

	if (r < 0)
		return r;
	if (r) {
		render_key_text(out, "mode", "none");
		render_key_unknown(out, "since");
		for (unsigned i = 0; i < N_LEAK_COUNTS; i++)
			render_key_unknown(out, leak_count_key[i]);
		for (size_t i = 0; i < sizeof(behind) / sizeof(*behind); i++)
			render_key_unknown(out, behind[i]);
		return 0;
	}
	if (view->nudges)
		nudge(view->nudges, leaks.pid, leaks.start_ticks);
	leak_stat_put(out, &leaks.stat);
	put_vms_app(view, place, leaks.stat.mapped_bytes, out);
	return 0;
}

static int trace_render(
	struct view *view, const struct place *place, const struct caller *caller, struct buf *out)
{
	struct board_leaks leaks = { 0 };
	int r = read_board(view, place, &leaks);

	if (r < 0)
		return r;
	if (r)
		leaks.stat.trace.mode = SHADOW_OFF;
	leak_trace_put(out, &leaks.stat.trace);
	buf_putc(out, '\n');
	return 0;
}

static int min_age_render(
	struct view *view, const struct place *place, const struct caller *caller, struct buf *out)
{
	struct board_leaks leaks;
	struct settings settings;
	int r = read_board(view, place, &leaks);

	if (r < 0)
		return r;
	if (r && board_read_settings(view->board, &settings))
		return -ENODATA;
	buf_put_u64(out, r ? settings.value[SETTING_LEAKS_MIN_AGE] : leaks.min_age_s);
	buf_putc(out, '\n');
	return 0;
}

/* The row's arg is the operation. */
static int setting_write(struct view *view, const struct place *place, const struct caller *caller,
	const char *text, size_t len, const atomic_bool *cancelled, struct err *err)
{
	CLEANUP_PROCESS struct process process = PROCESS_INIT;
	int r = view_open_process(view, place, &process);

	if (r)
		return err_set(err, -r, r == -ESRCH ? "the process has ended" : "the process cannot be read");
	return ask_change(
		view, tree_node(view->tree, place)->arg, &process, caller, text, len, cancelled, err);
}

/* --- tables --- */

static int table_render(
	struct view *view, const struct place *place, const struct caller *caller, struct buf *out)
{
	CLEANUP_PROCESS struct process process = PROCESS_INIT;
	char text[64];
	struct buf name = BUF_FIXED(text);
	int r = view_open_process(view, place, &process);

	buf_puts(&name, "leaks/");
	buf_puts(&name, tree_node(view->tree, place)->name);
	buf_putc(&name, '\0');
	return r ? r : ask_file(view, &process, text, caller, out);
}

int leak_flame_put(struct buf *out, const struct buf *folded, const char *comm, uint32_t pid)
{
	CLEANUP_BUF struct buf title = BUF_INIT;

	buf_printf(&title, "%s (%u)", comm, pid);
	buf_putc(&title, '\0');
	if (buf_error(&title))
		return buf_error(&title);
	plot_flame_render(&(const struct plot_flame) { .title = title.data,
				  .subtitle = "Memory that is not freed, by who allocated it",
				  .folded = folded->data ? folded->data : "",
				  .len = folded->len },
		out);
	return buf_error(out);
}

static int flame_render(
	struct view *view, const struct place *place, const struct caller *caller, struct buf *out)
{
	CLEANUP_PROCESS struct process process = PROCESS_INIT;
	CLEANUP_BUF struct buf folded = BUF_INIT, comm = BUF_INIT;
	int r = view_open_process(view, place, &process);

	if (!r)
		r = ask_file(view, &process, "leaks/folded", caller, &folded);
	if (r)
		return r;
	buf_put_escaped(&comm, process.stat.comm, process.stat.comm_len);
	buf_putc(&comm, '\0');
	return buf_error(&comm) ? buf_error(&comm) : leak_flame_put(out, &folded, comm.data, place->pid);
}

int leaks_render(struct view *view, const struct place *place, const struct caller *caller, struct buf *out)
{
	return ask_table(view, CONTROL_OP_LEAKS, (struct span) { NULL, 0 }, caller, out);
}

const struct node leak_nodes[] = {
	README,
	{ "trace", 0600, NODE_SETTING, NULL,
		"off, exact (every block), sample [BYTES] (one in so many bytes, at random), stacks [BYTES] (the same, with its stack); of a process that has the shim: `memfs run`, or LD_PRELOAD=libmemfs-preload.so",
		.render = trace_render, .write = setting_write, .arg = CONTROL_OP_LEAK_TRACE },
	{ "min_age", 0600, NODE_SETTING, "seconds",
		"how old a live block is that is a suspect; 0: every one is. Else the node's leaks_min_age",
		.render = min_age_render, .write = setting_write, .arg = CONTROL_OP_LEAK_MIN_AGE },
	{ "stat", 0400, NODE_NUMBER, NULL,
		"totals as of `counted`, of a sampled process estimates: mode (none: it has not the shim) since live suspect preattach runtime lost uncovered region kept sites rate_1m; vms_app is vms without what the shim reserves",
		.render = stat_render, .form = FORM_KEYED, .strings = "mode" },
	{ "records", 0400, NODE_TABLE, NULL,
		"time pid size addr caller: the live blocks older than min_age, oldest first",
		.render = table_render, .form = FORM_TABLE, .strings = LEAK_RECORDS_STRINGS,
		.guarded = true },
	{ "callers", 0400, NODE_TABLE, NULL,
		"suspect_bytes suspect_blocks live_bytes live_blocks oldest_age rate_1m caller symbol module: the places that allocated what lives, largest first",
		.render = table_render, .form = FORM_TABLE, .strings = LEAK_CALLERS_STRINGS,
		.guarded = true },
	{ "folded", 0400, NODE_TABLE, NULL, "`frame;frame BYTES` of what lives, for flame-graph tools",
		.render = table_render, .guarded = true },
	{ "flame.svg", 0400, NODE_TABLE, NULL, "the same drawn", .render = flame_render, .guarded = true },
	{ 0 },
};
