/* SPDX-License-Identifier: MIT */
/*
 * The sweep by a program in the kernel. It tells everything of a process but its memory exactly: each
 * processor holds back some pages of its counters. So the program says who may have changed (a counter
 * moved, or one of its threads ran), and statm and status of those say what it has. Only what others do to a
 * process, pages enough to matter but too few to move a counter, shows no sooner than its turn.
 *
 * A pass is read to its end first; the files are asked after it.
 */
#include <string.h>
#include <unistd.h>

#include "collector/sample/sweep.h"
#include "schema/base/clock.h"
#include "schema/base/num.h"
#include "schema/proc/pid_statm.h"

enum { ROUND_S = 60, CGROUP_S = 600, KERNEL_THREAD_ROUND_S = 9, AHEAD = 8, CHECK_TRIES = 20 };
static const int64_t second_ns = 1000000000;

/* Of enum process_moved: what a record says that is new against the last one. */
static unsigned compare(const struct task_process *was, const struct task_process *now)
{
	const size_t memory = offsetof(struct task_process, exec_id);
	unsigned moved = 0;

	if (was->leader.runtime_ns != now->leader.runtime_ns)
		moved |= MOVED_RAN;
	if (memcmp((const char *)was + memory, (const char *)now + memory, sizeof(*now) - memory) != 0)
		moved |= MOVED_MEMORY;
	if (was->exec_id != now->exec_id)
		moved |= MOVED_EXEC;
	if (was->cgroups != now->cgroups)
		moved |= MOVED_CGROUP;
	if (was->uid != now->uid || was->gid != now->gid)
		moved |= MOVED_OWNER;
	if (was->ppid != now->ppid || was->threads != now->threads || was->state != now->state ||
		memcmp(was->comm, now->comm, sizeof(now->comm)) != 0 ||
		was->leader.minor_faults != now->leader.minor_faults ||
		was->leader.major_faults != now->leader.major_faults ||
		was->ended_minor_faults != now->ended_minor_faults ||
		was->ended_major_faults != now->ended_major_faults)
		moved |= MOVED_STAT;
	return moved;
}

/* The letter of stat (fs/proc/array.c, get_task_state): that of the highest bit, a sleep that is no load
 * apart. */
static char state_letter(uint32_t state)
{
	enum { SLEEP_NO_LOAD = 0x402, REPORTED = 0x7f, LOCK_WAIT = 0x1000, FROZEN = 0x8000 };
	if ((state & SLEEP_NO_LOAD) == SLEEP_NO_LOAD)
		return 'I';
	uint32_t reported = state & REPORTED;
	if (!reported)
		return state & (LOCK_WAIT | FROZEN) ? 'D' : 'R';
	return "SDTtXZP"[31 - __builtin_clz(reported)];
}

static uint64_t start_ticks_of(const struct sampler *sampler, const struct task_process *record)
{
	return record->start_ns / (1000000000 / sampler->ticks_per_second);
}

/* What stat would say; of a process with other threads it lacks their faults. */
static void make_stat(const struct sampler *sampler, const struct task_process *record, struct pid_stat *ret)
{
	*ret = (struct pid_stat) {
		.pid = record->leader.tgid,
		.comm_len = (uint32_t)strnlen(record->comm, sizeof(record->comm) - 1),
		.state = state_letter(record->state),
		.ppid = record->ppid,
		.flags = record->kernel_thread ? PID_STAT_KERNEL_THREAD : 0,
		.minor_faults = record->leader.minor_faults + record->ended_minor_faults,
		.major_faults = record->leader.major_faults + record->ended_major_faults,
		.threads = record->threads,
		.start_ticks = start_ticks_of(sampler, record),
	};
	memcpy(ret->comm, record->comm, ret->comm_len);
}

static void note_work(struct sampler *sampler, struct process *process, unsigned moved)
{
	process->moved = (uint8_t)moved;
	process->work_pass = sampler->pass;
	if (!pid_list_add(&sampler->work, process->pid))
		sampler->failures++;
}

/* Threads come before their leader or after it: their sums are complete at the end of the pass. */
static void take_thread(struct sampler *sampler, const struct task_thread *record)
{
	struct process *process = process_find(&sampler->table, record->tgid);
	if (!process)
		return;
	struct process_told *told = &process->told;
	if (told->others_pass != sampler->pass) {
		told->others_pass = sampler->pass;
		told->others_were = told->others;
		told->others = (struct task_thread) { 0 };
	}
	told->others.runtime_ns += record->runtime_ns;
	told->others.minor_faults += record->minor_faults;
	told->others.major_faults += record->major_faults;
}

/* True where it is one of the table, not seen before in this pass. */
static bool take_process(struct sampler *sampler, const struct task_process *record)
{
	struct process *process = process_find(&sampler->table, record->leader.tgid);
	if (!process) {
		if (!pid_list_add(&sampler->newcomers, record->leader.tgid))
			sampler->failures++;
		return false;
	}
	struct process_told *told = &process->told;
	bool first = told->pass != sampler->pass;
	unsigned moved = MOVED_ALL;

	told->pass = sampler->pass;
	if (told->process.start_ns == record->start_ns)
		moved = compare(&told->process, record);
	else if (start_ticks_of(sampler, record) != process->shown.start_ticks) {
		sweep_note_gone(sampler, process->pid);
		return first;
	}
	if (moved)
		told->process = *record;
	/* What others there are is known at the end. */
	if (moved || record->threads > 1)
		note_work(sampler, process, moved);
	return first;
}

static size_t take_records(struct sampler *sampler, const char *records, size_t len)
{
	size_t seen = 0, ahead = 0;
	unsigned n_ahead = 0;

	for (size_t at = 0; at < len;) {
		/* Between two ticks they left the caches: they are asked for some records ahead. */
		for (; ahead < len && n_ahead < AHEAD; n_ahead++) {
			const struct task_thread *next = (const void *)(records + ahead);
			const struct process *process = process_find(&sampler->table, next->tgid);
			if (process) {
				for (size_t line = 0; line < sizeof(process->told); line += 64)
					__builtin_prefetch((const char *)&process->told + line, 1);
			}
			ahead += task_record_size(next);
		}
		n_ahead--;
		const struct task_thread *record = (const void *)(records + at);
		if (record->kind == TASK_RECORD_THREAD)
			take_thread(sampler, record);
		else if (record->kind == TASK_RECORD_PROCESS)
			seen += take_process(sampler, (const void *)record);
		else if (!pid_list_add(&sampler->missing, record->tgid))
			sampler->failures++;
		at += task_record_size(record);
	}
	return seen;
}

/* The name of a worker changes with its work, and is in stat alone: not each time it ran. */
static void work_on_kernel_thread(struct sampler *sampler, struct process *process)
{
	if (sampler->pass_ns - process->stat_ns >= KERNEL_THREAD_ROUND_S * second_ns ||
		sampler->pass_ns >= *process_due_ns(&sampler->table, process))
		sweep_look(sampler, process, LOOK_STAT, NULL);
}

static void work_on(struct sampler *sampler, struct process *process, int64_t last_pass_ns)
{
	const struct process_told *told = &process->told;
	const struct pid_stat *given = NULL;
	unsigned moved = process->moved, what = 0;
	struct pid_stat stat;

	if (process->kernel_thread) {
		work_on_kernel_thread(sampler, process);
		return;
	}
	if (moved & MOVED_CGROUP && process->cgroup_ns < sampler->pass_ns)
		sampler_look_at_cgroup(sampler, process);
	if (told->others_pass == sampler->pass) {
		if (told->others.runtime_ns != told->others_were.runtime_ns)
			moved |= MOVED_RAN;
		if (told->others.minor_faults != told->others_were.minor_faults ||
			told->others.major_faults != told->others_were.major_faults)
			moved |= MOVED_STAT;
	}
	if (moved & (MOVED_RAN | MOVED_MEMORY))
		what |= LOOK_STATM;
	if (moved & (MOVED_MEMORY | MOVED_OWNER)) /* swap is not in statm */
		what |= LOOK_STATUS;
	if (moved & MOVED_STAT)
		what |= LOOK_STAT;
	if (moved & MOVED_EXEC && moved != MOVED_ALL && !sampler->trusts_births)
		what |= LOOK_EXEC;
	if (told->process.threads == 1) {
		make_stat(sampler, &told->process, &stat);
		if (!pid_stat_ended(stat.state)) /* how it ended is in stat alone */
			given = &stat;
		what |= LOOK_STAT;
	}
	if (process->through_thread || process->statm_fd < 0)
		what |= LOOK_STATM | LOOK_STAT;
	if (!what && sampler->pass_ns < *process_due_ns(&sampler->table, process))
		return;
	/* The pass before found it unchanged up to then. */
	if (process->sample_ns < last_pass_ns)
		process->sample_ns = last_pass_ns;
	process->stat_ns = process->sample_ns;
	sweep_look(sampler, process, what, given);
}

/* Of whom no record came that is new. */
static void note_due(struct sampler *sampler)
{
	struct process_table *table = &sampler->table;
	for (size_t i = 0; i < table->n; i++)
		if (sampler->pass_ns >= table->due_ns[i] && table->live[i]->work_pass != sampler->pass)
			note_work(sampler, table->live[i], 0);
}

/* A process that the pass did not have: gone, unless it moved to another id while the pass went by. */
static void look_for(struct sampler *sampler, struct process *process)
{
	sweep_look(sampler, process, process->kernel_thread ? LOOK_STAT : LOOK_STATM, NULL);
}

static void look_for_missing(struct sampler *sampler, size_t seen)
{
	struct process_table *table = &sampler->table;

	for (size_t i = 0; i < sampler->missing.n; i++) {
		struct process *process = process_find(table, sampler->missing.pid[i]);
		if (process)
			look_for(sampler, process);
	}
	if (!tasks_tell_all(sampler->tasks) || seen == table->n)
		return;
	for (size_t i = 0; i < table->n; i++)
		if (table->live[i]->told.pass != sampler->pass)
			look_for(sampler, table->live[i]);
}

static void give_turns(struct sampler *sampler)
{
	for (size_t due = sweep_turns_due(sampler, clock_monotonic_ns(), ROUND_S); due; due--) {
		struct process *process = sweep_next_turn(sampler);
		if (process->kernel_thread)
			continue;
		/* A pass shows who was moved, unless it was several times and to the same address again. */
		if (sampler->pass_ns - process->cgroup_ns >= CGROUP_S * second_ns)
			sampler_look_at_cgroup(sampler, process);
		sweep_look(sampler, process, LOOK_STATM, NULL);
	}
}

static int read_pass(struct sampler *sampler, size_t *ret_seen)
{
	const char *records;
	size_t len, seen = 0;

	int r = tasks_begin(sampler->tasks, sampler->tasks_anew);
	if (r < 0)
		return r;
	while ((r = tasks_read(sampler->tasks, &records, &len)) == 0 && len)
		seen += take_records(sampler, records, len);
	sampler->tasks_anew = false;
	*ret_seen = seen;
	return r;
}

int sweep_tasks(struct sampler *sampler)
{
	int64_t last_pass_ns = sampler->pass_ns;
	size_t seen;

	sampler->pass++;
	sampler->pass_ns = clock_monotonic_ns();
	sampler->newcomers.n = sampler->missing.n = sampler->work.n = 0;
	int r = read_pass(sampler, &seen);
	if (r < 0) {
		sampler->gone.n = 0;
		return r;
	}
	note_due(sampler);
	/* Behind the pass: who is moved from now on shows in the next. */
	sweep_place(sampler);
	for (size_t i = 0; i < sampler->work.n; i++) {
		struct process *process = process_find(&sampler->table, sampler->work.pid[i]);
		if (process)
			work_on(sampler, process, last_pass_ns);
	}
	look_for_missing(sampler, seen);
	give_turns(sampler);
	sweep_bury_gone(sampler);
	for (size_t i = 0; i < sampler->newcomers.n; i++)
		if (sampler_adopt(sampler, sampler->newcomers.pid[i]) < 0)
			sampler->failures++;
	return 0;
}

/* --- Whether the kernel's program can be believed --- */

/* This process as a pass has it. 0 or -errno; -ESRCH where it is not there. */
static int find_own(struct tasks *tasks, struct task_process *ret)
{
	const char *records;
	size_t len;
	bool found = false;

	int r = tasks_begin(tasks, true);
	while (r == 0 && (r = tasks_read(tasks, &records, &len)) == 0 && len) {
		for (size_t at = 0; at < len;) {
			const struct task_thread *record = (const void *)(records + at);
			if (record->kind == TASK_RECORD_PROCESS && record->tgid == (uint32_t)getpid()) {
				memcpy(ret, record, sizeof(*ret));
				found = true;
			}
			at += task_record_size(record);
		}
	}
	return r < 0 ? r : found ? 0 : -ESRCH;
}

/* Whether /proc shows the pids of our own pid namespace, which the program counts in. */
static bool has_own_pids(const struct proc_root *root)
{
	char target[NUM_TEXT_MAX];
	uint64_t pid;
	ssize_t n = readlinkat(root->proc, "self", target, sizeof(target));
	return n > 0 && num_parse_whole(target, (size_t)n, &pid) && pid == (uint64_t)getpid();
}

static bool read_own(
	const struct proc_root *root, struct pid_stat *ret_stat, struct process_values *ret_values)
{
	char text[1024];
	size_t len;

	*ret_values = (struct process_values) { 0 };
	if (proc_read_short(root->proc, "self/statm", text, sizeof(text), &len) != PROC_OK)
		return false;
	pid_statm_parse(ret_values, text, len, 1);
	return proc_read_short(root->proc, "self/stat", text, sizeof(text), &len) == PROC_OK &&
	       pid_stat_parse(ret_stat, text, len);
}

/* The program against /proc. It may be asked again where a thread of ours was changing our memory. */
static int check_own(struct sampler *sampler, struct tasks *tasks, struct err *err)
{
	struct task_process record;
	struct pid_stat told, stat;
	struct process_values values;
	const char *wrong = "self/stat cannot be read";

	for (int i = 0; i < CHECK_TRIES; i++) {
		int r = find_own(tasks, &record);
		if (r < 0)
			return err_set(err, -r, "a pass over the tasks fails (%s)", err_name(-r));
		if (!read_own(sampler->root, &stat, &values))
			continue;
		make_stat(sampler, &record, &told);
		if (told.start_ticks != stat.start_ticks)
			wrong = "start times differ: another time namespace";
		else if (told.ppid != stat.ppid || told.comm_len != stat.comm_len ||
			 memcmp(told.comm, stat.comm, told.comm_len) != 0)
			wrong = "parents or names differ";
		else if (record.uid != getuid() || record.gid != getgid())
			wrong = "owners differ: another user namespace";
		else if (record.size_pages != values.value[PROCESS_VMS] || record.counter_pages[0] <= 0)
			wrong = "sizes differ";
		else
			return 0;
	}
	return err_set(err, EOPNOTSUPP, "the tasks are not what /proc says: %s", wrong);
}

static int start_way(struct sampler *sampler, enum tasks_way way, struct err *err)
{
	struct tasks *tasks = NULL;
	int r = tasks_open(way, &tasks, err);

	if (r == 0)
		r = check_own(sampler, tasks, err);
	if (r < 0) {
		tasks_free(tasks);
		return r;
	}
	sampler->tasks = tasks;
	sampler->tasks_way = way;
	sampler->tasks_anew = true;
	return 0;
}

int sampler_start_tasks(struct sampler *sampler, enum tasks_way best, struct err *err)
{
	if (!sampler->root->real || !has_own_pids(sampler->root))
		return err_set(err, EOPNOTSUPP, "/proc is of another pid namespace, or a captured tree");
	int r = -EOPNOTSUPP;
	for (enum tasks_way way = best; r < 0 && way < N_TASKS_WAYS; way++)
		r = start_way(sampler, way, err);
	return r;
}

void sampler_stop_tasks(struct sampler *sampler)
{
	tasks_free(sampler->tasks);
	sampler->tasks = NULL;
}
