/* SPDX-License-Identifier: MIT */
/* nodes/NODE/ended/PID-STARTTIME/leaks/: what a traced process had when it ended, from the database. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/nodes/nodes.h"
#include "fs/render.h"
#include "fs/view.h"
#include "schema/leak_text.h"
#include "schema/history/pack_leaks.h"
#include "schema/store/store.h"

enum file { FILE_STAT, FILE_RECORDS, FILE_CALLERS, FILE_FOLDED };

struct asked {
	enum file file;
	struct buf *out;
};

static int put_records(
	struct pack_leaks *pack, uint32_t pid, const uint64_t *caller, uint64_t n, struct buf *out)
{
	struct leak_record_text text;
	struct leak_block block;

	leak_record_text_init(&text, pid);
	buf_puts(out, LEAK_RECORDS_HEAD);
	while (pack_leaks_next_block(pack, &block)) {
		char *at = buf_reserve(out, LEAK_RECORD_MAX);
		if (!at)
			return -ENOMEM;
		uint64_t from = block.site && block.site <= n ? caller[block.site - 1] : 0;
		out->len +=
			(size_t)(leak_record_write(&text, at, block.time_ms, block.size, block.addr, from) -
				 at);
	}
	return pack->n_blocks ? -EIO : 0;
}

/* Sites come first: a table of them, or what the blocks point at. */
static int put_rest(struct pack_leaks *pack, uint32_t pid, const struct asked *asked)
{
	/* Each takes more bytes than one. */
	uint64_t n = pack->n_sites, max = (uint64_t)(pack->end - pack->at);
	CLEANUP_FREE uint64_t *caller = n <= max ? calloc(n + 1, sizeof(*caller)) : NULL;
	struct leak_site site;
	struct span folded;

	if (n > max)
		return -EIO;
	if (!caller)
		return -ENOMEM;
	if (asked->file == FILE_CALLERS)
		buf_puts(asked->out, LEAK_CALLERS_HEAD);
	for (uint64_t i = 0; pack_leaks_next_site(pack, &site); i++) {
		caller[i] = site.caller;
		if (asked->file == FILE_CALLERS)
			leak_caller_put(asked->out, &site);
	}
	if (!pack_leaks_read_text(pack, &folded))
		return -EIO;
	if (asked->file == FILE_FOLDED)
		buf_put(asked->out, folded.p, folded.n);
	return asked->file == FILE_RECORDS ? put_records(pack, pid, caller, n, asked->out) : 0;
}

static int on_leaks(void *ctx, const struct store_leaks *leaks)
{
	const struct asked *asked = ctx;
	struct pack_leaks pack;
	struct leak_stat stat;

	if (!pack_leaks_open(&pack, leaks->packed, leaks->len, &stat))
		return -EIO;
	if (asked->file != FILE_STAT)
		return put_rest(&pack, leaks->pid, asked);
	leak_stat_put(asked->out, &stat);
	return 0;
}

struct flamed {
	struct asked asked;
	uint32_t pid;
};

static int on_flamed(void *ctx, const struct store_leaks *leaks)
{
	struct flamed *flamed = ctx;

	flamed->pid = leaks->pid;
	return on_leaks(&flamed->asked, leaks);
}

static int file_render(
	struct view *view, const struct place *place, const struct caller *caller, struct buf *out)
{
	struct asked asked = { tree_node(view->tree, place)->arg, out };
	struct store *store = view_borrow_store(view);
	int r = store ? store_get_ended_leaks(store, place->name, on_leaks, &asked) : -ENODATA;

	view_return_store(view, store);
	return r == STORE_ABSENT ? -ESRCH : r > 0 ? -ENODATA : r;
}

static int on_ended(void *ctx, const struct store_ended *ended)
{
	struct buf *comm = ctx;

	buf_puts(comm, ended->comm ? ended->comm : "");
	return 0;
}

static int flame_render(
	struct view *view, const struct place *place, const struct caller *caller, struct buf *out)
{
	CLEANUP_BUF struct buf folded = BUF_INIT;
	CLEANUP_BUF struct buf comm = BUF_INIT;
	struct flamed flamed = { .asked = { FILE_FOLDED, &folded } };
	struct store *store = view_borrow_store(view);
	int r = store ? store_get_ended_leaks(store, place->name, on_flamed, &flamed) : -ENODATA;

	if (!r && store_get_ended(store, place->name, on_ended, &comm))
		buf_clear(&comm);
	buf_puts(&comm, comm.len ? ", ended" : "ended");
	buf_putc(&comm, '\0');
	view_return_store(view, store);
	if (r)
		return r == STORE_ABSENT ? -ESRCH : r > 0 ? -ENODATA : r;
	return buf_error(&comm) ? buf_error(&comm) : leak_flame_put(out, &folded, comm.data, flamed.pid);
}

static int find_owner(struct view *view, const struct place *place, uid_t *ret_uid)
{
	struct store *store = view_borrow_store(view);
	int64_t uid;
	int r = store ? store_has_ended_leaks(store, place->name, &uid) : -ENODATA;

	view_return_store(view, store);
	if (r)
		return -ENODATA;
	*ret_uid = (uid_t)uid;
	return 0;
}

bool ended_leaks_exist(struct view *view, const struct place *place)
{
	uid_t uid;
	return !find_owner(view, place, &uid);
}

const struct node ended_leak_nodes[] = {
	README,
	{ "stat", 0400, NODE_TABLE, NULL, "totals at its end, as PID/leaks/stat", .render = file_render,
		.owner = find_owner, .form = FORM_KEYED, .strings = "mode", .arg = FILE_STAT },
	{ "records", 0400, NODE_TABLE, NULL,
		"time pid size addr caller: the blocks that it had not freed, oldest first (the 1048576 oldest)",
		.render = file_render, .owner = find_owner, .form = FORM_TABLE,
		.strings = LEAK_RECORDS_STRINGS, .arg = FILE_RECORDS },
	{ "callers", 0400, NODE_TABLE, NULL, "the places that allocated them, as PID/leaks/callers",
		.render = file_render, .owner = find_owner, .form = FORM_TABLE,
		.strings = LEAK_CALLERS_STRINGS, .arg = FILE_CALLERS },
	{ "folded", 0400, NODE_TABLE, NULL, "`frame;frame BYTES` of them, for flame-graph tools",
		.render = file_render, .owner = find_owner, .arg = FILE_FOLDED },
	{ "flame.svg", 0400, NODE_TABLE, NULL, "the same drawn", .render = flame_render,
		.owner = find_owner },
	{ 0 },
};
