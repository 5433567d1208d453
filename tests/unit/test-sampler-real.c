/* SPDX-License-Identifier: MIT */
/* The sampler over the machine's own /proc. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <poll.h>
#include <sys/wait.h>

#include "schema/proc/pid_stat.h"
#include "schema/proc/pid_statm.h"
#include "schema/proc/pid_status.h"
#include "collector/sample/sampler.h"
#include "tests/unit/child.h"
#include "tests/unit/sampler.h"

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
	expect_news(rig, NEWS_EXIT, pid, "renamed exit 7");
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
	/* The end of a leader alone is no end, but may be the beginning of one. */
	assert_true(sampler_told_exit(&rig->sampler, pid, 0));
	assert_false(sampler_reaped(&rig->sampler, pid));
	assert_true(is_shown(rig, pid));
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_real, tear_down)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_board_equals_proc),
		TEST(what_the_kernel_tells_is_on_the_board_at_once),
		TEST(a_real_leader_that_ended_is_read_through_a_thread),
		TEST(without_descriptors_it_works_too),
		TEST(a_tick_leaves_no_descriptor),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
