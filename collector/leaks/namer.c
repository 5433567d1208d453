/* SPDX-License-Identifier: MIT */
#include "collector/leaks/namer.h"

#include <stdlib.h>
#include <string.h>

#include "collector/symbols/noise.h"
#include "collector/symbols/skip.h"
#include "schema/base/buf.h"
#include "schema/base/cleanup.h"
#include "schema/base/clock.h"
#include "schema/proc/pid_stat.h"

enum { INLINED_MAX = 32 };

/* The process's directory, if it is that process; -1. */
static int open_process(const struct namer *namer, const struct namer_process *process)
{
	CLEANUP_CLOSE int dir = -1;
	struct pid_stat stat;
	char line[1024];
	size_t len;

	if (!process->lives || proc_open_pid(namer->root, process->pid, &dir) ||
		proc_read_short(dir, "stat", line, sizeof(line), &len) || !pid_stat_parse(&stat, line, len) ||
		stat.start_ticks != process->start_ticks)
		return -1;
	return steal_fd(&dir);
}

void namer_read_modules(const struct namer *namer, const struct namer_process *process,
	struct module_table *table, uint64_t address)
{
	CLEANUP_CLOSE int dir = module_table_find(table, address) ? -1 : open_process(namer, process);

	if (dir >= 0)
		module_table_read(namer->symbols, dir,
			clock_monotonic_ns() + NAMER_PATIENCE_MS * INT64_C(1000000), table);
}

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

const char *namer_plain(const char *function)
{
	return strncmp(function, "__GI_", 5) ? function : function + 5;
}

const char *namer_show(GStringChunk *texts, const char *function, bool wrapper)
{
	CLEANUP_BUF struct buf text = BUF_INIT;

	if (!wrapper)
		return g_string_chunk_insert_const(texts, function);
	buf_printf(&text, "[%s]", function);
	buf_putc(&text, '\0');
	return buf_error(&text) ? NULL : g_string_chunk_insert_const(texts, text.data);
}

/* The name to show of a symbol: the innermost function that is no wrapper. */
static void take_symbol(
	struct site_name *name, const struct lists *lists, GStringChunk *texts, const struct symbol *symbol)
{
	struct skip_frame frame[INLINED_MAX];
	const char *module = name->module ? last_part(name->module) : NULL;
	size_t n = symbol->n < INLINED_MAX ? symbol->n : INLINED_MAX;
	bool wrapper;

	name->resolved = true;
	if (!n)
		return;
	for (size_t i = 0; i < n; i++)
		frame[i] = (struct skip_frame) { namer_plain(symbol->frame[i].function), module };
	size_t at = lists_choose(lists, frame, n, &wrapper);
	if (!name->given)
		name->symbol = namer_show(texts, frame[at].function, wrapper);
	name->function = g_string_chunk_insert_const(texts, frame[n - 1].function);
}

/* By what the shim noted: for code that is not mapped any more, and for processes that are gone. */
static struct module_place noted_place(const struct namer *namer, int dir, const struct site_name *name,
	int64_t until_ns, struct module **ret_found)
{
	struct module_place place = { NULL, name->caller };

	if (!name->module || !name->build_id_len ||
		module_find(namer->symbols, dir, name->module, name->build_id, name->build_id_len, until_ns,
			ret_found))
		return place;
	/* Of the last byte of the call. */
	return (struct module_place) { *ret_found, name->module_offset - 1 };
}

void namer_resolve(const struct namer *namer, const struct lists *lists, const struct namer_process *process,
	struct module_table *table, GStringChunk *texts, struct site_name *const *name, size_t n)
{
	const int64_t until_ns = clock_monotonic_ns() + NAMER_PATIENCE_MS * INT64_C(1000000);
	CLEANUP_FREE struct module_place *place = calloc(n + 1, sizeof(*place));
	CLEANUP_FREE struct module **found = calloc(n + 1, sizeof(struct module *));
	CLEANUP_FREE struct symbol **symbol = calloc(n + 1, sizeof(struct symbol *));
	CLEANUP_CLOSE int dir = -1;
	bool read = false;

	if (!namer->symbols || !place || !found || !symbol)
		return;
	for (size_t i = 0; i < n; i++) {
		if (!name[i]->caller)
			continue;
		if (!name[i]->gone && !module_table_find(table, name[i]->caller) && !read) {
			dir = open_process(namer, process);
			if (dir >= 0)
				module_table_read(namer->symbols, dir, until_ns, table);
			read = true;
		}
		if (!name[i]->gone && module_table_find(table, name[i]->caller))
			place[i] = module_table_place(table, name[i]->caller);
		else
			place[i] = noted_place(namer, dir, name[i], until_ns, &found[i]);
	}
	symbols_resolve(namer->symbols, place, n, until_ns, symbol);
	for (size_t i = 0; i < n; i++) {
		if (symbol[i])
			take_symbol(name[i], lists, texts, symbol[i]);
		name[i]->suppressed =
			lists_suppress(lists, symbol[i], name[i]->module) ||
			lists_suppress_name(lists, name[i]->given ? name[i]->symbol : name[i]->function);
		name[i]->edition = lists->edition;
		symbol_unref(symbol[i]);
		if (found[i]) {
			module_close(namer->symbols, found[i]);
			module_unref(found[i]);
		}
	}
}
