/* SPDX-License-Identifier: MIT */
/* The sampler over a tree made here, where everything can be arranged. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/stat.h>

#include "schema/base/clock.h"
#include "schema/proc/pid_stat.h"
#include "collector/sample/sampler.h"
#include "tests/unit/sampler.h"

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

static void remove_process(const struct rig *rig, unsigned pid)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/proc/%u", rig->dir, pid);
	remove_tree(path);
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
	expect_news(rig, NEWS_EXIT, 10, "uno unknown");
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

/* Answers who reads a process's status with what it was before its memory moved. */
static void *answer_late(void *arg)
{
	const struct rig *rig = arg;
	static const char before[] = "Name:\tone\nTgid:\t40\nRssAnon:\t  8 kB\n";
	char path[128], late[128];

	snprintf(path, sizeof(path), "%s/proc/40/status", rig->dir);
	snprintf(late, sizeof(late), "%s/proc/40/late", rig->dir);
	int fd = open(path, O_WRONLY);
	put_file(rig, "40/statm", "60 30 5 6 0 7 0\n");
	assert_int_equal(rename(late, path), 0);
	assert_int_equal(write(fd, before, sizeof(before) - 1), sizeof(before) - 1);
	close(fd);
	return NULL;
}

static void memory_that_moves_while_a_process_is_met_is_seen_with_the_next_tick(void **state)
{
	struct rig *rig = *state;
	struct made made = { "one", 'S', 0, 1, 0, 0, 400, 10 };
	char path[128];
	pthread_t thread;

	put(rig, 40, &made);
	snprintf(path, sizeof(path), "%s/proc/40/status", rig->dir);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	put_file(rig, "40/late", "Name:\tone\nTgid:\t40\nRssAnon:\t  88 kB\n");
	assert_int_equal(pthread_create(&thread, NULL, answer_late, rig), 0);
	start(rig);
	pthread_join(thread, NULL);
	sampler_tick(&rig->sampler);
	struct board_process process = shown(rig, 40);
	assert_int_equal(value(&process, PROCESS_RSS), 30 * PAGE);
	assert_int_equal(value(&process, PROCESS_ANON), 88 << 10);
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
	expect_news(rig, NEWS_EXIT, 30, "a) R 1 (\\012\\011\\134 unknown");
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
	/* Measured before a sweep met it, and before one met its successor. */
	struct made young = { "young", 'S', 0, 1, 0, 9, 8, 12 };
	put(rig, 4, &young);
	assert_true(sampler_measured(&rig->sampler, 4, 8, &measured, 1235));
	process = shown(rig, 4);
	assert_int_equal(value(&process, PROCESS_PSS), 77);
	young.start_ticks = 9;
	put(rig, 4, &young);
	assert_true(sampler_measured(&rig->sampler, 4, 9, &measured, 1236));
	process = shown(rig, 4);
	assert_int_equal(process.start_ticks, 9);
	assert_int_equal(value(&process, PROCESS_PSS), 77);
	remove_process(rig, 4);

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

/* Samples a twentieth of a second apart; the rate over one second is what it grew in the second before. */
static void growth_has_a_rate(void **state)
{
	struct rig *rig = *state;
	struct made made = { "grows", 'S', 1, 1, 0, 0, 400, 100 };
	struct made still = { "still", 'S', 1, 1, 0, 0, 400, 100 };
	int64_t begin_ns = clock_monotonic_ns(), now_ns = begin_ns;

	put(rig, 80, &made);
	put(rig, 81, &still);
	start(rig);
	while (now_ns - begin_ns < 1500000000) {
		poll(NULL, 0, 50);
		now_ns = clock_monotonic_ns();
		made.pages =
			100 + (unsigned long)((now_ns - begin_ns) / 1000000); /* a page each millisecond */
		put(rig, 80, &made);
		sampler_tick(&rig->sampler);
		if (now_ns - begin_ns < 900000000)
			assert_true(shown(rig, 80).rate[0][WINDOW_1S] == BOARD_RATE_UNKNOWN);
	}
	int64_t rate = shown(rig, 80).rate[0][WINDOW_1S];
	assert_true(rate > 1000 * PAGE / 2 && rate < 1000 * PAGE * 2);
	assert_true(shown(rig, 80).rate[0][WINDOW_10S] == BOARD_RATE_UNKNOWN);
	assert_int_equal(shown(rig, 81).rate[0][WINDOW_1S], 0);
	struct board_system node;
	assert_int_equal(board_read_system(rig->board, &node), BOARD_FOUND);
	assert_int_equal(node.rate[0][WINDOW_1S], 0);
}

static void expect_cgroup(const struct rig *rig, uint32_t pid, const char *path)
{
	struct board_cgroup cgroup = { 0 };
	struct board_process process = shown(rig, pid);

	assert_int_equal(board_read_cgroup(rig->board, process.cgroup, &cgroup), BOARD_FOUND);
	assert_string_equal(cgroup.path, path);
}

static void cgroups_are_known_and_followed(void **state)
{
	struct rig *rig = *state;
	struct made made = { .comm = "a", .state = 'S', .start_ticks = 1, .threads = 1, .pages = 10 };
	const struct made thread = { .comm = "kthread",
		.state = 'S',
		.start_ticks = 1,
		.threads = 1,
		.flags = PID_STAT_KERNEL_THREAD };

	put(rig, 90, &made);
	put(rig, 91, &made);
	put(rig, 92, &thread);
	put_file(rig, "90/cgroup", "0::/system.slice/a.service\n");
	put_file(rig, "91/cgroup", "0::/\n");
	put_file(rig, "92/cgroup", "0::/b.service\n");
	start(rig);
	expect_cgroup(rig, 90, "/system.slice/a.service");
	assert_int_equal(shown(rig, 91).cgroup, 0);
	assert_int_equal(shown(rig, 92).cgroup, 0);

	/* Its change is nobody's news; exec, or a new name, is when to look. */
	uint64_t before = shown(rig, 90).cgroup;
	put_file(rig, "90/cgroup", "0::/system.slice/b.service\n");
	sampler_tick(&rig->sampler);
	assert_true(shown(rig, 90).cgroup == before);
	sampler_told_exec(&rig->sampler, 90);
	sampler_tick(&rig->sampler);
	expect_cgroup(rig, 90, "/system.slice/b.service");
	struct board_cgroup gone;
	assert_int_equal(board_read_cgroup(rig->board, before, &gone), BOARD_ABSENT);

	/* A successor has the same at once, before it looked. */
	before = shown(rig, 90).cgroup;
	struct board_health health = { .generation = 5 };
	sampler_deinit(&rig->sampler);
	assert_int_equal(sampler_init(&rig->sampler, &rig->root, rig->board, 1000, &health), 0);
	assert_true(shown(rig, 90).cgroup == before);
	expect_cgroup(rig, 90, "/system.slice/b.service");
	sampler_tick(&rig->sampler);
	assert_true(shown(rig, 90).cgroup == before);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(processes_appear_change_and_vanish),
		TEST(a_pid_used_again_is_another_process),
		TEST(memory_that_moves_while_a_process_is_met_is_seen_with_the_next_tick),
		TEST(hostile_names_are_text),
		TEST(what_has_no_memory_has_no_values),
		TEST(a_leader_that_ended_is_read_through_a_thread),
		TEST(torn_files_are_no_process),
		TEST(history_is_told_what_changed),
		TEST(a_successor_goes_on),
		TEST(many_come_and_go_in_any_order),
		TEST(growth_has_a_rate),
		TEST(cgroups_are_known_and_followed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
