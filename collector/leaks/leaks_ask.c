/* SPDX-License-Identifier: MIT */
/* What is asked through the control channel: settings of a process, tables over many. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/leaks/keep.h"
#include "collector/leaks/leak_files.h"
#include "collector/leaks/region_drive.h"
#include "collector/leaks/watch.h"
#include "schema/base/array.h"
#include "schema/base/num.h"
#include "schema/base/quote.h"
#include "schema/leak_text.h"

static void refuse(struct control_call *call, int code, const char *reason)
{
	control_call_answer(call, CONTROL_ERROR, code, reason, strlen(reason));
}

static bool may_look(const struct control_call *call, const struct watch *watch)
{
	return !call->uid || call->uid == watch->region->process.uid;
}

/* --- settings of a process --- */

/* The watch of who is asked about; NULL where the call was refused. */
static struct watch *watch_to_change(
	struct leaks *leaks, struct inquiries *inquiries, struct control_call *call)
{
	struct watch *watch = leaks_watch(leaks, call->pid, call->start_ticks);

	if (!watch)
		leak_files_refuse(inquiries, call);
	else if (!may_look(call, watch))
		refuse(call, EACCES, "it is for the owner of the process, and for root");
	else
		return watch;
	return NULL;
}

void leaks_set_trace(struct leaks *leaks, struct inquiries *inquiries, struct control_call *call)
{
	struct leak_trace trace;
	struct err err = { 0 };
	int r = leak_trace_parse(&trace, call->payload, &err);

	if (r) {
		refuse(call, -r, err.reason);
		return;
	}
	struct watch *watch = watch_to_change(leaks, inquiries, call);
	if (!watch)
		return;
	switch (regions_set_mode(leaks->regions, watch->region, trace.mode, trace.rate_bytes)) {
	case 0:
		break;
	case REGION_OTHERS:
		refuse(call, EBUSY, "another memfs traces this process: switch it there");
		return;
	case -ESRCH:
		control_call_answer(call, CONTROL_GONE, 0, NULL, 0);
		return;
	default:
		refuse(call, EAGAIN, "the process has just begun: try again in a moment");
		return;
	}
	watch->stat = (struct leak_stat) { .rate_1m = LEAK_RATE_UNKNOWN };
	watch_publish(watch);
	leaks_ring_begin(leaks);
	watch->wanted = watch->counting || !watch_count(watch);
	control_call_answer(call, CONTROL_OK, 0, NULL, 0);
}

void leaks_set_min_age(struct leaks *leaks, struct inquiries *inquiries, struct control_call *call)
{
	const struct setting_row *row = &setting_rows[SETTING_LEAKS_MIN_AGE];
	struct span text = { "", 0 }, rest = call->payload, line, more;
	char quoted[QUOTE_TEXT], reason[ERR_REASON_MAX];
	uint64_t seconds;

	if (!span_line(&rest, &line) || rest.n || !span_word(&line, &text) || span_word(&line, &more) ||
		!num_parse_whole(text.p, text.n, &seconds)) {
		snprintf(reason, sizeof(reason), "min_age takes a number of seconds, not \"%s\"",
			quote(quoted, text));
		refuse(call, EINVAL, reason);
		return;
	}
	if (seconds > row->max) {
		snprintf(reason, sizeof(reason), "min_age takes at most %llu seconds",
			(unsigned long long)row->max);
		refuse(call, ERANGE, reason);
		return;
	}
	struct watch *watch = watch_to_change(leaks, inquiries, call);
	if (!watch)
		return;
	int r = keep_write_min_age_s(watch->region->fd, seconds);
	if (r) {
		refuse(call, -r, "it cannot be kept");
		return;
	}
	watch->min_age_s = seconds;
	watch_publish(watch);
	watch->wanted = watch->counting || !watch_count(watch);
	control_call_answer(call, CONTROL_OK, 0, NULL, 0);
}

/* --- tables over many processes, as last counted --- */

struct row {
	struct leak_site site;
	uint32_t pid;
	uint64_t processes;
	char comm[BOARD_COMM];
};

struct rows {
	struct row *row;
	size_t n, cap;
	bool failed;
};

static struct row *add_row(struct rows *rows, const struct leak_site *site)
{
	struct row *row = array_push(&rows->row, &rows->n, &rows->cap);

	rows->failed = rows->failed || !row;
	if (row)
		*row = (struct row) { .site = *site, .processes = 1 };
	return row;
}

static int by_size(const void *a, const void *b)
{
	const struct row *left = a, *right = b;
	int order = leak_site_compare(&left->site, &right->site);

	return order ? order : left->pid < right->pid ? -1 : left->pid > right->pid;
}

static int compare_spans(struct span a, struct span b)
{
	int order = memcmp(a.n ? a.p : "", b.n ? b.p : "", a.n < b.n ? a.n : b.n);

	return order ? order : a.n < b.n ? -1 : a.n > b.n;
}

/* Sites of two processes that are one: of one build, at one place in it; or of one name. */
static int by_place(const void *a, const void *b)
{
	const struct leak_site *left = &((const struct row *)a)->site,
			       *right = &((const struct row *)b)->site;
	int order = compare_spans(left->build_id, right->build_id);

	/* Without a build id a path may stand for two builds: better two rows than one that is none. */
	if (!order && !left->build_id.n)
		order = compare_spans(left->module, right->module);
	if (!order && left->module_offset != right->module_offset)
		order = left->module_offset < right->module_offset ? -1 : 1;
	return order ? order : compare_spans(left->symbol, right->symbol);
}

static int by_place_and_process(const void *a, const void *b)
{
	const struct row *left = a, *right = b;
	int order = by_place(a, b);

	return order ? order : left->pid < right->pid ? -1 : left->pid > right->pid;
}

static void merge(struct rows *rows)
{
	size_t kept = 0;

	qsort(rows->row, rows->n, sizeof(*rows->row), by_place_and_process);
	for (size_t i = 0; i < rows->n; i++) {
		struct row *into = kept ? &rows->row[kept - 1] : NULL, *from = &rows->row[i];
		if (!into || by_place(into, from)) {
			rows->row[kept++] = *from;
			continue;
		}
		/* One process may have two of a place: what is known, and what is not. */
		into->processes += into->pid != from->pid;
		into->pid = from->pid;
		into->site.live_bytes += from->site.live_bytes;
		into->site.live_blocks += from->site.live_blocks;
		into->site.suspect_bytes += from->site.suspect_bytes;
		into->site.suspect_blocks += from->site.suspect_blocks;
		if (from->site.oldest_age_ms > into->site.oldest_age_ms)
			into->site.oldest_age_ms = from->site.oldest_age_ms;
		if (into->site.rate_1m == LEAK_RATE_UNKNOWN)
			into->site.rate_1m = from->site.rate_1m;
		else if (from->site.rate_1m != LEAK_RATE_UNKNOWN)
			into->site.rate_1m += from->site.rate_1m;
	}
	rows->n = kept;
}

static void answer_rows(struct control_call *call, struct rows *rows, struct buf *text)
{
	if (rows->failed || buf_error(text))
		refuse(call, ENOMEM, "no memory");
	else
		control_call_answer(call, CONTROL_OK, 0, text->data, text->len);
	free(rows->row);
}

void leaks_answer_all(struct leaks *leaks, struct control_call *call)
{
	CLEANUP_BUF struct buf text = BUF_INIT;
	struct rows rows = { 0 };

	for (struct region *region = leaks_next(leaks, NULL); region; region = leaks_next(leaks, region)) {
		const struct watch *watch = region->leaks;
		if (!watch || watch->ended || !may_look(call, watch))
			continue;
		const struct process *process =
			process_find(&leaks->options.sampler->table, region->process.pid);
		for (size_t i = 0; i < watch->n_top && watch->top[i].suspect_bytes; i++) {
			struct row *row = add_row(&rows, &watch->top[i]);
			if (!row)
				break;
			row->pid = region->process.pid;
			if (process)
				memcpy(row->comm, process->shown.comm, sizeof(row->comm));
		}
	}
	qsort(rows.row, rows.n, sizeof(*rows.row), by_size);
	buf_puts(&text, LEAK_NODE_HEAD);
	for (size_t i = 0; i < rows.n; i++)
		leak_node_put(&text, rows.row[i].pid,
			(struct span) { rows.row[i].comm, strnlen(rows.row[i].comm, BOARD_COMM) },
			&rows.row[i].site);
	answer_rows(call, &rows, &text);
}

void leaks_answer_group(struct leaks *leaks, struct control_call *call)
{
	CLEANUP_BUF struct buf text = BUF_INIT;
	struct rows rows = { 0 };
	uint32_t pid;

	for (size_t at = 0; at + sizeof(pid) <= call->payload.n; at += sizeof(pid)) {
		memcpy(&pid, call->payload.p + at, sizeof(pid));
		const struct process *process =
			pid < BOARD_PIDS ? process_find(&leaks->options.sampler->table, pid) : NULL;
		const struct watch *watch =
			process ? leaks_watch(leaks, pid, process->shown.start_ticks) : NULL;
		if (!watch || !may_look(call, watch))
			continue;
		for (size_t i = 0; i < watch->n_top; i++) {
			struct row *row = add_row(&rows, &watch->top[i]);
			if (row)
				row->pid = pid;
		}
	}
	merge(&rows);
	qsort(rows.row, rows.n, sizeof(*rows.row), by_size);
	buf_puts(&text, LEAK_GROUP_HEAD);
	for (size_t i = 0; i < rows.n; i++)
		leak_group_put(&text, rows.row[i].processes, &rows.row[i].site);
	answer_rows(call, &rows, &text);
}
