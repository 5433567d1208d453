/* SPDX-License-Identifier: MIT */
/*
 * Each sweep by a program in the kernel over the machine's own processes gives the same board as the one by
 * files. Where the kernel lets us load no program the comparison cannot be made, which is said.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "collector/sample/sweep.h"
#include "tests/unit/child.h"
#include "tests/unit/sampler.h"

enum { TICKS_MAX = 100, TICK_MS = 20, STRANGERS_MAX = 10, FDS = 8192 };

struct pair {
	struct rig files, tasks;
	enum tasks_way way;
	bool can;
};

static void pair_start(struct pair *pair)
{
	struct rig *both[] = { &pair->files, &pair->tasks };
	for (int i = 0; i < 2; i++) {
		assert_int_equal(proc_root_init(&both[i]->root, "/"), 0);
		open_board(both[i]);
		assert_int_equal(
			sampler_init(&both[i]->sampler, &both[i]->root, both[i]->board, 1000, &both[i]->none),
			0);
	}
	struct err err = { 0 };
	pair->can = sampler_start_tasks(&pair->tasks.sampler, pair->way, &err) == 0;
	if (pair->can && pair->tasks.sampler.tasks_way != pair->way) {
		print_message("not in this way here: %s\n", err.reason);
		pair->way = pair->tasks.sampler.tasks_way;
	}
	if (!pair->can) {
		assert_int_not_equal(err.code, 0);
		assert_true(err.reason[0]);
		assert_null(pair->tasks.sampler.tasks);
		print_message("no BPF sweep here: %s\n", err.reason);
	}
}

static int set_up(void **state, enum tasks_way way)
{
	struct pair *pair = calloc(1, sizeof(*pair));
	assert_non_null(pair);
	*state = pair;
	pair->way = way;
	pair_start(pair);
	return 0;
}

static int set_up_walk(void **state)
{
	return set_up(state, TASKS_WALK);
}

static int set_up_iterator(void **state)
{
	return set_up(state, TASKS_ITERATOR);
}

static int tear_down_pair(void **state)
{
	struct pair *pair = *state;
	struct rig *both[] = { &pair->files, &pair->tasks };
	for (int i = 0; i < 2; i++) {
		sampler_deinit(&both[i]->sampler);
		board_unmap(both[i]->board);
		close(both[i]->fd);
		proc_root_deinit(&both[i]->root);
	}
	free(pair);
	return 0;
}

static void tick(struct pair *pair)
{
	sampler_tick(&pair->files.sampler);
	sampler_tick(&pair->tasks.sampler);
	assert_int_equal(pair->tasks.sampler.tasks_error, 0);
	assert_int_equal(pair->tasks.sampler.tasks != NULL, pair->can);
}

/* Whether the boards agree about a pid. By files state and faults are seen in turns alone. */
static bool agree(const struct pair *pair, uint32_t pid, const char **ret_what)
{
	struct board_process files, tasks;
	enum board_outcome one = board_read_process(pair->files.board, pid, &files);
	enum board_outcome other = board_read_process(pair->tasks.board, pid, &tasks);
	const uint64_t faults = UINT64_C(1) << PROCESS_MINOR_FAULTS | UINT64_C(1) << PROCESS_MAJOR_FAULTS;

	*ret_what = "being there";
	if (one != other)
		return false;
	if (one != BOARD_FOUND)
		return true;
	*ret_what = "start";
	if (files.start_ticks != tasks.start_ticks ||
		files.start_ns / 1000000000 != tasks.start_ns / 1000000000)
		return false;
	*ret_what = "kind";
	if (files.kernel_thread != tasks.kernel_thread || (files.state == 'Z') != (tasks.state == 'Z'))
		return false;
	*ret_what = "owner";
	if (files.uid != tasks.uid || files.gid != tasks.gid)
		return false;
	*ret_what = "which numbers there are";
	if (files.values.present != tasks.values.present)
		return false;
	for (unsigned id = 0; id < process_metrics.n; id++) {
		*ret_what = process_metrics.rows[id].name;
		if (metric_has(files.values.present & ~faults, id) &&
			files.values.value[id] != tasks.values.value[id])
			return false;
	}
	if (files.kernel_thread) /* the name of a worker is its work */
		return true;
	*ret_what = "name";
	return strcmp(files.comm, tasks.comm) == 0;
}

static void expect_agreement(struct pair *pair, uint32_t pid)
{
	const char *what;
	for (int i = 0; i < TICKS_MAX; i++) {
		tick(pair);
		if (agree(pair, pid, &what))
			return;
		poll(NULL, 0, TICK_MS);
	}
	fail_msg("the sweeps differ about %s of %u", what, pid);
}

/* A child's board entry, by both, equals what its stat says now. */
static void expect_stat(const struct pair *pair, uint32_t pid)
{
	char path[40], text[1024];
	size_t len;
	struct pid_stat stat;
	struct process_values values = { 0 };
	struct board_process tasks = shown(&pair->tasks, pid);

	snprintf(path, sizeof(path), "%u/stat", pid);
	assert_int_equal(proc_read_short(pair->tasks.root.proc, path, text, sizeof(text), &len), PROC_OK);
	assert_true(pid_stat_parse(&stat, text, len));
	pid_stat_values(&values, &stat);
	assert_int_equal(tasks.state, stat.state);
	assert_int_equal(tasks.ppid, stat.ppid);
	assert_int_equal(tasks.threads, stat.threads);
	assert_int_equal(tasks.start_ticks, stat.start_ticks);
	assert_string_equal(tasks.comm, stat.comm);
	assert_int_equal(value(&tasks, PROCESS_MINOR_FAULTS), values.value[PROCESS_MINOR_FAULTS]);
	assert_int_equal(value(&tasks, PROCESS_MAJOR_FAULTS), values.value[PROCESS_MAJOR_FAULTS]);
}

static void wait_for_state(const struct pair *pair, uint32_t pid, char state)
{
	char path[40], text[1024];
	size_t len;
	struct pid_stat stat = { 0 };
	snprintf(path, sizeof(path), "%u/stat", pid);
	for (int i = 0; i < 1000 && stat.state != state; i++) {
		assert_int_equal(
			proc_read_short(pair->tasks.root.proc, path, text, sizeof(text), &len), PROC_OK);
		assert_true(pid_stat_parse(&stat, text, len));
		if (stat.state != state)
			poll(NULL, 0, 5);
	}
	assert_int_equal(stat.state, state);
}

static void all_processes_of_the_machine_are_the_same(void **state)
{
	struct pair *pair = *state;
	unsigned disagreed = 0, all = 0, kernel_threads = 0;
	const char *what = "";

	/* Others are at work meanwhile: each is asked until both agree, and few never stand still so long. */
	tick(pair);
	for (uint32_t pid = board_next_pid(pair->tasks.board, 0); pid;
		pid = board_next_pid(pair->tasks.board, pid + 1)) {
		bool same = false;
		for (int i = 0; i < 10 && !same; i++) {
			same = agree(pair, pid, &what);
			if (!same)
				tick(pair);
		}
		if (!same)
			print_message("%u: %s\n", pid, what);
		disagreed += !same;
		all++;
		struct board_process process;
		kernel_threads += board_read_process(pair->tasks.board, pid, &process) == BOARD_FOUND &&
				  process.kernel_thread;
	}
	assert_true(all > 1 && kernel_threads < all);
	assert_true(disagreed <= STRANGERS_MAX);
}

static void memory_that_moves_is_seen_to_the_page(void **state)
{
	struct pair *pair = *state;
	const struct child child = child_start();
	uint32_t pid = (uint32_t)child.pid;

	tick(pair);
	expect_agreement(pair, pid);
	for (int i = 0; i < 3; i++) {
		uint64_t before = shown(&pair->tasks, pid).values.value[PROCESS_RSS];
		child_do(&child, 'g');
		wait_for_state(pair, pid, 'S');
		tick(pair);
		expect_agreement(pair, pid);
		expect_stat(pair, pid);
		assert_true(shown(&pair->tasks, pid).values.value[PROCESS_RSS] >= before + (8 << 20));
		child_do(&child, 'f');
		wait_for_state(pair, pid, 'S');
		tick(pair);
		expect_agreement(pair, pid);
		assert_true(shown(&pair->tasks, pid).values.value[PROCESS_RSS] < before + (8 << 20));
	}
	child_end(&child);
	tick(pair);
	assert_false(is_shown(&pair->tasks, pid));
}

static void threads_count_for_their_process(void **state)
{
	struct pair *pair = *state;
	const struct child child = child_start();
	uint32_t pid = (uint32_t)child.pid;

	tick(pair);
	for (unsigned i = 1; i <= 3; i++) {
		child_do(&child, 't'); /* few pages: no counter need move for them */
		wait_for_state(pair, pid, 'S');
		tick(pair);
		expect_agreement(pair, pid);
		if (pair->can)
			expect_stat(pair, pid);
		assert_int_equal(shown(&pair->tasks, pid).threads, child_threads(&child));
		assert_true(child_threads(&child) > i);
	}
	child_do(&child, 'l');
	wait_for_state(pair, pid, 'Z');
	tick(pair);
	expect_agreement(pair, pid);
	struct board_process process = shown(&pair->tasks, pid);
	assert_int_equal(process.state, 'Z');
	assert_true(value(&process, PROCESS_RSS) > 0); /* through a thread that lives */
	child_end(&child);
	tick(pair);
	assert_false(is_shown(&pair->tasks, pid));
}

static void zombies_names_and_programs_are_seen(void **state)
{
	struct pair *pair = *state;
	const struct child child = child_start();
	uint32_t pid = (uint32_t)child.pid;

	tick(pair);
	child_do(&child, 'n');
	child_do(&child, 'n'); /* the first answer may come before its sleep */
	wait_for_state(pair, pid, 'S');
	tick(pair);
	if (pair->can) /* by files in its turn alone */
		assert_string_equal(shown(&pair->tasks, pid).comm, "renamed");
	assert_int_equal(write(child.tell, "e", 1), 1);
	child_do(&child, '?');
	wait_for_state(pair, pid, 'S');
	tick(pair);
	expect_agreement(pair, pid);
	expect_stat(pair, pid);
	assert_string_equal(shown(&pair->tasks, pid).comm, "cat");
	uint64_t start_ticks = shown(&pair->tasks, pid).start_ticks;

	kill(child.pid, SIGKILL);
	siginfo_t info;
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	tick(pair);
	expect_agreement(pair, pid);
	assert_int_equal(shown(&pair->tasks, pid).state, 'Z');
	assert_int_equal(shown(&pair->tasks, pid).start_ticks, start_ticks);
	assert_false(metric_has(shown(&pair->tasks, pid).values.present, PROCESS_RSS));
	waitpid(child.pid, NULL, 0);
	tick(pair);
	assert_false(is_shown(&pair->tasks, pid));
	close(child.tell);
	close(child.hear);
}

static void births_and_ends_need_no_listing(void **state)
{
	struct pair *pair = *state;
	struct sampler *sampler = &pair->tasks.sampler;
	enum { CHILDREN = 50 };
	struct child child[CHILDREN];

	tick(pair);
	uint32_t listing = sampler->listing;
	for (int i = 0; i < CHILDREN; i++)
		child[i] = child_start();
	tick(pair);
	for (int i = 0; i < CHILDREN; i++)
		assert_true(is_shown(&pair->tasks, (uint32_t)child[i].pid));
	for (int i = 0; i < CHILDREN; i += 2)
		child_end(&child[i]);
	tick(pair);
	for (int i = 0; i < CHILDREN; i++)
		assert_int_equal(is_shown(&pair->tasks, (uint32_t)child[i].pid), i % 2);
	for (int i = 1; i < CHILDREN; i += 2)
		child_end(&child[i]);
	if (pair->can)
		assert_int_equal(sampler->listing, listing);
}

/* In a pid namespace of its own: the pids must be those of its /proc. */
static int compare_within(enum tasks_way way)
{
	struct pair pair = { .way = way };
	int wrong = 0;

	if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) || mount("proc", "/proc", "proc", 0, NULL))
		return 0; /* not ours to mount here: nothing to compare */
	pair_start(&pair);
	const struct child child = child_start();
	const char *what;
	tick(&pair);
	child_do(&child, 'g');
	tick(&pair);
	struct proc_pids pids = { 0 };
	assert_int_equal(proc_list_pids(&pair.tasks.root, &pids), 0);
	wrong += pids.n != 2 || pair.tasks.sampler.table.n != 2;
	for (size_t i = 0; i < pids.n; i++)
		wrong += !is_shown(&pair.tasks, pids.pid[i]);
	for (int i = 0; i < TICKS_MAX && !agree(&pair, (uint32_t)child.pid, &what); i++)
		tick(&pair);
	wrong += !agree(&pair, (uint32_t)child.pid, &what);
	wrong += shown(&pair.tasks, (uint32_t)child.pid).ppid != 1;
	child_end(&child);
	tick(&pair);
	wrong += is_shown(&pair.tasks, (uint32_t)child.pid);
	if (!pair.can)
		print_message("not compared\n");
	return wrong;
}

static void another_pid_namespace_has_its_own_ids(void **state)
{
	int status;
	pid_t outer = fork();
	if (outer == 0) {
		if (unshare(CLONE_NEWPID | CLONE_NEWNS))
			_exit(0); /* not ours to have */
		pid_t inner = fork();
		if (inner == 0)
			_exit(compare_within(((struct pair *)*state)->way));
		_exit(waitpid(inner, &status, 0) != inner || status != 0);
	}
	assert_int_equal(waitpid(outer, &status, 0), outer);
	assert_int_equal(status, 0);
}

static void what_cannot_be_has_a_reason(void **state)
{
	struct pair *pair = *state;
	struct sampler *sampler = &pair->files.sampler;
	struct err err = { 0 };

	pair->files.root.real = false; /* as a captured tree */
	assert_int_equal(sampler_start_tasks(sampler, pair->way, &err), -EOPNOTSUPP);
	assert_null(sampler->tasks);
	assert_true(err.reason[0]);
	pair->files.root.real = true;

	/* Without privilege. */
	pid_t pid = fork();
	if (pid == 0) {
		struct err denied = { 0 };
		if (setresuid(65534, 65534, 65534) != 0)
			_exit(0);
		int r = sampler_start_tasks(sampler, pair->way, &denied);
		_exit(r < 0 && denied.reason[0] && !sampler->tasks ? 0 : 1);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* A memory cgroup of our own at `path`; false where none can be made. */
static bool make_cgroup(char path[80])
{
	static const char *const mounts[] = { "/sys/fs/cgroup/memory", "/sys/fs/cgroup" };
	for (int i = 0; i < 2; i++) {
		snprintf(path, 80, "%s/memfs-test-%d.scope", mounts[i], (int)getpid());
		if (mkdir(path, 0755) == 0 && access("/sys/fs/cgroup/cgroup.procs", F_OK) == (i ? 0 : -1))
			return true;
		rmdir(path);
	}
	return false;
}

static void move_to(const char *cgroup, pid_t pid)
{
	char path[100];
	snprintf(path, sizeof(path), "%s/cgroup.procs", cgroup);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_true(dprintf(fd, "%d", (int)pid) > 0);
	close(fd);
}

/* By files it shows in turns, of seconds. */
static void moves_between_cgroups_are_seen_at_once(void **state)
{
	struct pair *pair = *state;
	char path[80];

	if (!pair->can || !make_cgroup(path)) {
		print_message("no BPF sweep, or no cgroup can be made here\n");
		skip();
	}
	const struct child child = child_start();
	for (int i = 0; i < 3; i++) /* met, placed, still */
		tick(pair);
	uint64_t before = shown(&pair->tasks, (uint32_t)child.pid).cgroup;
	assert_int_equal(shown(&pair->files, (uint32_t)child.pid).cgroup, before);
	move_to(path, child.pid);
	sampler_tick(&pair->tasks.sampler);
	uint64_t id = shown(&pair->tasks, (uint32_t)child.pid).cgroup;
	struct board_cgroup cgroup = { 0 };
	enum board_outcome found = board_read_cgroup(pair->tasks.board, id, &cgroup);
	child_end(&child);
	assert_int_equal(rmdir(path), 0);
	assert_int_not_equal(id, before);
	assert_int_equal(found, BOARD_FOUND);
	assert_string_equal(strrchr(cgroup.path, '/'), strrchr(path, '/'));
}

/* What holds our programs leads to nothing, as after a mistake. */
static void break_programs(void)
{
	char path[40], target[64];
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC), broken = 0;
	assert_true(null >= 0);
	for (int fd = 3; fd < FDS; fd++) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		ssize_t n = readlink(path, target, sizeof(target) - 1);
		if (n < 0)
			continue;
		target[n] = '\0';
		if (strstr(target, "bpf") && (strstr(target, "link") || strstr(target, "prog")))
			broken += dup2(null, fd) == fd;
	}
	close(null);
	assert_true(broken > 0);
}

static void a_way_that_fails_makes_place_for_the_next(void **state)
{
	struct pair *pair = *state;
	struct sampler *sampler = &pair->tasks.sampler;
	const struct child child = child_start();

	if (pair->can) {
		break_programs();
		sampler_tick(sampler);
		assert_true(sampler->tasks_error < 0);
		if (pair->way == TASKS_WALK)
			assert_true(sampler->tasks && sampler->tasks_way == TASKS_ITERATOR);
		else
			assert_null(sampler->tasks);
	}
	sampler_tick(sampler);
	assert_true(is_shown(&pair->tasks, (uint32_t)child.pid));
	child_end(&child);
	sampler_tick(sampler);
	assert_false(is_shown(&pair->tasks, (uint32_t)child.pid));
}

/* Rates come of age while nothing is told of them. */
static void who_is_still_has_rates_all_the_same(void **state)
{
	struct pair *pair = *state;
	const struct child child = child_start();
	int64_t unknown = BOARD_RATE_UNKNOWN;

	tick(pair);
	child_do(&child, 'g');
	wait_for_state(pair, (uint32_t)child.pid, 'S');
	for (int i = 0; i < TICKS_MAX && unknown == BOARD_RATE_UNKNOWN; i++) {
		poll(NULL, 0, TICK_MS);
		tick(pair);
		unknown = shown(&pair->tasks, (uint32_t)child.pid).rate[0][WINDOW_1S];
	}
	assert_true(unknown != BOARD_RATE_UNKNOWN);
	child_end(&child);
}

#define TEST(name, way) cmocka_unit_test_setup_teardown(name, set_up_##way, tear_down_pair)
#define TESTS(way)                                                                                           \
	TEST(all_processes_of_the_machine_are_the_same, way),                                                \
		TEST(memory_that_moves_is_seen_to_the_page, way),                                            \
		TEST(threads_count_for_their_process, way), TEST(zombies_names_and_programs_are_seen, way),  \
		TEST(births_and_ends_need_no_listing, way),                                                  \
		TEST(another_pid_namespace_has_its_own_ids, way), TEST(what_cannot_be_has_a_reason, way),    \
		TEST(moves_between_cgroups_are_seen_at_once, way),                                           \
		TEST(who_is_still_has_rates_all_the_same, way),                                              \
		TEST(a_way_that_fails_makes_place_for_the_next, way)
int main(void)
{
	const struct CMUnitTest tests[] = { TESTS(walk), TESTS(iterator) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
