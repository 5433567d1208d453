/* SPDX-License-Identifier: MIT */
/* nodes/NODE/PID/: the numbers of a process. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "fs/ask.h"
#include "fs/nodes/nodes.h"
#include "fs/render.h"
#include "fs/view.h"
#include "schema/base/num.h"
#include "schema/proc/pid_cmdline.h"
#include "schema/proc/pid_statm.h"
#include "schema/proc/pid_status.h"

/* What a reader gets of a file that the kernel does not answer: the process is gone, or it has no such file.
 */
static int gone(int outcome)
{
	return outcome == PROC_GONE ? -ESRCH : outcome == -ENOENT ? -ENODATA : outcome;
}

static int read_statm(const struct process *process, struct process_values *values)
{
	char text[256];
	size_t len;
	int r = proc_read_short(process->numbers, "statm", text, sizeof(text), &len);

	if (!r && !pid_statm_parse(values, text, len, (uint64_t)sysconf(_SC_PAGESIZE)))
		r = PROC_GONE;
	return gone(r);
}

static int read_status(const struct process *process, struct pid_status *status)
{
	CLEANUP_BUF struct buf whole = BUF_INIT;
	char text[4096];
	size_t len;
	int r = proc_read_short(process->numbers, "status", text, sizeof(text), &len);

	if (!r && len < sizeof(text)) {
		pid_status_parse(status, text, len);
	} else if (!r) {
		/* Thousands of groups stand before the lines on memory. */
		r = proc_read(process->numbers, "status", &whole);
		if (!r)
			pid_status_parse(status, whole.data, whole.len);
	}
	return gone(r);
}

static int number_render(
	struct view *view, const struct place *place, const struct caller *caller, struct buf *out)
{
	unsigned id = tree_node(view->tree, place)->arg;
	const struct metric *metric = &process_metrics.rows[id];
	CLEANUP_PROCESS struct process process = PROCESS_INIT;
	struct pid_status status = { 0 };
	int r = view_open_process(view, place, &process);

	if (!r)
		r = metric->source == METRIC_SOURCE_PID_STATM ? read_statm(&process, &status.values)
							      : read_status(&process, &status);
	if (r)
		return r;
	/*
	 * The file was there when it was looked up: what has no memory now has ended since. What has some,
	 * but not this number, is on a kernel that does not tell it.
	 */
	if (!metric_has(status.values.present, id))
		return status.values.present ? -ENODATA : -ESRCH;
	metric_value_render(out, metric, status.values.value[id]);
	buf_putc(out, '\n');
	return 0;
}

void process_stat_put(struct buf *out, const struct process_values *values)
{
	for (unsigned id = 0; id < process_metrics.n; id++) {
		const struct metric *metric = &process_metrics.rows[id];
		char key[64];
		struct buf name = BUF_FIXED(key);

		if (!(metric->where & METRIC_STAT))
			continue;
		metric_put_stat_key(&name, metric);
		buf_putc(&name, 0);
		if (metric_has(values->present, id))
			render_key_metric(out, key, metric, values->value[id]);
		else
			render_key_unknown(out, key);
	}
}

static int stat_render(
	struct view *view, const struct place *place, const struct caller *caller, struct buf *out)
{
	CLEANUP_PROCESS struct process process = PROCESS_INIT;
	struct pid_status status = { 0 };
	struct board_process board;
	int r = view_open_process(view, place, &process);

	if (!r)
		r = read_statm(&process, &status.values);
	if (!r)
		r = read_status(&process, &status);
	if (r)
		return r;
	pid_stat_values(&status.values, &process.stat);
	if (view_board_process(view, place, &board)) {
		for (unsigned id = 0; id < process_metrics.n; id++) {
			if (process_metrics.rows[id].source == METRIC_SOURCE_MEASURED &&
				metric_has(board.values.present, id))
				process_values_set(&status.values, id, board.values.value[id]);
		}
	}
	process_stat_put(out, &status.values);
	return 0;
}

static int rate_render(
	struct view *view, const struct place *place, const struct caller *caller, struct buf *out)
{
	CLEANUP_PROCESS struct process process = PROCESS_INIT;
	struct board_process board;
	int r = view_open_process(view, place, &process);

	if (r)
		return r;
	if (!view_board_process(view, place, &board)) {
		for (unsigned i = 0; i < N_PROCESS_RATES * N_WINDOWS; i++)
			(&board.rate[0][0])[i] = BOARD_RATE_UNKNOWN;
	}
	render_rates(out, &process_metrics, &board.rate[0][0], N_PROCESS_RATES);
	return 0;
}

static int file_render(
	struct view *view, const struct place *place, const struct caller *caller, struct buf *out)
{
	CLEANUP_PROCESS struct process process = PROCESS_INIT;
	int r = view_open_process(view, place, &process);

	if (!r)
		r = gone(proc_read(process.numbers, tree_node(view->tree, place)->name, out));
	return r;
}

/* The words of the command line, escaped, with a blank between them. */
static int args_render(
	struct view *view, const struct place *place, const struct caller *caller, struct buf *out)
{
	CLEANUP_PROCESS struct process process = PROCESS_INIT;
	CLEANUP_BUF struct buf text = BUF_INIT;
	int r = view_open_process(view, place, &process);

	if (!r)
		r = gone(proc_read(process.numbers, "cmdline", &text));
	if (r)
		return r;
	pid_cmdline_put_args(out, text.data, text.len);
	buf_putc(out, '\n');
	return 0;
}

enum fact { FACT_STATE, FACT_PPID, FACT_UID, FACT_GID, FACT_THREADS, FACT_START_TIME };

static int fact_render(
	struct view *view, const struct place *place, const struct caller *caller, struct buf *out)
{
	CLEANUP_PROCESS struct process process = PROCESS_INIT;
	struct pid_status status = { 0 };
	enum fact fact = tree_node(view->tree, place)->arg;
	int r = view_open_process(view, place, &process);

	if (!r && (fact == FACT_UID || fact == FACT_GID))
		r = read_status(&process, &status);
	if (r)
		return r;
	switch (fact) {
	case FACT_STATE:
		buf_putc(out, process.stat.state);
		break;
	case FACT_PPID:
		buf_put_u64(out, process.stat.ppid);
		break;
	case FACT_UID:
		buf_put_u64(out, status.uid);
		break;
	case FACT_GID:
		buf_put_u64(out, status.gid);
		break;
	case FACT_THREADS:
		buf_put_u64(out, process.stat.threads);
		break;
	case FACT_START_TIME: {
		int64_t centis = view->boot_ns / 10000000 +
				 (int64_t)(process.stat.start_ticks * 100 / (uint64_t)sysconf(_SC_CLK_TCK));
		buf_printf(out, "%lld.%02d", (long long)(centis / 100), (int)(centis % 100));
		break;
	}
	}
	buf_putc(out, '\n');
	return 0;
}

/* pss, uss, dirty: the collector measures, for it takes rights and the process's mmap lock. */
static int measured_render(
	struct view *view, const struct place *place, const struct caller *caller, struct buf *out)
{
	CLEANUP_PROCESS struct process process = PROCESS_INIT;
	struct control_measured measured;
	unsigned id = tree_node(view->tree, place)->arg;
	int r = view_open_process(view, place, &process);

	if (!r)
		r = gone(ask_measure(view, &process, caller, &measured));
	if (r)
		return r;
	buf_put_u64(out, id == PROCESS_PSS   ? measured.pss
			 : id == PROCESS_USS ? measured.uss
					     : measured.dirty);
	buf_putc(out, '\n');
	return 0;
}

/* What takes rights, or the process's mmap lock: the collector reads it for the caller. */
static int asked_render(
	struct view *view, const struct place *place, const struct caller *caller, struct buf *out)
{
	CLEANUP_PROCESS struct process process = PROCESS_INIT;
	int r = view_open_process(view, place, &process);

	if (!r)
		r = ask_file(view, &process, tree_node(view->tree, place)->name, caller, out);
	return r;
}

static int peak_write(struct view *view, const struct place *place, const struct caller *caller,
	const char *text, size_t len, const atomic_bool *cancelled, struct err *err)
{
	CLEANUP_PROCESS struct process process = PROCESS_INIT;

	if (len && text[len - 1] == '\n')
		len--;
	if (!span_equals((struct span) { text, len }, "reset"))
		return err_set(err, EINVAL, "peak takes `reset`, which starts it anew, and nothing else");
	int r = view_open_process(view, place, &process);
	if (r)
		return err_set(err, -r, r == -ESRCH ? "the process has ended" : "the process cannot be read");
	return ask_act(view, CONTROL_OP_RESET_PEAK, &process, caller, cancelled, err);
}

/* Kernel threads never have memory of their own, zombies no more. */
static bool has_memory(struct view *view, const struct place *place)
{
	CLEANUP_PROCESS struct process process = PROCESS_INIT;
	struct process_values values = { 0 };

	return !view_open_process(view, place, &process) && !(process.stat.flags & PID_STAT_KERNEL_THREAD) &&
	       !read_statm(&process, &values) && values.present;
}

static bool has_file(struct view *view, const struct place *place)
{
	CLEANUP_PROCESS struct process process = PROCESS_INIT;

	return !view_open_process(view, place, &process) &&
	       proc_has_file(process.dir, tree_node(view->tree, place)->name);
}

/* The kernel's file that content is made of, for rows that have another name. */
enum source { SOURCE_OWN_NAME, SOURCE_SMAPS, SOURCE_NUMA_MAPS };

/* What this kernel has, for a process that has memory. */
static bool has_memory_file(struct view *view, const struct place *place)
{
	static const char *const sources[] = { [SOURCE_SMAPS] = "smaps", [SOURCE_NUMA_MAPS] = "numa_maps" };
	CLEANUP_PROCESS struct process process = PROCESS_INIT;
	const struct node *node = tree_node(view->tree, place);

	return has_memory(view, place) && !view_open_process(view, place, &process) &&
	       proc_has_file(process.dir, node->arg ? sources[node->arg] : node->name);
}

static bool next_process(
	struct view *view, const struct place *dir, uint16_t child_row, uint64_t *key, struct entry *ret)
{
	uint32_t pid = (uint32_t)*key;
	bool fresh = view_collector_runs(
		view); /* a board that nobody writes may tell of an earlier user of a pid */

	while ((pid = view_next_pid(view, pid))) {
		struct board_process board;

		ret->place = *dir;
		ret->place.row = child_row;
		ret->place.pid = pid;
		if (fresh && board_read_process(view->board, pid, &board) == BOARD_FOUND)
			ret->place.start_ticks = (uint32_t)board.start_ticks;
		else if (view_find_process(view, pid, &ret->place.start_ticks))
			continue;
		ret->name[num_format_u64(ret->name, pid)] = 0;
		*key = pid;
		return true;
	}
	return false;
}

/* /proc finds threads by their ids too, though it lists none. What the board has is a process. */
static bool is_thread(struct view *view, const struct place *place)
{
	CLEANUP_PROCESS struct process process = PROCESS_INIT;
	struct pid_status status = { 0 };
	struct board_process board;

	return !view_board_process(view, place, &board) && !view_open_process(view, place, &process) &&
	       !read_status(&process, &status) && status.tgid != place->pid;
}

static int find_process(
	struct view *view, const struct place *dir, uint16_t child_row, const char *name, struct place *ret)
{
	struct place place = *dir;
	uint64_t pid;

	/* As in /proc: no sign, no leading zero. */
	if (*name == '0' || !num_parse_whole(name, strlen(name), &pid) || !pid || pid >= BOARD_PIDS)
		return -ENOENT;
	place.row = child_row;
	place.pid = (uint32_t)pid;
	if (view_find_process(view, place.pid, &place.start_ticks) || is_thread(view, &place))
		return -ENOENT;
	*ret = place;
	return 0;
}

const struct node_list process_list = { next_process, find_process, 0 };

#define FILE    METRIC_FILE
#define STAT    METRIC_STAT
#define HISTORY METRIC_HISTORY
#define RATE    METRIC_RATE
#define SYSTEM(id, ...)
#define PROCESS(id, metric_name, metric_unit, kind, source, key, where, text)                                \
	{ metric_name, 0444,                                                                                 \
		!((where)&METRIC_FILE)                             ? NODE_NONE                               \
		: METRIC_SOURCE_##source == METRIC_SOURCE_MEASURED ? NODE_TABLE                              \
								   : NODE_NUMBER,                            \
		UNIT_##metric_unit, text,                                                                    \
		.render =                                                                                    \
			METRIC_SOURCE_##source == METRIC_SOURCE_MEASURED ? measured_render : number_render,  \
		.exists = has_memory, .arg = PROCESS_##id },

const struct node process_nodes[] = {
	README,
	{ "comm", 0444, NODE_NUMBER, NULL, "name, as /proc/PID/comm", .render = file_render },
	{ "statm", 0444, NODE_NUMBER, "pages", "as /proc/PID/statm: size resident shared text lib data dt",
		.render = file_render },
	{ "cmdline", 0444, NODE_TABLE, NULL, "as /proc/PID/cmdline", .render = file_render },
	{ "args", 0444, NODE_TABLE, NULL, "the command line as one escaped line", .render = args_render },
	{ "state", 0444, NODE_NUMBER, NULL, "letter, as in /proc/PID/stat", .render = fact_render,
		.arg = FACT_STATE },
	{ "ppid", 0444, NODE_NUMBER, NULL, "pid of the parent", .render = fact_render, .arg = FACT_PPID },
	{ "uid", 0444, NODE_NUMBER, NULL, "real user", .render = fact_render, .arg = FACT_UID },
	{ "gid", 0444, NODE_NUMBER, NULL, "real group", .render = fact_render, .arg = FACT_GID },
	{ "threads", 0444, NODE_NUMBER, NULL, "how many threads", .render = fact_render,
		.arg = FACT_THREADS },
	{ "start_time", 0444, NODE_NUMBER, "seconds", "epoch, two decimals", .render = fact_render,
		.arg = FACT_START_TIME },
#include "schema/metrics.def"
	{ "cgroup", 0444, NODE_NUMBER, NULL, "as /proc/PID/cgroup", .render = file_render,
		.exists = has_file },
	{ "oom_score", 0444, NODE_NUMBER, NULL,
		"as /proc/PID/oom_score: the higher, the sooner it is killed when memory runs out",
		.render = file_render, .exists = has_file },
	{ "smaps_rollup", 0400, NODE_TABLE, "kB", "as /proc/PID/smaps_rollup", .render = asked_render,
		.exists = has_memory_file, .guarded = true },
	{ "numa_maps", 0444, NODE_TABLE, "pages",
		"as /proc/PID/numa_maps, which tells addresses: for whom the kernel would let read it",
		.render = asked_render, .exists = has_memory_file, .guarded = true },
	{ "exe", 0400, NODE_TABLE, NULL, "path of the program, as /proc/PID/exe leads there, escaped",
		.render = asked_render, .exists = has_memory_file, .guarded = true },
	{ "regions", 0400, NODE_TABLE, "bytes",
		"mappings: start end perms rss pss swap referenced pattern name, of /proc/PID/smaps",
		.render = asked_render, .exists = has_memory_file, .form = FORM_TABLE,
		.strings = "start end perms pattern name", .guarded = true, .arg = SOURCE_SMAPS },
	{ "numa", 0444, NODE_TABLE, "bytes",
		"node anon file: what of it is on each NUMA node that has some, of /proc/PID/numa_maps",
		.render = asked_render, .exists = has_memory_file, .form = FORM_TABLE,
		.arg = SOURCE_NUMA_MAPS },
	{ "peak", 0644, NODE_SETTING, "bytes",
		"largest resident set so far: VmHWM of status; `reset` starts it anew",
		.render = number_render, .write = peak_write, .exists = has_memory, .arg = PROCESS_PEAK },
	{ "stat", 0444, NODE_NUMBER, "bytes", "everything cheap", .render = stat_render, .form = FORM_KEYED },
	{ "rate", 0444, NODE_NUMBER, "1/s",
		"rss data swap minor_faults major_faults over 1s 10s 1m 10m; - while younger",
		.render = rate_render, .form = FORM_KEYED },
	{ "history", 0555, NODE_DIR, NULL, "the past", .children = history_nodes },
	{ "leaks", 0555, NODE_DIR, NULL, "what it has allocated and not freed, where it is traced",
		.children = leak_nodes, .exists = has_memory },
	{ 0 },
};
