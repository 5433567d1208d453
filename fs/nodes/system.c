/* SPDX-License-Identifier: MIT */
/* nodes/NODE/: the numbers of a machine. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "fs/groups.h"
#include "fs/nodes/nodes.h"
#include "fs/refusals.h"
#include "fs/render.h"
#include "fs/view.h"
#include "schema/control.h"
#include "schema/leak_text.h"
#include "schema/proc/system_files.h"

static int number_render(
	struct view *view, const struct place *place, const struct caller *caller, struct buf *out)
{
	unsigned id = tree_node(view->tree, place)->arg;
	const struct metric *metric = &system_metrics.rows[id];
	struct system_values values;

	if (system_files_read(&view->root, system_files_of(metric), &values))
		return -EIO;
	if (!metric_has(values.present, id))
		return -ENODATA;
	metric_value_render(out, metric, values.value[id]);
	buf_putc(out, '\n');
	return 0;
}

static int stat_render(
	struct view *view, const struct place *place, const struct caller *caller, struct buf *out)
{
	struct system_values values;

	if (system_files_read(&view->root, SYSTEM_FILES_ALL, &values))
		return -EIO;
	for (unsigned id = 0; id < system_metrics.n; id++) {
		const struct metric *metric = &system_metrics.rows[id];
		if (!(metric->where & METRIC_STAT))
			continue;
		if (metric_has(values.present, id))
			render_key_metric(out, metric->name, metric, values.value[id]);
		else
			render_key_unknown(out, metric->name);
	}
	return 0;
}

enum { KERNEL_MEMINFO, KERNEL_VMSTAT, KERNEL_PRESSURE_MEMORY, KERNEL_PRESSURE_IO, KERNEL_PRESSURE_CPU };

static const char *const kernel_file[] = {
	[KERNEL_MEMINFO] = "meminfo",
	[KERNEL_VMSTAT] = "vmstat",
	[KERNEL_PRESSURE_MEMORY] = "pressure/memory",
	[KERNEL_PRESSURE_IO] = "pressure/io",
	[KERNEL_PRESSURE_CPU] = "pressure/cpu",
};

static int kernel_file_render(
	struct view *view, const struct place *place, const struct caller *caller, struct buf *out)
{
	int r = proc_read(view->root.proc, kernel_file[tree_node(view->tree, place)->arg], out);
	return r > 0 ? -EIO : r == -EOPNOTSUPP ? -ENODATA : r;
}

static bool kernel_file_exists(struct view *view, const struct place *place)
{
	return !faccessat(view->root.proc, kernel_file[tree_node(view->tree, place)->arg], F_OK, 0);
}

/* Kernels before 4.20, and those that are told psi=0, have none. */
static bool pressure_exists(struct view *view, const struct place *place)
{
	return !faccessat(view->root.proc, "pressure", F_OK, 0);
}

static int rate_render(
	struct view *view, const struct place *place, const struct caller *caller, struct buf *out)
{
	struct board_system system = { 0 };

	if (board_read_system(view->board, &system))
		return -ENODATA;
	render_rates(out, &system_metrics, &system.rate[0][0], N_SYSTEM_RATES);
	return 0;
}

enum { TEXT_ID, TEXT_HOSTNAME, TEXT_VERSION, TEXT_STATE, TEXT_AGE };

static int text_render(
	struct view *view, const struct place *place, const struct caller *caller, struct buf *out)
{
	const char *const text[] = { [TEXT_ID] = view->node_id,
		[TEXT_HOSTNAME] = view->host_name,
		[TEXT_VERSION] = MEMFS_VERSION,
		[TEXT_STATE] = "local",
		[TEXT_AGE] = "0" };

	buf_puts(out, text[tree_node(view->tree, place)->arg]);
	buf_putc(out, '\n');
	return 0;
}

static int errors_render(
	struct view *view, const struct place *place, const struct caller *caller, struct buf *out)
{
	refusals_render(view->refusals, caller, out);
	return 0;
}

static int config_render(
	struct view *view, const struct place *place, const struct caller *caller, struct buf *out)
{
	struct settings settings;

	if (board_read_settings(view->board, &settings))
		return -ENODATA;
	settings_render(out, &settings);
	return 0;
}

/* The stream has no rendering: the door blocks its readers until the board has news. */
#define EVENTS_DOC                                                                                           \
	"new events only: seq time kind subject text; kinds start exit growth leak tier advice alert node config dropped"

static const struct node top_nodes[] = {
	README,
	{ "rss", 0444, NODE_TABLE, NULL, "the 50 largest resident sets", .render = top_render, .arg = TOP_RSS,
		.form = FORM_TABLE, .strings = PROCESSES_STRINGS },
	{ "swap", 0444, NODE_TABLE, NULL, "the 50 most swapped out", .render = top_render, .arg = TOP_SWAP,
		.form = FORM_TABLE, .strings = PROCESSES_STRINGS },
	{ "growth", 0444, NODE_TABLE, NULL,
		"the 50 that grow fastest, by rate_10m or, while younger, rate_1m", .render = top_render,
		.arg = TOP_GROWTH, .form = FORM_TABLE, .strings = PROCESSES_STRINGS },
	{ "suspect", 0444, NODE_TABLE, NULL,
		"the 50 traced ones with the most bytes that may be leaks, as last counted",
		.render = top_render, .arg = TOP_SUSPECT, .form = FORM_TABLE, .strings = PROCESSES_STRINGS },
	{ 0 },
};

static const struct node pressure_nodes[] = {
	README,
	{ "memory", 0444, NODE_NUMBER, NULL, "/proc/pressure/memory, byte for byte",
		.render = kernel_file_render, .exists = kernel_file_exists, .arg = KERNEL_PRESSURE_MEMORY },
	{ "io", 0444, NODE_NUMBER, NULL, "/proc/pressure/io, byte for byte", .render = kernel_file_render,
		.exists = kernel_file_exists, .arg = KERNEL_PRESSURE_IO },
	{ "cpu", 0444, NODE_NUMBER, NULL, "/proc/pressure/cpu, byte for byte", .render = kernel_file_render,
		.exists = kernel_file_exists, .arg = KERNEL_PRESSURE_CPU },
	{ 0 },
};

static const struct node numa_dir_nodes[] = {
	{ NULL, 0555, NODE_DIR, NULL, "a NUMA node that is online", "N", .list = &numa_list,
		.children = numa_nodes },
	README_HIDDEN,
	{ 0 },
};

static const struct node by_name_nodes[] = {
	{ NULL, 0555, NODE_DIR, NULL, "all processes of one name (comm, escaped)", "COMM",
		.list = &group_list, .children = group_nodes, .arg = GROUP_BY_NAME },
	README_HIDDEN,
	{ 0 },
};

static const struct node by_user_nodes[] = {
	{ NULL, 0555, NODE_DIR, NULL,
		"all processes of one user (real uid): the name that /etc/passwd has, else the uid; the uid is found too",
		"USER", .list = &group_list, .children = group_nodes, .arg = GROUP_BY_USER },
	README_HIDDEN,
	{ 0 },
};

static const struct node by_unit_nodes[] = {
	{ NULL, 0555, NODE_DIR, NULL,
		"all processes of one unit: the innermost .service, .scope, ... of their cgroup, else .slice, else its last component",
		"UNIT", .list = &group_list, .children = unit_nodes, .arg = GROUP_BY_UNIT },
	README_HIDDEN,
	{ 0 },
};

#define FILE    METRIC_FILE
#define STAT    METRIC_STAT
#define HISTORY METRIC_HISTORY
#define RATE    METRIC_RATE
#define SYSTEM(id, metric_name, metric_unit, kind, source, key, where, text)                                 \
	{ metric_name, 0444, (where)&METRIC_FILE ? NODE_NUMBER : NODE_NONE, UNIT_##metric_unit, text,        \
		.render = number_render, .arg = SYSTEM_##id },
#define PROCESS(id, ...)

const struct node system_nodes[] = {
	README,
	{ "id", 0444, NODE_NUMBER, NULL, "uuid, for the node's life", .render = text_render, .arg = TEXT_ID },
	{ "hostname", 0444, NODE_NUMBER, NULL, "host name as the kernel has it", .render = text_render,
		.arg = TEXT_HOSTNAME },
	{ "version", 0444, NODE_NUMBER, NULL, "memfs version there", .render = text_render,
		.arg = TEXT_VERSION },
	{ "state", 0444, NODE_NUMBER, NULL, "local live suspect dead left conflict", .render = text_render,
		.arg = TEXT_STATE },
	{ "age", 0444, NODE_NUMBER, "seconds", "since last heard; 0 for local", .render = text_render,
		.arg = TEXT_AGE },
#include "schema/metrics.def"
	{ "stat", 0444, NODE_NUMBER, "bytes",
		"all of these, the other system metrics, and memory pressure in percent",
		.render = stat_render, .form = FORM_KEYED },
	{ "meminfo", 0444, NODE_NUMBER, "kB", "/proc/meminfo, byte for byte", .render = kernel_file_render,
		.arg = KERNEL_MEMINFO },
	{ "vmstat", 0444, NODE_NUMBER, NULL, "/proc/vmstat, byte for byte", .render = kernel_file_render,
		.arg = KERNEL_VMSTAT },
	{ "pressure", 0555, NODE_DIR, NULL, "who waited for what, as the kernel has it",
		.children = pressure_nodes, .exists = pressure_exists },
	{ "numa", 0555, NODE_DIR, NULL, "the memory of each NUMA node", .children = numa_dir_nodes,
		.exists = numa_exists },
	{ "rate", 0444, NODE_NUMBER, "bytes/s",
		"used cached swap_used anon over 1s 10s 1m 10m; - while younger", .render = rate_render,
		.form = FORM_KEYED },
	{ "processes", 0444, NODE_TABLE, "bytes", "all processes, by pid", .render = processes_render,
		.form = FORM_TABLE, .strings = PROCESSES_STRINGS },
	{ "top", 0555, NODE_DIR, NULL, "the largest processes, largest first", .children = top_nodes },
	{ "by-name", 0555, NODE_DIR, NULL, "processes of one name together", .children = by_name_nodes },
	{ "by-user", 0555, NODE_DIR, NULL, "processes of one user together", .children = by_user_nodes },
	{ "by-unit", 0555, NODE_DIR, NULL, "processes of one unit together", .children = by_unit_nodes },
	{ "history", 0555, NODE_DIR, NULL, "the past", .children = system_history_nodes },
	{ "at", 0555, NODE_DIR, NULL, "the machine as it was", .children = at_nodes, .live = true },
	{ "ended", 0555, NODE_DIR, NULL, "remains of processes that ended", .children = ended_nodes,
		.live = true },
	{ "events", 0444, NODE_STREAM, NULL, EVENTS_DOC },
	{ "leaks", 0444, NODE_TABLE, NULL,
		"pid comm suspect_bytes suspect_blocks rate_1m caller symbol module: call sites with suspects, as last counted, of the traced processes that the reader may look into; largest first",
		.render = leaks_render, .per_user = true, .form = FORM_TABLE, .strings = LEAK_NODE_STRINGS },
	{ "errors", 0444, NODE_TABLE, NULL,
		"the last 100 writes refused here; yours: time uid pid path errno reason",
		.render = errors_render, .per_user = true, .form = FORM_TABLE,
		.strings = "path errno reason" },
	{ "config", 0644, NODE_SETTING, NULL,
		"settings, `name value` a line; all lines of a write are applied, or none",
		.render = config_render, .write = kept_write, .arg = CONTROL_OP_CONFIG, .form = FORM_KEYED },
	{ "alerts", 0644, NODE_SETTING, NULL,
		"rules, `NAME SUBJECT METRIC OP VALUE [for SECONDS]` a line, `-NAME` removes; SUBJECT is node, pid/N, by-name/X (the sum) or each/X, METRIC a key of its stat or rate (by-name: count), OP one of > >= < <= == !=; events of kind alert tell `NAME firing` and `NAME cleared`",
		.render = note_render, .write = kept_write, .arg = CONTROL_OP_ALERTS },
	{ "tags", 0644, NODE_SETTING, NULL,
		"labels of the node, `key value` a line, `-key` removes; the key a Prometheus label name",
		.render = note_render, .write = kept_write, .arg = CONTROL_OP_TAGS, .form = FORM_KEYED },
	{ "leaks_skip", 0644, NODE_SETTING, NULL,
		"wrappers to look through when the caller of a block is named, beside those that memfs knows: a function or `module:NAME` a line, * and ? are wild, `!` before it for what is none after all; later lines count for more, `-LINE` removes",
		.render = note_render, .write = kept_write, .arg = CONTROL_OP_LEAKS_SKIP },
	{ "leaks_suppress", 0644, NODE_SETTING, NULL,
		"leaks that are known, as in suppression files of LeakSanitizer: `leak:PATTERN` a line, of a function, source file or module; no suspects, no events; `-LINE` removes",
		.render = note_render, .write = kept_write, .arg = CONTROL_OP_LEAKS_SUPPRESS },
	{ NULL, 0555, NODE_DIR, NULL, "a process", "PID", .list = &process_list, .children = process_nodes },
	{ 0 },
};
