/* SPDX-License-Identifier: MIT */
/* One process: its first sample, its later ones, its end. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/sample/sampler.h"
#include "schema/base/array.h"
#include "schema/base/cleanup.h"
#include "schema/base/clock.h"
#include "schema/base/num.h"
#include "schema/proc/pid_stat.h"
#include "schema/proc/pid_statm.h"
#include "schema/proc/pid_status.h"

enum { WATCH_S = 10, STATUS_SHORT = 4096, PATH_MAX_HERE = 40, ARGLESS_MAX = 65536 };
static const int64_t second_ns = 1000000000;

/* Below the root of /proc a process that ended is a name that is not there. */
static int outcome(int r)
{
	return r == -ENOENT || r == -ESRCH ? PROC_GONE : r;
}

static const char *path_of(char path[PATH_MAX_HERE], uint32_t pid, const char *file)
{
	size_t n = num_format_u64(path, pid);
	path[n] = '/';
	strcpy(path + n + 1, file);
	return path;
}

static int open_statm(const struct sampler *sampler, uint32_t pid, int *ret_fd)
{
	char path[PATH_MAX_HERE];
	int fd = openat(sampler->root->proc, path_of(path, pid, "statm"), O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return outcome(-errno);
	*ret_fd = fd;
	return PROC_OK;
}

static int read_statm(int fd, char text[PROCESS_STATM_MAX], size_t *ret_len)
{
	ssize_t n = pread(fd, text, PROCESS_STATM_MAX, 0);
	if (n < 0)
		return outcome(-errno);
	*ret_len = (size_t)n;
	return PROC_OK;
}

static int read_stat(const struct sampler *sampler, uint32_t pid, struct pid_stat *ret)
{
	char path[PATH_MAX_HERE], text[1024];
	size_t len;
	int r = outcome(
		proc_read_short(sampler->root->proc, path_of(path, pid, "stat"), text, sizeof(text), &len));
	if (r != PROC_OK)
		return r;
	return pid_stat_parse(ret, text, len) ? PROC_OK : PROC_GONE;
}

static int read_status(struct sampler *sampler, int at, const char *path, struct pid_status *ret)
{
	char text[STATUS_SHORT];
	size_t len;
	int r = outcome(proc_read_short(at, path, text, sizeof(text), &len));
	if (r != PROC_OK)
		return r;
	if (len < sizeof(text)) {
		pid_status_parse(ret, text, len);
		return PROC_OK;
	}
	/* Thousands of groups stand before the lines on memory. */
	buf_clear(&sampler->text);
	r = outcome(proc_read(at, path, &sampler->text));
	if (r == PROC_OK)
		pid_status_parse(ret, sampler->text.data, sampler->text.len);
	return r;
}

static int read_status_of(struct sampler *sampler, uint32_t pid, struct pid_status *ret)
{
	char path[PATH_MAX_HERE];
	return read_status(sampler, sampler->root->proc, path_of(path, pid, "status"), ret);
}

/*
 * Where the leader ended and threads live on, statm and status of one of those. Looked up anew each time:
 * such processes are rare, and the thread may end as well.
 */
static int read_through_thread(struct sampler *sampler, uint32_t pid, char statm[PROCESS_STATM_MAX],
	size_t *ret_len, struct pid_status *status)
{
	CLEANUP_CLOSE int dir = -1;
	CLEANUP_CLOSE int thread = -1;

	int r = proc_open_pid(sampler->root, pid, &dir);
	if (r == PROC_OK)
		r = proc_open_living_thread(dir, &thread);
	if (r == PROC_OK)
		r = outcome(proc_read_short(thread, "statm", statm, PROCESS_STATM_MAX, ret_len));
	if (r == PROC_OK)
		r = read_status(sampler, thread, "status", status);
	return r;
}

/* Takes *fd over where there is room for one more. */
static void keep_statm(struct sampler *sampler, struct process *process, int *fd)
{
	if (*fd >= 0 && sampler->kept < sampler->kept_max) {
		process->statm_fd = steal_fd(fd);
		sampler->kept++;
	}
}

static void drop_statm(struct sampler *sampler, struct process *process)
{
	if (process->statm_fd >= 0)
		sampler->kept--;
	close_fd(&process->statm_fd);
}

static void push(struct sampler *sampler, enum board_event_kind kind, const struct process *process)
{
	board_push_event(
		sampler->board, (struct board_event) { kind, process->pid, process->shown.start_ticks });
}

/* Remembers that history does not have it yet; whichever of changed, born, renamed it is. */
static void note(struct sampler *sampler, struct process *process)
{
	if (process->noted)
		return;
	process->noted = pid_list_add(&sampler->changes, process->pid);
	if (!process->noted)
		sampler->failures++;
}

/* stat's part of the sample. True where it says something new. */
static bool apply_stat(
	struct sampler *sampler, struct process *process, const struct pid_stat *stat, unsigned what)
{
	struct board_process *shown = &process->shown;
	char comm[BOARD_COMM] = { 0 };
	memcpy(comm, stat->comm, stat->comm_len < sizeof(comm) - 1 ? stat->comm_len : sizeof(comm) - 1);

	bool renamed = memcmp(comm, shown->comm, sizeof(comm)) != 0;
	bool news = renamed || shown->state != stat->state || shown->ppid != stat->ppid ||
		    shown->threads != stat->threads;
	memcpy(shown->comm, comm, sizeof(comm));
	shown->state = stat->state;
	shown->ppid = stat->ppid;
	shown->threads = stat->threads;
	process->kernel_thread = shown->kernel_thread = stat->flags & PID_STAT_KERNEL_THREAD;
	if (!pid_stat_ended(stat->state)) /* a thread ran exec, and the end of the old leader was told */
		process->exit_told = false;
	process->has_wait_status = stat->has_wait_status && stat->threads <= 1;
	process->wait_status = stat->wait_status;
	if (renamed && !process->born) {
		process->renamed = true;
		note(sampler, process);
	}
	if (what & LOOK_EXEC || renamed)
		sampler_expect_move(sampler, process);
	if (shown->start_ticks && (what & LOOK_EXEC || renamed))
		push(sampler, what & LOOK_EXEC ? BOARD_EXEC : BOARD_COMM_CHANGE, process);
	return news;
}

static bool apply_status(struct sampler *sampler, struct process *process, const struct pid_status *status)
{
	struct board_process *shown = &process->shown;
	bool owner = shown->uid != status->uid || shown->gid != status->gid;
	if (owner && shown->start_ticks) {
		if (shown->uid != status->uid && !process->born) {
			process->renamed = true;
			note(sampler, process);
		}
		shown->uid = status->uid;
		shown->gid = status->gid;
		push(sampler, BOARD_OWNER, process);
	}
	shown->uid = status->uid;
	shown->gid = status->gid;
	return owner;
}

/* The memory columns anew, from texts of one moment, and statm to compare the next with; what was measured
 * stays. */
static void apply_memory(struct sampler *sampler, struct process *process, const char *statm,
	size_t statm_len, const struct pid_status *status)
{
	struct process_values *values = &process->shown.values;
	uint64_t measured = values->present & sampler->measured_metrics;

	memcpy(process->statm, statm, statm_len);
	process->statm_len = (uint8_t)statm_len;
	values->present &= ~sampler->memory_metrics;
	pid_statm_parse(values, statm, statm_len, sampler->page_bytes);
	/* No memory of its own: nothing else is said of it. */
	if (!(values->present & sampler->memory_metrics))
		return;
	values->present |= measured;
	for (unsigned id = 0; id < process_metrics.n; id++)
		if (metric_has(status->values.present, id))
			process_values_set(values, (enum process_metric)id, status->values.value[id]);
}

/* Remembers that the news does not have its start yet. */
static void add_fresh(struct sampler *sampler, struct process *process)
{
	if (pid_list_add(&sampler->fresh, process->pid))
		return;
	sampler->failures++;
	process->start_told = true;
}

/* The program is new: so is its command line. Nobody may ever ask for them. */
static void add_argless(struct sampler *sampler, const struct process *process)
{
	if (!process->kernel_thread && sampler->argless.n < ARGLESS_MAX &&
		!pid_list_add(&sampler->argless, process->pid))
		sampler->failures++;
}

/* What a first sample is made of. */
struct first {
	struct pid_status status;
	struct pid_stat stat;
	char statm[PROCESS_STATM_MAX];
	size_t statm_len;
	int statm_fd;
	bool through_thread;
};

static int read_first(struct sampler *sampler, uint32_t pid, struct first *first)
{
	char last[PROCESS_STATM_MAX];
	size_t last_len;

	/* What later texts of statm are compared with is never younger than status: what moved between the
	 * two would not be seen. */
	int r = open_statm(sampler, pid, &first->statm_fd);
	if (r == PROC_OK)
		r = read_statm(first->statm_fd, first->statm, &first->statm_len);
	if (r == PROC_OK)
		r = read_status_of(sampler, pid, &first->status);
	if (r == PROC_OK)
		r = read_stat(sampler, pid, &first->stat);
	/* The descriptor first and its text last: between the two the pid was this process's all the time. */
	if (r == PROC_OK)
		r = read_statm(first->statm_fd, last, &last_len);
	if (r == PROC_OK && pid_stat_ended(first->stat.state) && first->stat.threads > 1)
		first->through_thread = read_through_thread(sampler, pid, first->statm, &first->statm_len,
						&first->status) == PROC_OK;
	return r == PROC_OK && first->status.tgid != pid ? PROC_GONE : r;
}

static void fill(struct sampler *sampler, struct process *process, struct first *first)
{
	struct board_process *shown = &process->shown;
	int64_t now_ns = clock_monotonic_ns();

	process->listed = sampler->listing;
	process->born = true;
	note(sampler, process);
	process->sample_ns = process->stat_ns = process->status_ns = process->still_since_ns = now_ns;
	shown->pid = process->pid;
	apply_stat(sampler, process, &first->stat, 0);
	sampler_expect_move(sampler, process);
	apply_status(sampler, process, &first->status);
	pid_stat_values(&shown->values, &first->stat);
	apply_memory(sampler, process, first->statm, first->statm_len, &first->status);
	process->through_thread = first->through_thread;
	if (!process->kernel_thread && !first->through_thread)
		keep_statm(sampler, process, &first->statm_fd);
	shown->start_ticks = first->stat.start_ticks;
	shown->start_ns = sampler->boot_ns +
			  (int64_t)(first->stat.start_ticks * (1000000000 / sampler->ticks_per_second));
	shown->sampled_ns = clock_realtime_ns();
	*process_due_ns(&sampler->table, process) =
		rate_still(now_ns, now_ns, 0, N_PROCESS_RATES, shown->rate);
}

/* Puts it on the board, where a predecessor may have had it already, or an earlier user of its pid. */
static void introduce(struct sampler *sampler, struct process *process)
{
	struct board_process *shown = &process->shown, was;
	bool known = board_read_process(sampler->board, process->pid, &was) == BOARD_FOUND;
	bool same = known && was.start_ticks == shown->start_ticks;

	if (same) {
		process->start_told = true;
		shown->measured_ns = was.measured_ns;
		shown->cgroup = cgroups_hold(&sampler->cgroups, was.cgroup);
		for (unsigned id = 0; id < process_metrics.n; id++)
			if (metric_has(was.values.present & sampler->measured_metrics, id))
				process_values_set(
					&shown->values, (enum process_metric)id, was.values.value[id]);
	} else if (known) {
		struct process ended = { .pid = process->pid, .shown = was };
		board_push_event(
			sampler->board, (struct board_event) { BOARD_DEATH, process->pid, was.start_ticks });
		sampler_tell_exit(sampler, &ended, NULL);
	}
	board_write_process(sampler->board, shown);
	if (!same)
		push(sampler, BOARD_BIRTH, process);
	else if (memcmp(was.comm, shown->comm, sizeof(was.comm)) != 0)
		push(sampler, BOARD_COMM_CHANGE, process);
	if (same && (was.uid != shown->uid || was.gid != shown->gid))
		push(sampler, BOARD_OWNER, process);
	process->start_told = process->start_told || sampler->quiet;
	if (!process->start_told)
		add_fresh(sampler, process);
}

int sampler_adopt(struct sampler *sampler, uint32_t pid)
{
	struct first first = { .status = { .tgid = pid }, .statm_fd = -1 };

	if (pid == 0 || pid >= BOARD_PIDS || process_find(&sampler->table, pid))
		return PROC_OK;
	int r = read_first(sampler, pid, &first);
	struct process *process = r == PROC_OK ? process_add(&sampler->table, pid) : NULL;
	if (process) {
		fill(sampler, process, &first);
		introduce(sampler, process);
		add_argless(sampler, process);
	} else if (r == PROC_OK) {
		r = -ENOMEM;
	}
	close_fd(&first.statm_fd);
	return r;
}

/* The text of statm as it is now; of status as well, and *ret_status true, where both come from a thread. */
static int statm_now(struct sampler *sampler, struct process *process, struct pid_status *status,
	bool *ret_status, char text[PROCESS_STATM_MAX], size_t *ret_len)
{
	CLEANUP_CLOSE int fd = -1;
	int r;

	if (process->statm_fd >= 0)
		return read_statm(process->statm_fd, text, ret_len);
	if (process->through_thread) {
		r = read_through_thread(sampler, process->pid, text, ret_len, status);
		*ret_status = r == PROC_OK;
		if (r != PROC_GONE)
			return r;
		process->through_thread = false; /* no thread lives; the zombie may still be there */
	}
	r = open_statm(sampler, process->pid, &fd);
	if (r == PROC_OK)
		r = read_statm(fd, text, ret_len);
	if (r == PROC_OK)
		keep_statm(sampler, process, &fd);
	return r;
}

static bool faults_differ(const struct process_values *a, const struct process_values *b)
{
	return a->value[PROCESS_MINOR_FAULTS] != b->value[PROCESS_MINOR_FAULTS] ||
	       a->value[PROCESS_MAJOR_FAULTS] != b->value[PROCESS_MAJOR_FAULTS];
}

/* Brings the board up to date after a look; `before` are the values before it, `news` says that more than
 * these may be new. */
static void show(
	struct sampler *sampler, struct process *process, const struct process_values *before, bool news)
{
	struct board_process *shown = &process->shown;
	bool moved = before->present != shown->values.present ||
		     memcmp(before->value, shown->values.value, sizeof(before->value)) != 0;

	if (moved) {
		process->changed = true;
		note(sampler, process);
	}
	if (news || moved) {
		shown->sampled_ns = clock_realtime_ns();
		board_write_process(sampler->board, shown);
	}
}

int sampler_look(
	struct sampler *sampler, struct process *process, unsigned what, const struct pid_stat *given)
{
	struct board_process *shown = &process->shown;
	struct process_values before = shown->values;
	struct pid_status status = { .uid = shown->uid, .gid = shown->gid };
	struct pid_stat stat;
	char statm[PROCESS_STATM_MAX];
	size_t statm_len = process->statm_len;
	bool statm_moved = false, has_status = false, news = false;
	char state_before = shown->state;
	uint32_t threads_before = shown->threads;
	int64_t stat_ns_before = process->stat_ns;
	int r;

	/* Without a kept descriptor identity is in stat alone. */
	if (process->statm_fd < 0) {
		what |= LOOK_STAT;
		given = NULL;
	}
	if (process->kernel_thread)
		what &= ~(unsigned)LOOK_STATM;
	if (what & LOOK_STATM) {
		r = statm_now(sampler, process, &status, &has_status, statm, &statm_len);
		if (r != PROC_OK)
			return r;
		statm_moved = statm_len != process->statm_len || statm_len == PROCESS_STATM_MAX ||
			      memcmp(statm, process->statm, statm_len) != 0;
		if (statm_moved)
			what |= LOOK_STAT | LOOK_STATUS;
	}
	int64_t now_ns = clock_monotonic_ns();
	if (what & LOOK_STATUS) {
		r = has_status ? PROC_OK : read_status_of(sampler, process->pid, &status);
		if (r != PROC_OK)
			return r;
		process->status_ns = now_ns;
	}
	if (what & LOOK_STAT) {
		/* After status: the start time proves that both are of this process. */
		r = given ? PROC_OK : read_stat(sampler, process->pid, &stat);
		if (given)
			stat = *given;
		if (r != PROC_OK)
			return r;
		if (stat.start_ticks != shown->start_ticks)
			return PROC_GONE;
		process->stat_ns = now_ns;
		news |= apply_stat(sampler, process, &stat, what);
		pid_stat_values(&shown->values, &stat);
		if (!statm_moved && faults_differ(&before, &shown->values))
			process->watch_until_ns = now_ns + WATCH_S * second_ns;
		if (pid_stat_ended(stat.state) && stat.threads > 1 && !process->through_thread) {
			process->through_thread = true;
			drop_statm(sampler, process);
			return sampler_look(sampler, process, what | LOOK_ALL, NULL);
		}
	}
	if (what & LOOK_EXEC) {
		shown->values.present &= ~sampler->measured_metrics;
		shown->measured_ns = 0;
		add_argless(sampler, process);
	}
	if (what & LOOK_STATUS) {
		news |= apply_status(sampler, process, &status);
		if (what & LOOK_STATM)
			apply_memory(sampler, process, statm, statm_len, &status);
		sampler_keep_ending(sampler, process, &before, state_before, threads_before);
	}
	/* Its own thread ended well, and others work on. */
	if (process->through_thread && process->leader_ended && process->leader_status == 0 &&
		now_ns - process->leader_ended_ns > second_ns)
		process->leader_ended = false;
	news |= sampler_update_rates(sampler, process, &before, stat_ns_before, now_ns);
	process->sample_ns = now_ns;
	show(sampler, process, &before, news || what & LOOK_EXEC);
	return PROC_OK;
}

static struct history_entry *entry_of_ended(struct sampler *sampler)
{
	struct history_entry *entry = array_push(&sampler->ended, &sampler->n_ended, &sampler->cap_ended);

	if (!entry)
		sampler->failures++;
	return entry;
}

void sampler_bury(struct sampler *sampler, struct process *process, const int *ended)
{
	sampler_tell_start(sampler, process);
	sampler_tell_exit(sampler, process, ended);
	struct history_entry *entry = entry_of_ended(sampler);
	if (entry) {
		*entry = (struct history_entry) {
			.pid = process->pid,
			.uid = process->shown.uid,
			.start_ticks = process->shown.start_ticks,
			.start_s = process->shown.start_ns / 1000000000,
			.born = process->born,
			.renamed = process->renamed,
			.ended = true,
			.values = process->shown.values,
		};
		memcpy(entry->comm, process->shown.comm, sizeof(entry->comm));
	}
	board_clear_process(sampler->board, process->pid);
	push(sampler, BOARD_DEATH, process);
	cgroups_leave(&sampler->cgroups, process->shown.cgroup);
	drop_statm(sampler, process);
	process_remove(&sampler->table, process);
}
