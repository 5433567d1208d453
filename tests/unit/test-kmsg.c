/* SPDX-License-Identifier: MIT */
/* Records of /dev/kmsg, and what the OOM killers of several kernels say. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "schema/proc/kmsg.h"
#include "tests/unit/fixtures.h"

struct sample {
	const char *kernel, *record;
	int kind; /* -1: not of the OOM killer */
	uint32_t pid;
};

/* As each kernel's mm/oom_kill.c prints it; 6.18 captured, with the dictionary of a driver behind one. */
static const struct sample samples[] = {
	{ "6.18",
		"3,420,985007066,-;Memory cgroup out of memory: Killed process 8305 (python3) total-vm:221368kB, "
		"anon-rss:16128kB, file-rss:6648kB, shmem-rss:0kB, UID:0 pgtables:96kB oom_score_adj:0\n",
		KMSG_OOM_KILLED, 8305 },
	{ "6.1",
		"3,1234,5140900,-;Out of memory: Killed process 2332 (java) total-vm:4kB, anon-rss:0kB, file-rss:0kB, "
		"shmem-rss:0kB, UID:1000 pgtables:40kB oom_score_adj:0\n SUBSYSTEM=memory\n DEVICE=+x:y\n",
		KMSG_OOM_KILLED, 2332 },
	{ "6.1",
		"6,1235,5140911,-;oom_reaper: reaped process 2332 (java), now anon-rss:0kB, file-rss:0kB, "
		"shmem-rss:0kB\n",
		KMSG_OOM_REAPED, 2332 },
	{ "5.10",
		"3,88,99,-;Out of memory (oom_kill_allocating_task): Killed process 7 (a b) c) total-vm:1kB\n",
		KMSG_OOM_KILLED, 7 },
	{ "5.10", "6,89,99,c;Memory cgroup out of memory: Killed process 4194303 () total-vm:1kB\n",
		KMSG_OOM_KILLED, 4194303 },
	/* Up to Linux 5.0 two lines: who was chosen, and who died instead. */
	{ "4.19",
		"3,900,7,-;Memory cgroup out of memory: Kill process 20400 (stress) score 1007 or sacrifice child\n",
		-1, 0 },
	{ "4.19",
		"3,901,8,-;Killed process 20401 (stress) total-vm:269180kB, anon-rss:102120kB, file-rss:232kB, "
		"shmem-rss:0kB\n",
		KMSG_OOM_KILLED, 20401 },
	{ "3.10", "3,17,7000000,-;Out of memory: Kill process 2104 (mysqld) score 77 or sacrifice child\n",
		-1, 0 },
	{ "3.10", "3,18,7000001,-;Killed process 2104 (mysqld) total-vm:1kB, anon-rss:2kB, file-rss:3kB\n",
		KMSG_OOM_KILLED, 2104 },
	/* Not of the OOM killer, though names try. */
	{ "any", "6,1,2,-;Killed process [12]: segfault at 0 ip 0 sp 0 error 4\n", -1, 0 },
	{ "any", "6,1,2,-;traps: Killed process 1 (a) general protection\n", -1, 0 },
	{ "any", "4,1,2,-;python3 invoked oom-killer: gfp_mask=0xcc0, order=0, oom_score_adj=0\n", -1, 0 },
	{ "any", "4,1,2,-;Tasks in /a are going to be killed due to memory.oom.group set\n", -1, 0 },
	{ "any", "3,1,2,-;Killed process 0 (a) total-vm\n", -1, 0 },
	{ "any", "3,1,2,-;Killed process 99999999999 (a) total-vm\n", -1, 0 },
	{ "any", "3,1,2,-;Killed process -5 (a)\n", -1, 0 },
	{ "any", "3,1,2,-;Killed process 5\n", -1, 0 },
	{ "any", "3,1,2,-;\n", -1, 0 },
};

static const struct sample *sample_in_hand;

static void check(const char *where, const char *text, size_t len)
{
	const struct sample *sample = sample_in_hand;
	struct kmsg_record record;
	struct kmsg_oom oom = { 0 };

	assert_true(kmsg_record_parse(&record, text, len));
	assert_int_equal(record.facility, 0);
	assert_true(memchr(record.text.p, '\n', record.text.n) == NULL);
	bool is = kmsg_oom_parse(&oom, record.text);
	if (is != (sample->kind >= 0))
		print_error("%s: %s", where, sample->record);
	assert_int_equal(is, sample->kind >= 0);
	if (!is)
		return;
	assert_int_equal(oom.kind, sample->kind);
	assert_int_equal(oom.pid, sample->pid);
}

static void every_kernel_is_understood(void **state)
{
	for (size_t i = 0; i < sizeof(samples) / sizeof(*samples); i++) {
		sample_in_hand = &samples[i];
		fixture_hand_over(check, samples[i].kernel, samples[i].record, strlen(samples[i].record));
	}
}

static void fields_are_told(void **state)
{
	static const char text[] = "3,420,985007066,-;Killed process 1 (a)\n KEY=value\n";
	struct kmsg_record record;

	assert_true(kmsg_record_parse(&record, text, sizeof(text) - 1));
	assert_int_equal(record.seq, 420);
	assert_int_equal(record.time_us, 985007066);
	assert_int_equal(record.text.n, strlen("Killed process 1 (a)"));
	/* Whoever writes to the device is another facility. */
	assert_true(kmsg_record_parse(&record, "12,1,2,-;Killed process 1 (a)\n", 30));
	assert_int_equal(record.facility, 1);
}

static void check_torn(const char *where, const char *text, size_t len)
{
	struct kmsg_record record;
	struct kmsg_oom oom;

	/* A text of no newline is no record: a cut pid is another's. */
	if (kmsg_record_parse(&record, text, len))
		assert_true(kmsg_oom_parse(&oom, record.text) && oom.pid == 8305);
}

static void torn_records_say_nothing(void **state)
{
	const char *whole = samples[0].record;

	for (size_t len = 0; len <= strlen(whole); len++)
		fixture_hand_over(check_torn, "torn", whole, len);
	static const char *const bad[] = { "", ";\n", "3;a\n", "3,1;a\n", "3,1,2;a\n", "a,1,2,-;a\n",
		"3,1,2,-a\n", "99999999999999999999,1,2,-;a\n", " KEY=value\n" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		struct kmsg_record record;
		assert_false(kmsg_record_parse(&record, bad[i], strlen(bad[i])));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kernel_is_understood),
		cmocka_unit_test(fields_are_told),
		cmocka_unit_test(torn_records_say_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
