/* SPDX-License-Identifier: MIT */
/* Ends of real processes: what is kept of each, and how it is said to have ended. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <poll.h>

#include "collector/sample/sampler.h"
#include "schema/base/clock.h"
#include "tests/unit/child.h"
#include "tests/unit/sampler.h"

static int set_up(void **state)
{
	int r = set_up_real(state);
	struct rig *rig = *state;

	start(rig);
	rig->sampler.trusts_births = true;
	remains_clear(&rig->sampler.remains);
	return r;
}

static bool tell(struct rig *rig, enum connector_kind kind, uint32_t pid, int wait_status)
{
	const struct connector_event event = { .kind = kind,
		.pid = pid,
		.parent = (uint32_t)getpid(),
		.wait_status = wait_status,
		.time_ns = (uint64_t)clock_monotonic_ns() };
	return sampler_told(&rig->sampler, &event);
}

static const struct remains *find(const struct rig *rig, uint32_t pid)
{
	const struct remains *found = NULL;

	for (size_t i = 0; i < rig->sampler.remains.n; i++) {
		if (rig->sampler.remains.remains[i].last.pid != pid)
			continue;
		assert_null(found); /* once */
		found = &rig->sampler.remains.remains[i];
	}
	return found;
}

static const struct remains *expect(const struct rig *rig, uint32_t pid, enum end_kind kind, int number)
{
	const struct remains *remains = find(rig, pid);
	int64_t now_ns = clock_realtime_ns();

	assert_non_null(remains);
	assert_int_equal(remains->reason.kind, kind);
	assert_int_equal(remains->reason.number, number);
	assert_true(remains->end_ns <= now_ns && remains->end_ns > now_ns - INT64_C(60000000000));
	assert_true(remains->last.start_ns <= remains->end_ns + 10000000); /* a tick of the kernel's */
	assert_true(remains->last.start_ns > now_ns - INT64_C(120000000000));
	return remains;
}

static int wait_for_end(pid_t pid)
{
	siginfo_t info;

	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	return info.si_code == CLD_EXITED ? info.si_status << 8 : info.si_status;
}

static void close_child(const struct child *child)
{
	waitpid(child->pid, NULL, 0);
	close(child->tell);
	close(child->hear);
}

static void the_last_values_are_those_before_the_end(void **state)
{
	struct rig *rig = *state;
	const struct child child = child_start();
	uint32_t pid = (uint32_t)child.pid;

	tell(rig, CONNECTOR_FORK, pid, 0);
	child_do(&child, 'g');
	child_do(&child, 'n');
	tell(rig, CONNECTOR_CHANGED, pid, 0);
	sampler_take_args(&rig->sampler, pid, shown(rig, pid).start_ticks, strdup("grown up"));
	struct board_process process = shown(rig, pid);
	assert_true(value(&process, PROCESS_RSS) > 8 << 20);
	unsigned threads = child_threads(&child);
	kill(child.pid, SIGKILL);
	/* A sweep may meet the zombie first. */
	wait_for_end(child.pid);
	sampler_tick(&rig->sampler);
	assert_null(find(rig, pid));
	assert_true(tell(rig, CONNECTOR_EXIT, pid, SIGKILL));

	const struct remains *remains = expect(rig, pid, END_SIGNAL, SIGKILL);
	assert_true(remains->sampled && remains->has_comm && remains->has_owner);
	assert_true(value(&remains->last, PROCESS_RSS) > 8 << 20);
	assert_true(value(&remains->last, PROCESS_MINOR_FAULTS) > 0);
	assert_string_equal(remains->last.comm, "renamed");
	assert_string_equal(remains->args, "grown up");
	assert_int_equal(remains->last.threads, threads);
	assert_int_not_equal(remains->last.state, 'Z');
	assert_int_equal(remains->last.ppid, getpid());
	close_child(&child);
	assert_true(sampler_reaped(&rig->sampler, pid));
	sampler_tick(&rig->sampler);
	expect(rig, pid, END_SIGNAL, SIGKILL);
}

/* What is reaped before its report is read has the report's word. */
static void a_report_may_be_late(void **state)
{
	struct rig *rig = *state;
	const struct child child = child_start();
	uint32_t pid = (uint32_t)child.pid;

	tell(rig, CONNECTOR_FORK, pid, 0);
	assert_int_equal(write(child.tell, "\7", 1), 1);
	close_child(&child);
	/* The reports before it find nobody, and so does a sweep with its listing. */
	tell(rig, CONNECTOR_EXEC, pid, 0);
	sampler_list_soon(&rig->sampler);
	assert_null(find(rig, pid));
	assert_false(tell(rig, CONNECTOR_EXIT, pid, 7 << 8));
	assert_true(value(&expect(rig, pid, END_EXIT, 7)->last, PROCESS_RSS) > 0);
	assert_false(is_shown(rig, pid));

	/* But not for ever. */
	const struct child lost = child_start();
	pid = (uint32_t)lost.pid;
	tell(rig, CONNECTOR_FORK, pid, 0);
	child_end(&lost);
	sampler_tick(&rig->sampler);
	assert_null(find(rig, pid));
	sampler_tick(&rig->sampler);
	expect(rig, pid, END_UNKNOWN, 0);
	assert_false(tell(rig, CONNECTOR_EXIT, pid, 7 << 8));
	expect(rig, pid, END_UNKNOWN, 0);
}

/* The leader's report comes while other threads end; or live on. */
static void many_threads_end_as_their_leader_did(void **state)
{
	struct rig *rig = *state;
	const struct child child = child_start();
	uint32_t pid = (uint32_t)child.pid;

	tell(rig, CONNECTOR_FORK, pid, 0);
	child_do(&child, 'l'); /* a thread is left: to us, as if it were on its way out */
	while (shown(rig, pid).state != 'Z')
		sampler_tick(&rig->sampler);
	assert_true(tell(rig, CONNECTOR_EXIT, pid, 5 << 8));
	assert_null(find(rig, pid));
	assert_false(sampler_reaped(&rig->sampler, pid));
	kill(child.pid, SIGKILL);
	wait_for_end(child.pid);
	assert_false(sampler_reaped(&rig->sampler, pid));
	/* The zombie's own word would be SIGKILL; on some kernels it has none. */
	const struct remains *remains = find(rig, pid);
	assert_non_null(remains);
	assert_true(remains->reason.kind == END_EXIT || remains->reason.kind == END_SIGNAL);
	assert_true(metric_has(remains->last.values.present, PROCESS_RSS));
	close_child(&child);
	assert_true(sampler_reaped(&rig->sampler, pid));

	const struct child group = child_start();
	pid = (uint32_t)group.pid;
	tell(rig, CONNECTOR_FORK, pid, 0);
	assert_int_equal(write(group.tell, "q", 1), 1);
	assert_int_equal(wait_for_end(group.pid), 5 << 8);
	tell(rig, CONNECTOR_EXIT, pid, 5 << 8);
	close_child(&group);
	sampler_reaped(&rig->sampler, pid);
	expect(rig, pid, END_EXIT, 5);
}

/* Without reports a zombie says how it ended itself. */
static void a_zombie_is_asked(void **state)
{
	struct rig *rig = *state;
	const struct child child = child_start();
	uint32_t pid = (uint32_t)child.pid;

	if (geteuid() != 0)
		skip();
	rig->sampler.trusts_births = false;
	sampler_tick(&rig->sampler);
	assert_true(is_shown(rig, pid));
	assert_int_equal(write(child.tell, "\3", 1), 1);
	wait_for_end(child.pid);
	sampler_tick(&rig->sampler);
	assert_int_equal(shown(rig, pid).state, 'Z');
	close_child(&child);
	sampler_tick(&rig->sampler);
	assert_true(value(&expect(rig, pid, END_EXIT, 3)->last, PROCESS_RSS) > 0);
}

/* A pid that nobody has: the process came and went before it could be looked at. */
static uint32_t used_pid(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	return (uint32_t)pid;
}

static void the_unseen_have_what_the_kernel_said(void **state)
{
	struct rig *rig = *state;
	uint32_t pid = used_pid();
	struct board_process parent = shown(rig, (uint32_t)getpid());

	tell(rig, CONNECTOR_FORK, pid, 0);
	assert_false(tell(rig, CONNECTOR_EXIT, pid, 3 << 8));
	const struct remains *remains = expect(rig, pid, END_EXIT, 3);
	assert_false(remains->sampled);
	assert_true(remains->has_comm && remains->has_owner);
	assert_string_equal(remains->last.comm, parent.comm);
	assert_int_equal(remains->last.uid, parent.uid);
	assert_int_equal(remains->last.ppid, getpid());
	assert_int_equal(remains->last.values.present, 0);
	assert_true(remains->last.start_ticks > parent.start_ticks);
	/* Told of once more: nobody is meant. */
	assert_false(tell(rig, CONNECTOR_EXIT, pid, 4 << 8));
	expect(rig, pid, END_EXIT, 3);

	/* The program that it ran has a name that nobody told. */
	uint32_t other = used_pid();
	tell(rig, CONNECTOR_FORK, other, 0);
	tell(rig, CONNECTOR_EXEC, other, 0);
	sampler_told(
		&rig->sampler, &(struct connector_event) {
				       .kind = CONNECTOR_CHANGED, .pid = other, .has_uid = true, .uid = 77 });
	tell(rig, CONNECTOR_EXIT, other, SIGSEGV | 0x80);
	remains = expect(rig, other, END_SIGNAL, SIGSEGV);
	assert_true(remains->reason.core && !remains->has_comm);
	assert_int_equal(remains->last.uid, 77);
	sampler_tick(&rig->sampler);
	expect(rig, other, END_SIGNAL, SIGSEGV);
}

static void the_kernels_log_tells_of_oom(void **state)
{
	struct rig *rig = *state;
	const struct child child = child_start();
	uint32_t pid = (uint32_t)child.pid;
	char record[100];

	tell(rig, CONNECTOR_FORK, pid, 0);
	child_end(&child);
	rig->sampler.kmsg.current = true;
	snprintf(record, sizeof(record), "3,1,1,-;Out of memory: Killed process %u (a) total-vm:1kB\n", pid);
	kmsg_take(&rig->sampler.kmsg, record, strlen(record), clock_realtime_ns(), clock_monotonic_ns());
	tell(rig, CONNECTOR_EXIT, pid, SIGKILL);
	expect(rig, pid, END_OOM, 0);
	for (uint64_t seq = board_news_head(rig->board);; seq--) {
		struct board_news news;
		assert_int_equal(board_read_news(rig->board, seq, &news), BOARD_FOUND);
		if (news.kind != NEWS_EXIT || news.pid != pid)
			continue;
		assert_string_equal(news.text + strlen(news.text) - 4, " oom");
		break;
	}
}

/* What a predecessor had on the board is kept by the next one. */
static void who_died_between_two_collectors_remains(void **state)
{
	struct rig *rig = *state;
	const struct child child = child_start();
	uint32_t pid = (uint32_t)child.pid;
	struct board_health health = { .generation = 1 };

	tell(rig, CONNECTOR_FORK, pid, 0);
	struct board_process process = shown(rig, pid);
	sampler_deinit(&rig->sampler);
	child_end(&child);
	assert_int_equal(sampler_init(&rig->sampler, &rig->root, rig->board, 1000, &health), 0);
	const struct remains *remains = expect(rig, pid, END_UNKNOWN, 0);
	assert_int_equal(remains->last.start_ticks, process.start_ticks);
	assert_int_equal(value(&remains->last, PROCESS_RSS), value(&process, PROCESS_RSS));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_last_values_are_those_before_the_end),
		TEST(a_report_may_be_late),
		TEST(many_threads_end_as_their_leader_did),
		TEST(a_zombie_is_asked),
		TEST(the_unseen_have_what_the_kernel_said),
		TEST(the_kernels_log_tells_of_oom),
		TEST(who_died_between_two_collectors_remains),
	};
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
