/* SPDX-License-Identifier: MIT */
/* Reasons as text, what is brief, the bounds of a batch; and the kernel's log as told record by record. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/kmsg.h"
#include "collector/remains.h"

#define NS INT64_C(1000000000)

static void expect_reason(int wait_status, const char *expected)
{
	char array[REMAINS_REASON_MAX];
	struct buf text = BUF_FIXED(array);

	end_reason_put(&text, end_reason_of(wait_status));
	buf_putc(&text, '\0');
	assert_int_equal(buf_error(&text), 0);
	assert_string_equal(array, expected);
}

static void reasons_have_words(void **state)
{
	expect_reason(0, "exit 0");
	expect_reason(3 << 8, "exit 3");
	expect_reason(255 << 8, "exit 255");
	expect_reason(SIGKILL, "signal 9 SIGKILL");
	expect_reason(SIGSEGV, "signal 11 SIGSEGV");
	expect_reason(SIGSEGV | 0x80, "signal 11 SIGSEGV core");
	expect_reason(40, "signal 40"); /* a real-time signal: its name is the C library's affair */
	char array[REMAINS_REASON_MAX];
	struct buf text = BUF_FIXED(array);
	end_reason_put(&text, (struct end_reason) { END_OOM, 0, false });
	end_reason_put(&text, (struct end_reason) { END_UNKNOWN, 0, false });
	assert_memory_equal(array, "oomunknown", text.len);
}

static struct remains lived(int64_t seconds, struct end_reason reason)
{
	return (struct remains) {
		.last.start_ns = 100 * NS, .end_ns = (100 + seconds) * NS, .reason = reason
	};
}

static void what_failed_or_lived_long_is_not_brief(void **state)
{
	const struct end_reason well = { END_EXIT, 0, false }, badly = { END_EXIT, 1, false },
				killed = { END_SIGNAL, 9, false }, unknown = { END_UNKNOWN, 0, false };
	struct remains remains = lived(1, well);

	assert_true(remains_are_brief(&remains));
	remains = lived(1, unknown);
	assert_true(remains_are_brief(&remains));
	remains = lived(REMAINS_BRIEF_S, well);
	assert_false(remains_are_brief(&remains));
	remains.last.kernel_thread = true;
	assert_true(remains_are_brief(&remains));
	remains = lived(1, badly);
	assert_false(remains_are_brief(&remains));
	remains = lived(1, killed);
	assert_false(remains_are_brief(&remains));
}

static void a_batch_is_bounded(void **state)
{
	struct remains_batch batch = { 0 }, other = { 0 };
	const struct end_reason killed = { END_SIGNAL, 9, false }, well = { END_EXIT, 0, false };

	for (int i = 0; i < 2 * REMAINS_BRIEF_MAX; i++) {
		struct remains remains = lived(1, well);
		remains.args = strdup("true"); /* its memory is the batch's, also of what is left out */
		remains_add(&batch, &remains);
	}
	assert_int_equal(batch.n, REMAINS_BRIEF_MAX);
	assert_int_equal(batch.left_out, REMAINS_BRIEF_MAX);
	/* A flood of the brief leaves room for the others. */
	for (int i = 0; i < REMAINS_MAX; i++) {
		struct remains remains = lived(1, killed);
		remains_add(&other, &remains);
	}
	assert_int_equal(other.n, REMAINS_MAX);
	remains_move(&batch, &other);
	assert_int_equal(other.n, 0);
	assert_int_equal(batch.n, REMAINS_MAX);
	assert_int_equal(batch.left_out, 2 * REMAINS_BRIEF_MAX);
	remains_clear(&batch);
	assert_int_equal(batch.n, 0);
	assert_int_equal(batch.left_out, 2 * REMAINS_BRIEF_MAX); /* still to be told */
	remains_deinit(&batch);
	remains_deinit(&other);
}

static void take(struct kmsg *kmsg, const char *record, int64_t now_s, int64_t uptime_s)
{
	kmsg_take(kmsg, record, strlen(record), now_s * NS, uptime_s * NS);
}

static void a_kill_is_its_processs_alone(void **state)
{
	struct kmsg kmsg = { .current = true };

	take(&kmsg, "3,1,500000000,-;Out of memory: Killed process 77 (a) total-vm:1kB\n", 1000, 500);
	assert_false(kmsg_killed(&kmsg, 78, 900 * NS, 1001 * NS));
	assert_false(kmsg_killed(&kmsg, 77, 900 * NS, 990 * NS));   /* ended before */
	assert_false(kmsg_killed(&kmsg, 77, 1010 * NS, 1011 * NS)); /* began after */
	assert_true(kmsg_killed(&kmsg, 77, 900 * NS, 1001 * NS));
	/* The pid's next user, though it is there a moment later and the reaper is late. */
	take(&kmsg, "6,2,500100000,-;oom_reaper: reaped process 77 (a), now anon-rss:0kB\n", 1001, 501);
	assert_false(kmsg_killed(&kmsg, 77, 1001 * NS, 1002 * NS));
	/* Killed as well. */
	take(&kmsg, "3,3,510000000,-;Killed process 77 (b) total-vm:1kB\n", 1010, 510);
	take(&kmsg, "3,4,510000000,-;Killed process 77 (b) total-vm:1kB\n", 1010, 510); /* said twice */
	assert_true(kmsg_killed(&kmsg, 77, 1001 * NS, 1011 * NS));
	assert_false(kmsg_killed(&kmsg, 77, 1009 * NS, 1012 * NS));
	/* Where only the reaper's word is left. */
	take(&kmsg, "6,5,600000000,-;oom_reaper: reaped process 5 (a), now anon-rss:0kB\n", 1100, 600);
	assert_true(kmsg_killed(&kmsg, 5, 900 * NS, 1101 * NS));
	/* What a user wrote there is nothing. */
	take(&kmsg, "12,6,600000000,-;Killed process 6 (b) total-vm:1kB\n", 1100, 600);
	take(&kmsg, "garbage", 1100, 600);
	assert_false(kmsg_killed(&kmsg, 6, 900 * NS, 1101 * NS));
}

static void what_was_there_at_the_start_has_its_own_time(void **state)
{
	struct kmsg kmsg = { 0 };

	/* 400 s ago. */
	take(&kmsg, "3,1,100000000,-;Killed process 9 (b) total-vm:1kB\n", 1000, 500);
	assert_false(kmsg_killed(&kmsg, 9, 900 * NS, 1000 * NS));
	assert_true(kmsg_killed(&kmsg, 9, 500 * NS, 1000 * NS));
	/* A clock of the log that runs ahead says no more than now. */
	take(&kmsg, "3,1,900000000,-;Killed process 10 (b) total-vm:1kB\n", 1000, 500);
	assert_true(kmsg_killed(&kmsg, 10, 900 * NS, 1000 * NS));
}

static void old_kills_make_place(void **state)
{
	struct kmsg kmsg = { .current = true };
	char record[100];

	for (int pid = 1; pid <= KMSG_KILLS + 1; pid++) {
		snprintf(record, sizeof(record), "3,1,1,-;Killed process %d (b) total-vm:1kB\n", pid);
		take(&kmsg, record, 1000, 500);
	}
	assert_false(kmsg_killed(&kmsg, 1, 900 * NS, 1001 * NS));
	assert_true(kmsg_killed(&kmsg, 2, 900 * NS, 1001 * NS));
	assert_true(kmsg_killed(&kmsg, KMSG_KILLS + 1, 900 * NS, 1001 * NS));
	kmsg_close(&kmsg); /* was never open: no descriptor goes */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reasons_have_words),
		cmocka_unit_test(what_failed_or_lived_long_is_not_brief),
		cmocka_unit_test(a_batch_is_bounded),
		cmocka_unit_test(a_kill_is_its_processs_alone),
		cmocka_unit_test(what_was_there_at_the_start_has_its_own_time),
		cmocka_unit_test(old_kills_make_place),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
