/* SPDX-License-Identifier: MIT */
/* The sampler over a tree made here, where everything can be arranged, and over the machine's own /proc. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "collector/sample/sampler.h"
#include "schema/base/cleanup.h"
#include "schema/base/clock.h"
#include "schema/proc/pid_stat.h"
#include "schema/proc/pid_statm.h"
#include "schema/proc/pid_status.h"

enum { PAGE = 4096 };

struct rig {
	char dir[64];
	struct proc_root root;
	int fd;
	struct board *board;
	struct sampler sampler;
	struct board_health none;
	uint64_t event; /* the next to be read */
	uint64_t news;
};

/* --- a tree --- */

static void put_file(const struct rig *rig, const char *path, const char *format, ...)
{
	char full[256], text[2048];
	va_list args;
	va_start(args, format);
	int n = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	snprintf(full, sizeof(full), "%s/proc/%s", rig->dir, path);
	FILE *file = fopen(full, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, (size_t)n, file), n);
	fclose(file);
}

static void make_dir(const struct rig *rig, const char *path)
{
	char full[256];
	snprintf(full, sizeof(full), "%s/proc/%s", rig->dir, path);
	assert_true(mkdir(full, 0755) == 0 || errno == EEXIST);
}

struct made {
	const char *comm;
	char state;
	unsigned uid, threads, flags;
	unsigned long minor_faults, start_ticks, pages;
};

static void put_at(const struct rig *rig, const char *at, unsigned tgid, const struct made *made)
{
	char path[64];
	make_dir(rig, at);
	snprintf(path, sizeof(path), "%s/stat", at);
	put_file(rig, path,
		"%u (%s) %c 1 1 1 0 -1 %u %lu 0 3 0 1 2 0 0 20 0 %u 0 %lu 10000 20 18446744073709551615 "
		"1 1 0 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n",
		tgid, made->comm, made->state, made->flags, made->minor_faults, made->threads,
		made->start_ticks);
	snprintf(path, sizeof(path), "%s/statm", at);
	if (made->pages)
		put_file(rig, path, "%lu %lu 5 6 0 7 0\n", made->pages * 2, made->pages);
	else
		put_file(rig, path, "0 0 0 0 0 0 0\n");
	snprintf(path, sizeof(path), "%s/status", at);
	put_file(rig, path,
		"Name:\t%s\nState:\t%c\nTgid:\t%u\nUid:\t%u\t0\t0\t0\nGid:\t%u\t0\t0\t0\n%sThreads:\t%u\n",
		made->comm, made->state, tgid, made->uid, made->uid,
		made->pages ? "VmExe:\t  24 kB\nRssAnon:\t  8 kB\nVmSwap:\t  12 kB\n" : "", made->threads);
}

static void put(const struct rig *rig, unsigned pid, const struct made *made)
{
	char at[32];
	snprintf(at, sizeof(at), "%u", pid);
	put_at(rig, at, pid, made);
}

static void remove_tree(const char *path)
{
	char command[300];
	snprintf(command, sizeof(command), "rm -rf '%s'", path);
	assert_int_equal(system(command), 0);
}

static void remove_process(const struct rig *rig, unsigned pid)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/proc/%u", rig->dir, pid);
	remove_tree(path);
}

static void open_board(struct rig *rig)
{
	rig->fd = board_create();
	assert_true(rig->fd >= 0);
	assert_int_equal(board_map(rig->fd, true, &rig->board), 0);
	rig->event = rig->news = 1;
}

static int set_up(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	assert_non_null(rig);
	strcpy(rig->dir, "/tmp/test-sampler-XXXXXX");
	assert_non_null(mkdtemp(rig->dir));
	char path[128];
	snprintf(path, sizeof(path), "%s/proc", rig->dir);
	assert_int_equal(mkdir(path, 0755), 0);
	put_file(rig, "meminfo", "MemTotal: 1000 kB\nMemFree: 100 kB\nMemAvailable: 400 kB\n");
	put_file(rig, "stat", "cpu 1 2 3\nbtime 1700000000\n");
	assert_int_equal(proc_root_init(&rig->root, rig->dir), 0);
	open_board(rig);
	*state = rig;
	return 0;
}

static int set_up_real(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	assert_non_null(rig);
	assert_int_equal(proc_root_init(&rig->root, "/"), 0);
	open_board(rig);
	*state = rig;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;
	sampler_deinit(&rig->sampler);
	board_unmap(rig->board);
	close(rig->fd);
	proc_root_deinit(&rig->root);
	if (rig->dir[0])
		remove_tree(rig->dir);
	free(rig);
	return 0;
}

static void start(struct rig *rig)
{
	assert_int_equal(sampler_init(&rig->sampler, &rig->root, rig->board, 1000, &rig->none), 0);
	sampler_tick(&rig->sampler);
}

static struct board_process shown(const struct rig *rig, uint32_t pid)
{
	struct board_process process = { 0 };
	assert_int_equal(board_read_process(rig->board, pid, &process), BOARD_FOUND);
	return process;
}

static bool is_shown(const struct rig *rig, uint32_t pid)
{
	struct board_process process;
	return board_read_process(rig->board, pid, &process) == BOARD_FOUND;
}

static void expect_event(struct rig *rig, enum board_event_kind kind, uint32_t pid, uint64_t start_ticks)
{
	struct board_event event;
	assert_int_equal(board_read_event(rig->board, rig->event, &event), BOARD_FOUND);
	assert_int_equal(event.kind, kind);
	assert_int_equal(event.pid, pid);
	assert_int_equal(event.start_ticks, start_ticks);
	rig->event++;
}

static void expect_no_event(const struct rig *rig)
{
	assert_int_equal(board_event_head(rig->board), rig->event);
}

static void expect_news(struct rig *rig, enum board_news_kind kind, uint32_t pid, const char *text)
{
	struct board_news news;
	assert_int_equal(board_read_news(rig->board, rig->news, &news), BOARD_FOUND);
	assert_int_equal(news.kind, kind);
	assert_int_equal(news.pid, pid);
	assert_string_equal(news.text, text);
	rig->news++;
}

static uint64_t value(const struct board_process *process, enum process_metric id)
{
	assert_true(metric_has(process->values.present, id));
	return process->values.value[id];
}

static void processes_appear_change_and_vanish(void **state)
{
	struct rig *rig = *state;
	struct made made = { "one", 'S', 1000, 1, 0, 50, 400, 10 };
	put(rig, 10, &made);
	start(rig);
	expect_event(rig, BOARD_BIRTH, 10, 400);
	expect_no_event(rig);
	assert_int_equal(board_news_head(rig->board), 0); /* what was there before is no news */

	struct board_process process = shown(rig, 10);
	assert_string_equal(process.comm, "one");
	assert_int_equal(process.uid, 1000);
	assert_int_equal(process.gid, 1000);
	assert_int_equal(process.ppid, 1);
	assert_int_equal(process.state, 'S');
	assert_int_equal(process.start_ns, INT64_C(1700000004000000000));
	assert_int_equal(value(&process, PROCESS_RSS), 10 * PAGE);
	assert_int_equal(value(&process, PROCESS_VMS), 20 * PAGE);
	assert_int_equal(value(&process, PROCESS_DATA), 7 * PAGE);
	assert_int_equal(value(&process, PROCESS_SWAP), 12 << 10);
	assert_int_equal(value(&process, PROCESS_MINOR_FAULTS), 50);
	assert_true(process.rate[0][WINDOW_1S] == BOARD_RATE_UNKNOWN);

	made.pages = 30;
	made.minor_faults = 70;
	made.comm = "uno";
	made.uid = 1001;
	put(rig, 10, &made);
	made = (struct made) { "two", 'R', 0, 3, 0, 0, 500, 5 };
	put(rig, 11, &made);
	sampler_tick(&rig->sampler);
	process = shown(rig, 10);
	assert_int_equal(value(&process, PROCESS_RSS), 30 * PAGE);
	assert_int_equal(value(&process, PROCESS_MINOR_FAULTS), 70);
	expect_event(rig, BOARD_COMM_CHANGE, 10, 400);
	expect_event(rig, BOARD_OWNER, 10, 400);
	expect_event(rig, BOARD_BIRTH, 11, 500);
	expect_no_event(rig);
	assert_int_equal(shown(rig, 11).threads, 3);

	remove_process(rig, 10);
	sampler_tick(&rig->sampler);
	assert_false(is_shown(rig, 10));
	assert_int_equal(board_next_pid(rig->board, 0), 11);
	expect_event(rig, BOARD_DEATH, 10, 400);
	expect_no_event(rig);
	expect_news(rig, NEWS_START, 11, "two");
	expect_news(rig, NEWS_EXIT, 10, "uno");
}

static void a_pid_used_again_is_another_process(void **state)
{
	struct rig *rig = *state;
	struct made made = { "old", 'S', 1, 1, 0, 0, 400, 10 };
	put(rig, 20, &made);
	start(rig);
	expect_event(rig, BOARD_BIRTH, 20, 400);
	made.comm = "new";
	made.start_ticks = 900;
	put(rig, 20, &made); /* with the very same memory */
	sampler_tick(&rig->sampler);
	expect_event(rig, BOARD_DEATH, 20, 400);
	expect_event(rig, BOARD_BIRTH, 20, 900);
	expect_no_event(rig);
	assert_string_equal(shown(rig, 20).comm, "new");
}

static void hostile_names_are_text(void **state)
{
	struct rig *rig = *state;
	struct made made = { "a) R 1 (\n\t\\", 'S', 1, 1, 0, 0, 400, 10 };
	put(rig, 30, &made);
	start(rig);
	assert_string_equal(shown(rig, 30).comm, made.comm);
	assert_int_equal(shown(rig, 30).state, 'S');
	remove_process(rig, 30);
	sampler_tick(&rig->sampler);
	expect_news(rig, NEWS_EXIT, 30, "a) R 1 (\\012\\011\\134");
}

static void what_has_no_memory_has_no_values(void **state)
{
	struct rig *rig = *state;
	struct made kernel = { "kworker", 'I', 0, 1, PID_STAT_KERNEL_THREAD, 0, 5, 0 };
	struct made ended = { "ended", 'S', 0, 1, 0, 9, 6, 12 };
	put(rig, 2, &kernel);
	put(rig, 3, &ended);
	start(rig);
	struct board_process process = shown(rig, 2);
	assert_true(process.kernel_thread);
	assert_false(metric_has(process.values.present, PROCESS_RSS));

	struct process_values measured = { 0 };
	process_values_set(&measured, PROCESS_PSS, 77);
	assert_true(sampler_measured(&rig->sampler, 3, 6, &measured, 1234));
	assert_false(sampler_measured(&rig->sampler, 3, 7, &measured, 1234));
	assert_false(sampler_measured(&rig->sampler, 4, 6, &measured, 1234));
	process = shown(rig, 3);
	assert_int_equal(value(&process, PROCESS_PSS), 77);
	assert_int_equal(process.measured_ns, 1234);

	ended.state = 'Z';
	ended.pages = 0;
	put(rig, 3, &ended);
	sampler_tick(&rig->sampler);
	process = shown(rig, 3);
	assert_int_equal(process.state, 'Z');
	assert_false(metric_has(process.values.present, PROCESS_RSS));
	assert_false(metric_has(process.values.present, PROCESS_SWAP));
	assert_false(metric_has(process.values.present, PROCESS_PSS));
	assert_int_equal(value(&process, PROCESS_MINOR_FAULTS), 9);
}

static void a_leader_that_ended_is_read_through_a_thread(void **state)
{
	struct rig *rig = *state;
	struct made leader = { "leader", 'Z', 5, 2, 0, 9, 6, 0 };
	struct made thread = { "thread", 'S', 5, 2, 0, 1, 7, 12 };
	put(rig, 40, &leader);
	make_dir(rig, "40/task");
	put_at(rig, "40/task/40", 40, &leader);
	put_at(rig, "40/task/41", 40, &thread);
	start(rig);
	struct board_process process = shown(rig, 40);
	assert_string_equal(process.comm, "leader");
	assert_int_equal(process.state, 'Z');
	assert_int_equal(value(&process, PROCESS_RSS), 12 * PAGE);
	assert_int_equal(value(&process, PROCESS_SWAP), 12 << 10);
	assert_int_equal(value(&process, PROCESS_MINOR_FAULTS), 9);
	thread.pages = 13;
	put_at(rig, "40/task/41", 40, &thread);
	sampler_tick(&rig->sampler);
	process = shown(rig, 40);
	assert_int_equal(value(&process, PROCESS_RSS), 13 * PAGE);
}

static void torn_files_are_no_process(void **state)
{
	struct rig *rig = *state;
	struct made made = { "torn", 'S', 1, 1, 0, 0, 400, 10 };
	put(rig, 50, &made);
	put_file(rig, "50/stat", "50 (to");
	make_dir(rig, "51");
	make_dir(rig, "4194304"); /* beyond any pid */
	start(rig);
	assert_int_equal(board_next_pid(rig->board, 0), 0);
	put(rig, 50, &made);
	sampler_tick(&rig->sampler);
	assert_true(is_shown(rig, 50));
}

static const struct history_entry *entry_of(const struct history_tick *tick, uint32_t pid)
{
	for (size_t i = 0; i < tick->n; i++)
		if (tick->entry[i].pid == pid)
			return &tick->entry[i];
	return NULL;
}

static void history_is_told_what_changed(void **state)
{
	struct rig *rig = *state;
	struct made made = { "same", 'S', 1, 1, 0, 0, 400, 10 };
	put(rig, 60, &made);
	put(rig, 61, &made);
	start(rig);
	struct history_tick *tick = sampler_history(&rig->sampler);
	assert_non_null(tick);
	assert_int_equal(tick->n, 2);
	assert_true(entry_of(tick, 60)->born);
	assert_int_equal(tick->system.value[SYSTEM_USED], 600 << 10);
	assert_int_equal(entry_of(tick, 60)->start_s, 1700000004);
	free(tick);

	made.state = 'R'; /* no number: not for history */
	put(rig, 60, &made);
	sampler_tick(&rig->sampler);
	tick = sampler_history(&rig->sampler);
	assert_int_equal(tick->n, 0);
	free(tick);

	made.pages = 11;
	put(rig, 60, &made);
	remove_process(rig, 61);
	put(rig, 62, &made);
	sampler_tick(&rig->sampler);
	remove_process(rig, 62);
	made.comm = "other";
	put(rig, 60, &made);
	sampler_tick(&rig->sampler);
	tick = sampler_history(&rig->sampler);
	assert_int_equal(tick->n, 3);
	assert_true(entry_of(tick, 61)->ended && !entry_of(tick, 61)->born);
	assert_true(entry_of(tick, 62)->ended && entry_of(tick, 62)->born);
	assert_true(entry_of(tick, 60)->renamed && !entry_of(tick, 60)->ended);
	assert_string_equal(entry_of(tick, 60)->comm, "other");
	assert_int_equal(entry_of(tick, 60)->values.value[PROCESS_RSS], 11 * PAGE);
	free(tick);
}

static void a_successor_goes_on(void **state)
{
	struct rig *rig = *state;
	struct made made = { "stays", 'S', 1, 1, 0, 0, 400, 10 };
	struct process_values measured = { 0 };
	put(rig, 70, &made);
	put(rig, 71, &made);
	put(rig, 72, &made);
	start(rig);
	process_values_set(&measured, PROCESS_USS, 55);
	assert_true(sampler_measured(&rig->sampler, 70, 400, &measured, 99));
	for (unsigned pid = 70; pid <= 72; pid++)
		expect_event(rig, BOARD_BIRTH, pid, 400);
	sampler_deinit(&rig->sampler);

	remove_process(rig, 71);
	made.start_ticks = 800;
	put(rig, 72, &made);
	put(rig, 73, &made);
	rig->none.generation = 7;
	start(rig);
	expect_event(rig, BOARD_DEATH, 72, 400);
	expect_event(rig, BOARD_BIRTH, 72, 800);
	expect_event(rig, BOARD_BIRTH, 73, 800);
	expect_event(rig, BOARD_DEATH, 71, 400);
	expect_no_event(rig);
	assert_false(is_shown(rig, 71));
	struct board_process process = shown(rig, 70);
	assert_int_equal(value(&process, PROCESS_USS), 55);
	assert_int_equal(process.measured_ns, 99);
}

static void many_come_and_go_in_any_order(void **state)
{
	struct rig *rig = *state;
	bool there[64] = { false };
	uint32_t random = 1;
	start(rig);
	for (int round = 0; round < 60; round++) {
		for (int i = 0; i < 12; i++) {
			random = random * 1664525 + 1013904223;
			unsigned k = random >> 20 & 63;
			struct made made = { "many", 'S', k, 1, 0, 0, 400, 1 + round };
			there[k] = !there[k];
			if (there[k])
				put(rig, 100 + k, &made);
			else
				remove_process(rig, 100 + k);
		}
		sampler_tick(&rig->sampler);
		for (unsigned k = 0; k < 64; k++) {
			assert_int_equal(is_shown(rig, 100 + k), there[k]);
			if (there[k])
				assert_int_equal(shown(rig, 100 + k).uid, k);
		}
		for (size_t i = 0; i < rig->sampler.table.n; i++)
			assert_int_equal(rig->sampler.table.live[i]->index, i);
	}
}

/* --- the machine --- */

/* A child that does what the letters of a pipe tell it, and says when it is done. */
struct child {
	pid_t pid;
	int tell, hear;
};

static void *idle(void *arg)
{
	for (;;)
		pause();
	return arg;
}

static void child_main(int in, int out)
{
	char letter;
	static char *block;
	enum { BLOCK = 8 << 20 };
	while (read(in, &letter, 1) == 1) {
		pthread_t thread;
		if (letter == 'g') {
			block = mmap(NULL, BLOCK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			memset(block, 1, BLOCK);
		} else if (letter == 'f') {
			munmap(block, BLOCK);
		} else if (letter == 'n') {
			prctl(PR_SET_NAME, "renamed");
		} else if (letter == 'l') { /* the leader ends, a thread lives */
			pthread_create(&thread, NULL, idle, NULL);
			if (write(out, &letter, 1) != 1)
				_exit(1);
			syscall(SYS_exit, 0);
		} else {
			_exit(letter);
		}
		if (write(out, &letter, 1) != 1)
			_exit(1);
	}
	_exit(0);
}

static struct child child_start(void)
{
	int in[2], out[2];
	assert_int_equal(pipe(in), 0);
	assert_int_equal(pipe(out), 0);
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(in[1]);
		close(out[0]);
		child_main(in[0], out[1]);
	}
	close(in[0]);
	close(out[1]);
	return (struct child) { pid, in[1], out[0] };
}

static void child_do(const struct child *child, char letter)
{
	char done;
	assert_int_equal(write(child->tell, &letter, 1), 1);
	assert_int_equal(read(child->hear, &done, 1), 1);
	assert_int_equal(done, letter);
}

static void child_end(const struct child *child)
{
	kill(child->pid, SIGKILL);
	waitpid(child->pid, NULL, 0);
	close(child->tell);
	close(child->hear);
}

/* Reads statm, stat and status of a pid, and whether two reads of statm agreed. */
static bool read_stable(const struct rig *rig, uint32_t pid, struct process_values *ret, uint64_t *ret_start)
{
	char path[40], first[256], text[4096];
	size_t first_len, len;
	struct pid_stat stat;
	struct pid_status status = { 0 };
	*ret = (struct process_values) { 0 };
	snprintf(path, sizeof(path), "%u/statm", pid);
	if (proc_read_short(rig->root.proc, path, first, sizeof(first), &first_len))
		return false;
	snprintf(path, sizeof(path), "%u/status", pid);
	if (proc_read_short(rig->root.proc, path, text, sizeof(text), &len))
		return false;
	pid_status_parse(&status, text, len);
	snprintf(path, sizeof(path), "%u/stat", pid);
	if (proc_read_short(rig->root.proc, path, text, sizeof(text), &len) ||
		!pid_stat_parse(&stat, text, len))
		return false;
	snprintf(path, sizeof(path), "%u/statm", pid);
	if (proc_read_short(rig->root.proc, path, text, sizeof(text), &len) || len != first_len ||
		memcmp(text, first, len) != 0)
		return false;
	*ret = status.values;
	pid_statm_parse(ret, text, len, PAGE);
	*ret_start = stat.start_ticks;
	return true;
}

static void the_board_equals_proc(void **state)
{
	struct rig *rig = *state;
	struct proc_pids pids = { 0 };
	unsigned compared = 0;
	const struct child child = child_start();

	child_do(&child, 'g');
	start(rig);
	assert_int_equal(proc_list_pids(&rig->root, &pids), 0);
	for (size_t i = 0; i < pids.n; i++) {
		struct process_values now;
		uint64_t start_ticks;
		struct board_process process;
		if (!read_stable(rig, pids.pid[i], &now, &start_ticks) ||
			board_read_process(rig->board, pids.pid[i], &process) != BOARD_FOUND ||
			process.start_ticks != start_ticks)
			continue;
		/* Equal or changed since: then another tick must bring it, unless it never rests. */
		for (int tries = 0; tries < 20; tries++) {
			if (process.values.value[PROCESS_RSS] == now.value[PROCESS_RSS] &&
				process.values.value[PROCESS_ANON] == now.value[PROCESS_ANON])
				break;
			sampler_tick(&rig->sampler);
			if (board_read_process(rig->board, pids.pid[i], &process) != BOARD_FOUND ||
				!read_stable(rig, pids.pid[i], &now, &start_ticks))
				break;
		}
		if (pids.pid[i] == (uint32_t)child.pid || pids.pid[i] == (uint32_t)getppid()) {
			assert_int_equal(process.values.value[PROCESS_RSS], now.value[PROCESS_RSS]);
			for (unsigned id = 0; id < process_metrics.n; id++)
				if (metric_has(now.present, id))
					assert_int_equal(process.values.value[id], now.value[id]);
			compared++;
		}
		compared += process.values.value[PROCESS_RSS] == now.value[PROCESS_RSS];
	}
	assert_true(compared * 10 >= pids.n * 6);
	struct board_process process = shown(rig, (uint32_t)child.pid);
	uint64_t anon = value(&process, PROCESS_ANON);
	assert_true(anon >= 8 << 20);
	child_do(&child, 'f');
	sampler_tick(&rig->sampler);
	process = shown(rig, (uint32_t)child.pid);
	assert_true(value(&process, PROCESS_ANON) + (7 << 20) < anon);
	assert_true(process.rate[0][WINDOW_1S] == BOARD_RATE_UNKNOWN || process.rate[0][WINDOW_1S] < 0);
	child_end(&child);
	proc_pids_deinit(&pids);
}

static void what_the_kernel_tells_is_on_the_board_at_once(void **state)
{
	struct rig *rig = *state;
	start(rig);
	rig->sampler.trusts_births = true;
	rig->event = board_event_head(rig->board);
	rig->news = board_news_head(rig->board) + 1;
	const struct child child = child_start();
	uint32_t pid = (uint32_t)child.pid;

	sampler_told_fork(&rig->sampler, pid);
	uint64_t start_ticks = shown(rig, pid).start_ticks;
	expect_event(rig, BOARD_BIRTH, pid, start_ticks);
	sampler_told_fork(&rig->sampler, pid); /* told twice: nothing new */
	expect_no_event(rig);
	child_do(&child, 'n');
	sampler_told_changed(&rig->sampler, pid);
	assert_string_equal(shown(rig, pid).comm, "renamed");
	expect_event(rig, BOARD_COMM_CHANGE, pid, start_ticks);
	sampler_told_exec(&rig->sampler, pid);
	expect_event(rig, BOARD_EXEC, pid, start_ticks);
	expect_news(rig, NEWS_START, pid, "renamed");

	/* Told of an end that is none. */
	assert_false(sampler_told_exit(&rig->sampler, pid, 0));
	assert_true(is_shown(rig, pid));

	assert_int_equal(write(child.tell, "\7", 1), 1);
	siginfo_t info;
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	assert_true(sampler_told_exit(&rig->sampler, pid, 7 << 8));
	assert_int_equal(shown(rig, pid).state, 'Z');
	assert_false(metric_has(shown(rig, pid).values.present, PROCESS_RSS));
	expect_news(rig, NEWS_EXIT, pid, "renamed code 7");
	assert_false(sampler_reaped(&rig->sampler, pid));
	waitpid(child.pid, NULL, 0);
	assert_true(sampler_reaped(&rig->sampler, pid));
	assert_false(is_shown(rig, pid));
	expect_event(rig, BOARD_DEATH, pid, start_ticks);
	expect_no_event(rig);
	assert_int_equal(board_news_head(rig->board), rig->news - 1); /* its end is told once */
	close(child.tell);
	close(child.hear);

	sampler_told_fork(&rig->sampler, pid); /* no such process any more */
	sampler_told_exit(&rig->sampler, pid, 9);
	assert_false(is_shown(rig, pid));
}

static void a_real_leader_that_ended_is_read_through_a_thread(void **state)
{
	struct rig *rig = *state;
	const struct child child = child_start();
	uint32_t pid = (uint32_t)child.pid;
	start(rig);
	child_do(&child, 'l');
	char text[1024];
	size_t len;
	struct pid_stat stat = { 0 };
	snprintf(text, sizeof(text), "%u/stat", pid);
	for (int i = 0; i < 1000 && stat.state != 'Z'; i++) {
		char path[40];
		snprintf(path, sizeof(path), "%u/stat", pid);
		assert_int_equal(proc_read_short(rig->root.proc, path, text, sizeof(text), &len), PROC_OK);
		assert_true(pid_stat_parse(&stat, text, len));
		poll(NULL, 0, 5);
	}
	assert_int_equal(stat.state, 'Z');
	sampler_tick(&rig->sampler);
	struct board_process process = shown(rig, pid);
	assert_int_equal(process.state, 'Z');
	assert_true(value(&process, PROCESS_RSS) > 0);
	assert_true(metric_has(process.values.present, PROCESS_ANON));
	/* The end of a leader alone is no end. */
	assert_false(sampler_told_exit(&rig->sampler, pid, 0));
	kill(child.pid, SIGKILL);
	waitpid(child.pid, NULL, 0);
	sampler_tick(&rig->sampler);
	assert_false(is_shown(rig, pid));
	close(child.tell);
	close(child.hear);
}

static void without_descriptors_it_works_too(void **state)
{
	struct rig *rig = *state;
	const struct child child = child_start();
	assert_int_equal(sampler_init(&rig->sampler, &rig->root, rig->board, 0, &rig->none), 0);
	sampler_tick(&rig->sampler);
	assert_int_equal(rig->sampler.kept, 0);
	struct board_process process = shown(rig, (uint32_t)child.pid);
	child_do(&child, 'g');
	sampler_tick(&rig->sampler);
	struct board_process grown = shown(rig, (uint32_t)child.pid);
	assert_true(value(&grown, PROCESS_RSS) >= value(&process, PROCESS_RSS) + (8 << 20));
	child_end(&child);
	sampler_tick(&rig->sampler);
	assert_false(is_shown(rig, (uint32_t)child.pid));
}

static void a_tick_leaves_no_descriptor(void **state)
{
	struct rig *rig = *state;
	start(rig);
	size_t had = rig->sampler.kept;
	for (int i = 0; i < 20; i++) {
		const struct child child = child_start();
		sampler_tick(&rig->sampler);
		child_end(&child);
		sampler_tick(&rig->sampler);
	}
	size_t counted = 0;
	for (size_t i = 0; i < rig->sampler.table.n; i++)
		counted += rig->sampler.table.live[i]->statm_fd >= 0;
	assert_int_equal(rig->sampler.kept, counted);
	assert_true(counted < had + 20);
}

#define TREE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define REAL(name) cmocka_unit_test_setup_teardown(name, set_up_real, tear_down)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TREE(processes_appear_change_and_vanish),
		TREE(a_pid_used_again_is_another_process),
		TREE(hostile_names_are_text),
		TREE(what_has_no_memory_has_no_values),
		TREE(a_leader_that_ended_is_read_through_a_thread),
		TREE(torn_files_are_no_process),
		TREE(history_is_told_what_changed),
		TREE(a_successor_goes_on),
		TREE(many_come_and_go_in_any_order),
		REAL(the_board_equals_proc),
		REAL(what_the_kernel_tells_is_on_the_board_at_once),
		REAL(a_real_leader_that_ended_is_read_through_a_thread),
		REAL(without_descriptors_it_works_too),
		REAL(a_tick_leaves_no_descriptor),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
