/* SPDX-License-Identifier: MIT */
/* The tables of processes, `processes` and `top/`: of now from the board, read whole, without a system call.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/nodes/nodes.h"
#include "fs/view.h"

enum { TOP_ROWS = 50 };

static const enum process_metric columns[] = { PROCESS_RSS, PROCESS_VMS, PROCESS_SHARED, PROCESS_TEXT,
	PROCESS_DATA, PROCESS_SWAP };
enum { N_COLUMNS = sizeof(columns) / sizeof(*columns) };

static void put_header(struct buf *out)
{
	buf_puts(out, "pid\tppid\tuid\tcomm\tstate");
	for (unsigned i = 0; i < N_COLUMNS; i++) {
		buf_putc(out, '\t');
		buf_puts(out, process_metrics.rows[columns[i]].name);
	}
	buf_puts(out, "\trate_1m\trate_10m\tsuspect_bytes\tstart_time\n");
}

static void put_rate(struct buf *out, int64_t rate)
{
	buf_putc(out, '\t');
	if (rate == BOARD_RATE_UNKNOWN)
		buf_putc(out, '-');
	else
		buf_put_i64(out, rate);
}

/* rate_1m and rate_10m are those of rss, the first of the rates. */
static void put_process(struct buf *out, const struct board_process *process, const uint64_t *suspect_bytes)
{
	buf_put_u64(out, process->pid);
	buf_putc(out, '\t');
	if (process->ppid == PROCESS_PPID_UNKNOWN)
		buf_putc(out, '-');
	else
		buf_put_u64(out, process->ppid);
	buf_putc(out, '\t');
	buf_put_u64(out, process->uid);
	buf_putc(out, '\t');
	buf_put_escaped(out, process->comm, strnlen(process->comm, BOARD_COMM));
	buf_putc(out, '\t');
	buf_putc(out, process->state ? process->state : '-');
	for (unsigned i = 0; i < N_COLUMNS; i++) {
		buf_putc(out, '\t');
		if (metric_has(process->values.present, columns[i]))
			buf_put_u64(out, process->values.value[columns[i]]);
		else
			buf_putc(out, '-');
	}
	put_rate(out, process->rate[0][WINDOW_1M]);
	put_rate(out, process->rate[0][WINDOW_10M]);
	buf_putc(out, '\t');
	if (suspect_bytes)
		buf_put_u64(out, *suspect_bytes);
	else
		buf_putc(out, '-');
	buf_putc(out, '\t');
	buf_put_i64(out, process->start_ns / 1000000000);
	buf_putc(out, '\n');
}

static bool find_suspects(
	struct process_source *source, const struct board_process *process, uint64_t *ret_bytes)
{
	return source->suspects && source->suspects(source, process, ret_bytes);
}

void processes_put(struct process_source *source, struct buf *out)
{
	struct board_process process;
	uint64_t bytes;

	put_header(out);
	while (source->next(source, &process))
		put_process(out, &process, find_suspects(source, &process, &bytes) ? &bytes : NULL);
}

struct ranked {
	int64_t key;
	bool traced;
	uint64_t suspect_bytes;
	struct board_process process;
};

/* What the process is ordered by; false where it does not belong into the table. */
static bool rank(struct ranked *ranked, enum top_order order)
{
	const struct board_process *process = &ranked->process;
	int64_t *ret_key = &ranked->key;

	if (order == TOP_SUSPECT) {
		*ret_key = (int64_t)ranked->suspect_bytes;
		return ranked->traced && *ret_key > 0;
	}
	if (order == TOP_GROWTH) {
		int64_t rate = process->rate[0][WINDOW_10M];
		if (rate == BOARD_RATE_UNKNOWN)
			rate = process->rate[0][WINDOW_1M];
		*ret_key = rate;
		return rate > 0;
	}
	enum process_metric id = order == TOP_RSS ? PROCESS_RSS : PROCESS_SWAP;
	*ret_key = (int64_t)process->values.value[id];
	return metric_has(process->values.present, id) && *ret_key > 0;
}

static int by_key(const void *left, const void *right)
{
	const struct ranked *a = left, *b = right;

	if (a->key != b->key)
		return a->key < b->key ? 1 : -1;
	return a->process.pid < b->process.pid ? -1 : 1;
}

int processes_put_top(struct process_source *source, enum top_order order, struct buf *out)
{
	CLEANUP_FREE struct ranked *top = calloc(2 * TOP_ROWS, sizeof(*top));
	size_t n = 0;
	int64_t floor = 0;

	if (!top)
		return -ENOMEM;
	/* Gathers twice what is shown, sorts, drops the lower half: no process is sorted more than a few
	 * times. */
	while (source->next(source, &top[n].process)) {
		top[n].traced = find_suspects(source, &top[n].process, &top[n].suspect_bytes);
		if (!rank(&top[n], order) || top[n].key < floor)
			continue;
		if (++n == 2 * TOP_ROWS) {
			qsort(top, n, sizeof(*top), by_key);
			n = TOP_ROWS;
			floor = top[n - 1].key;
		}
	}
	qsort(top, n, sizeof(*top), by_key);
	put_header(out);
	for (size_t i = 0; i < n && i < TOP_ROWS; i++)
		put_process(out, &top[i].process, top[i].traced ? &top[i].suspect_bytes : NULL);
	return 0;
}

struct suspects {
	uint32_t pid;
	uint64_t start_ticks, bytes;
};

struct board_source {
	struct process_source source;
	const struct board *board;
	uint32_t pid;
	struct suspects *suspects; /* [n], by pid: those that were counted */
	size_t n;
};

static int by_pid(const void *a, const void *b)
{
	const struct suspects *left = a, *right = b;
	return left->pid < right->pid ? -1 : left->pid > right->pid;
}

static bool suspects_on_board(
	struct process_source *source, const struct board_process *process, uint64_t *ret_bytes)
{
	const struct board_source *from = (struct board_source *)source;
	const struct suspects key = { .pid = process->pid };
	const struct suspects *found =
		from->n ? bsearch(&key, from->suspects, from->n, sizeof(key), by_pid) : NULL;

	if (!found || found->start_ticks != process->start_ticks)
		return false;
	*ret_bytes = found->bytes;
	return true;
}

static bool next_on_board(struct process_source *source, struct board_process *ret);

/* Without memory for them, suspects are not known. */
static struct board_source begin_on_board(const struct board *board)
{
	struct board_source from = { { next_on_board, suspects_on_board }, board, 0, NULL, 0 };
	uint32_t slots = board_leak_slots(board);
	struct board_leaks leaks;

	from.suspects = slots ? calloc(slots, sizeof(*from.suspects)) : NULL;
	for (uint32_t i = 0; from.suspects && i < slots; i++)
		if (board_read_leak_slot(board, i, &leaks) == BOARD_FOUND && leaks.stat.counted_ns &&
			leaks.stat.since_ns)
			from.suspects[from.n++] =
				(struct suspects) { leaks.pid, leaks.start_ticks, leaks.stat.suspect_bytes };
	if (from.n)
		qsort(from.suspects, from.n, sizeof(*from.suspects), by_pid);
	return from;
}

static bool next_on_board(struct process_source *source, struct board_process *ret)
{
	struct board_source *from = (struct board_source *)source;

	while ((from->pid = board_next_pid(from->board, from->pid + 1))) {
		if (board_read_process(from->board, from->pid, ret) == BOARD_FOUND)
			return true;
	}
	return false;
}

int processes_render(
	struct view *view, const struct place *place, const struct caller *caller, struct buf *out)
{
	struct board_source from = begin_on_board(view->board);

	processes_put(&from.source, out);
	free(from.suspects);
	return 0;
}

int top_render(struct view *view, const struct place *place, const struct caller *caller, struct buf *out)
{
	struct board_source from = begin_on_board(view->board);
	int r = processes_put_top(&from.source, tree_node(view->tree, place)->arg, out);

	free(from.suspects);
	return r;
}
