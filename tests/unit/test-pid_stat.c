/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>

#include "schema/proc/pid_stat.h"
#include "tests/unit/fixtures.h"

static const struct pid_stat untouched = { .pid = 12345, .comm = "untouched", .comm_len = 9, .state = '?' };

static void check_process(const char *where, const char *text, size_t len)
{
	struct pid_stat stat;

	assert_true(pid_stat_parse(&stat, text, len));
	assert_int_equal(stat.pid, strtoul(strchr(where, '/') + 1, NULL, 10));
	assert_int_equal(stat.comm[stat.comm_len], '\0');
	assert_true(stat.threads >= 1);
	assert_true(stat.start_ticks > 0);
	assert_non_null(strchr("RSDZTI", stat.state));
	/* Only kernel threads and the dead have no address space, and only kernel threads stand below
	 * kthreadd. */
	bool kernel = stat.flags & PID_STAT_KERNEL_THREAD;
	assert_int_equal(kernel, stat.pid == 2 || stat.ppid == 2);
	assert_int_equal(stat.vsize_bytes == 0, kernel || stat.state == 'Z');
}

static void reads_every_process(void **state)
{
	assert_true(fixtures_visit("stat", true, check_process) >= 20);
}

/* Field by field: bytes between them are nobody's. */
static void assert_same(const struct pid_stat *a, const struct pid_stat *b)
{
	assert_int_equal(a->pid, b->pid);
	assert_memory_equal(a->comm, b->comm, sizeof(a->comm));
	assert_int_equal(a->comm_len, b->comm_len);
	assert_int_equal(a->state, b->state);
	assert_int_equal(a->ppid, b->ppid);
	assert_int_equal(a->flags, b->flags);
	assert_int_equal(a->minor_faults, b->minor_faults);
	assert_int_equal(a->major_faults, b->major_faults);
	assert_int_equal(a->threads, b->threads);
	assert_int_equal(a->start_ticks, b->start_ticks);
	assert_int_equal(a->vsize_bytes, b->vsize_bytes);
}

static void check_beginning(const char *where, const char *text, size_t len)
{
	struct pid_stat stat = untouched, whole;
	struct buf full CLEANUP_BUF = BUF_INIT;
	char path[300];
	const char *slash = strchr(where, '/');

	snprintf(path, sizeof(path), "%.*s/proc/%s/stat", (int)(slash - where), where, slash + 1);
	fixture_read(path, &full);
	assert_true(pid_stat_parse(&whole, full.data, full.len));
	if (pid_stat_parse(&stat, text, len))
		assert_same(&stat, &whole);
	else
		assert_same(&stat, &untouched);
}

static void tear(const char *where, const char *text, size_t len)
{
	fixture_tear(where, text, len, check_beginning);
}

static void a_torn_text_is_refused_or_right(void **state)
{
	assert_true(fixtures_visit("stat", true, tear) >= 20);
}

static void assert_name(const char *pid, const char *name)
{
	struct buf text CLEANUP_BUF = BUF_INIT;
	struct pid_stat stat;
	char path[100];

	snprintf(path, sizeof(path), "linux-6.18/proc/%s/stat", pid);
	fixture_read(path, &text);
	assert_true(pid_stat_parse(&stat, text.data, text.len));
	assert_string_equal(stat.comm, name);
	assert_int_equal(stat.comm_len, strlen(name));
	assert_int_equal(stat.state, 'S');
}

static void names_are_any_bytes(void **state)
{
	assert_name("11897", "x\n/\t\xff) R 1");
	assert_name("11901", "");
	assert_name("11905", "..");
}

static void fields_are_where_proc_says(void **state)
{
	struct buf text CLEANUP_BUF = BUF_INIT;
	struct pid_stat stat;

	fixture_read("linux-5.10/proc/4100000/stat", &text);
	assert_true(pid_stat_parse(&stat, text.data, text.len));
	assert_int_equal(stat.pid, 4100000);
	assert_int_equal(stat.ppid, 1);
	assert_int_equal(stat.flags, 0x400000);
	assert_true(stat.minor_faults == 5000000000);
	assert_int_equal(stat.major_faults, 812);
	assert_int_equal(stat.threads, 3);
	assert_true(stat.start_ticks == 4294967296);
	assert_true(stat.vsize_bytes == UINT64_C(188120) * 4096);
}

static void a_zombie_leader_counts_its_threads(void **state)
{
	struct buf text CLEANUP_BUF = BUF_INIT;
	struct pid_stat stat;

	fixture_read("linux-6.18/proc/11876/stat", &text);
	assert_true(pid_stat_parse(&stat, text.data, text.len));
	assert_int_equal(stat.state, 'Z');
	assert_int_equal(stat.threads, 2);
	assert_int_equal(stat.vsize_bytes, 0);
}

/* One line with its name, its threads and its vsize replaced. */
static bool parse_line(const char *name, const char *ppid, const char *vsize, struct pid_stat *ret_stat)
{
	char line[512];
	int n = snprintf(line, sizeof(line), "7 (%s) S %s 1 1 0 -1 64 1 2 3 4 5 6 7 8 20 0 1 0 99 %s 1 2\n",
		name, ppid, vsize);

	return pid_stat_parse(ret_stat, line, (size_t)n);
}

static void what_makes_no_sense_is_refused(void **state)
{
	static const char *const bad[] = { "", "7", "7 ", "7 (", "7 (x", "7 (x)", "7 (x) S", ")", "7 )",
		"7 )(", "7)(x) S 1", "x (y) S 1",
		"4294967296 (x) S 1 1 1 0 -1 64 1 2 3 4 5 6 7 8 20 0 1 0 99 1 1 2\n",
		"7 (x) SS 1 1 1 0 -1 64 1 2 3 4 5 6 7 8 20 0 1 0 99 1 1 2\n",
		"7 (x) 1 1 1 1 0 -1 64 1 2 3 4 5 6 7 8 20 0 1 0 99 1 1 2\n" };
	struct pid_stat stat = untouched;
	char name[100];

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(pid_stat_parse(&stat, bad[i], strlen(bad[i])));
	assert_false(pid_stat_parse(&stat, NULL, 0));
	assert_false(parse_line("x", "-1", "4096", &stat));
	assert_false(parse_line("x", "4294967296", "4096", &stat));
	assert_false(parse_line("x", "1", "99999999999999999999", &stat));
	memset(name, 'n', sizeof(name));
	name[64] = '\0';
	assert_false(parse_line(name, "1", "4096", &stat));
	assert_same(&stat, &untouched);
	name[63] = '\0';
	assert_true(parse_line(name, "1", "4096", &stat));
	assert_int_equal(stat.comm_len, 63);
	assert_string_equal(stat.comm, name);
	assert_true(parse_line("x", "1", "18446744073709551615", &stat));
	assert_true(stat.vsize_bytes == UINT64_MAX);
}

static struct pid_stat parse_ending_line(char state, const char *wchan, const char *exit_code)
{
	struct pid_stat stat = untouched;
	char line[400];

	snprintf(line, sizeof(line),
		"7 (x) %c 1 1 1 0 -1 64 1 2 3 4 5 6 7 8 20 0 1 0 99 0 0 18446744073709551615 0 0 0 0 0 0 0 0 0 %s "
		"0 0 17 0 0 0 0 0 0 0 0 0 0 0 0 0 %s\n",
		state, wchan, exit_code);
	assert_true(pid_stat_parse(&stat, line, strlen(line)));
	return stat;
}

static void a_zombie_says_how_it_ended(void **state)
{
	struct pid_stat stat = parse_ending_line('Z', "1", "768");

	assert_true(stat.has_wait_status);
	assert_int_equal(stat.wait_status, 3 << 8);
	stat = parse_ending_line('Z', "1", "0");
	assert_true(stat.has_wait_status);
	assert_int_equal(stat.wait_status, 0);
	stat = parse_ending_line('Z', "0", "9");
	assert_true(stat.has_wait_status);
	/* All is 0 to whom the kernel does not tell it. */
	assert_false(parse_ending_line('Z', "0", "0").has_wait_status);
	assert_false(parse_ending_line('S', "1", "768").has_wait_status);
	assert_false(parse_ending_line('Z', "1", "-1").has_wait_status);
	assert_false(parse_ending_line('Z', "1", "65536").has_wait_status);
	/* What may be the beginning of a number is none. */
	static const char cut[] =
		"7 (x) Z 1 1 1 0 -1 64 1 2 3 4 5 6 7 8 20 0 1 0 99 0 0 0 0 0 0 0 0 0 0 0 0 1 0 0 17 0 0 0 0 0 0 0 0 0 0 "
		"0 0 0 76";
	assert_true(pid_stat_parse(&stat, cut, sizeof(cut) - 1));
	assert_false(stat.has_wait_status);
}

static void every_row_is_set(void **state)
{
	struct pid_stat stat = { .minor_faults = 11, .major_faults = 22 };
	struct process_values values = { 0 };
	uint64_t rows = 0;

	for (unsigned i = 0; i < process_metrics.n; i++) {
		if (process_metrics.rows[i].source == METRIC_SOURCE_PID_STAT)
			rows |= UINT64_C(1) << i;
	}
	pid_stat_values(&values, &stat);
	assert_true(values.present == rows);
	assert_int_equal(values.value[PROCESS_MINOR_FAULTS], 11);
	assert_int_equal(values.value[PROCESS_MAJOR_FAULTS], 22);
}

static uint64_t image_of(const char *stack_start)
{
	char text[256];
	int n = snprintf(text, sizeof(text),
		"7 (a) b) S 1 7 7 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 500 9000 100 184 94000 95000 %s 0 0\n",
		stack_start);
	return pid_stat_image(text, (size_t)n);
}

/* Another stack, another program; none where the kernel does not tell, or the text ends before. */
static void tells_programs_apart(void **state)
{
	assert_true(image_of("140720000") != 0);
	assert_int_equal(image_of("140720000"), image_of("140720000"));
	assert_true(image_of("140720000") != image_of("140730000"));
	assert_int_equal(image_of("0"), 0);
	assert_int_equal(image_of("1"), 0);
	assert_int_equal(pid_stat_image("7 (a) S 1 7", 11), 0);
	assert_int_equal(pid_stat_image("", 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_programs_apart),
		cmocka_unit_test(reads_every_process),
		cmocka_unit_test(a_torn_text_is_refused_or_right),
		cmocka_unit_test(names_are_any_bytes),
		cmocka_unit_test(fields_are_where_proc_says),
		cmocka_unit_test(a_zombie_leader_counts_its_threads),
		cmocka_unit_test(what_makes_no_sense_is_refused),
		cmocka_unit_test(a_zombie_says_how_it_ended),
		cmocka_unit_test(every_row_is_set),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
