/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "schema/proc/pid_stat.h"
#include "schema/proc/pid_statm.h"
#include "schema/proc/pid_status.h"
#include "tests/unit/fixtures.h"

static struct pid_status parse(const char *text, size_t len)
{
	struct pid_status status = { 0 };

	pid_status_parse(&status, text, len);
	return status;
}

static void check_process(const char *where, const char *text, size_t len)
{
	struct pid_status status = parse(text, len);

	assert_int_equal(status.tgid, strtoul(strchr(where, '/') + 1, NULL, 10));
	assert_true(status.threads >= 1);
	assert_non_null(strchr("RSDZTI", status.state));
	bool memory = memmem(text, len, "VmRSS:", 6);
	bool modern = memmem(text, len, "RssAnon:", 8);
	assert_int_equal(metric_has(status.values.present, PROCESS_TEXT), memory);
	assert_int_equal(metric_has(status.values.present, PROCESS_SWAP), memory);
	assert_int_equal(metric_has(status.values.present, PROCESS_ANON), modern);
	assert_int_equal(modern, memory && strncmp(where, "linux-3.10", 10) != 0);
	assert_false(metric_has(status.values.present, PROCESS_RSS)); /* statm's */
}

static void reads_every_process(void **state)
{
	assert_true(fixtures_visit("status", true, check_process) >= 20);
}

/* The parsers of one process agree about it: same tgid and state, and shared is RssFile + RssShmem. */
static void check_agreement(const char *where, const char *text, size_t len)
{
	struct pid_status status = parse(text, len);
	struct process_values statm = { 0 };
	struct pid_stat stat;
	const char *slash = strchr(where, '/');
	char path[300];
	struct buf other CLEANUP_BUF = BUF_INIT;

	snprintf(path, sizeof(path), "%.*s/proc/%s/stat", (int)(slash - where), where, slash + 1);
	fixture_read(path, &other);
	assert_true(pid_stat_parse(&stat, other.data, other.len));
	assert_int_equal(stat.pid, status.tgid);
	assert_int_equal(stat.state, status.state);
	assert_int_equal(stat.threads, status.threads);
	buf_clear(&other);
	strcat(path, "m");
	fixture_read(path, &other);
	assert_true(pid_statm_parse(&statm, other.data, other.len, 4096));
	assert_int_equal(
		metric_has(statm.present, PROCESS_RSS), metric_has(status.values.present, PROCESS_TEXT));
	if (metric_has(status.values.present, PROCESS_ANON)) {
		assert_int_equal(statm.value[PROCESS_SHARED],
			status.values.value[PROCESS_FILE_PAGES] + status.values.value[PROCESS_SHMEM]);
		assert_int_equal(statm.value[PROCESS_RSS],
			statm.value[PROCESS_SHARED] + status.values.value[PROCESS_ANON]);
	}
}

static void agrees_with_stat_and_statm(void **state)
{
	assert_true(fixtures_visit("status", true, check_agreement) >= 20);
}

static void check_beginning(const char *where, const char *text, size_t len)
{
	struct pid_status torn = parse(text, len), whole;
	const char *slash = strchr(where, '/');
	struct buf full CLEANUP_BUF = BUF_INIT;
	char path[300];

	snprintf(path, sizeof(path), "%.*s/proc/%s/status", (int)(slash - where), where, slash + 1);
	fixture_read(path, &full);
	whole = parse(full.data, full.len);
	assert_true(!torn.tgid || torn.tgid == whole.tgid);
	assert_true(!torn.uid || torn.uid == whole.uid);
	assert_true(!torn.gid || torn.gid == whole.gid);
	assert_true(!torn.threads || torn.threads == whole.threads);
	assert_true(!torn.state || torn.state == whole.state);
	assert_values_within(torn.values.present, torn.values.value, whole.values.present, whole.values.value,
		N_PROCESS_METRICS);
}

static void tear(const char *where, const char *text, size_t len)
{
	/* The largest of each machine will do: a tear costs a parse of the whole at every byte. */
	if (strstr(where, "/20400") || strstr(where, "/4100000") || strstr(where, "/11897") ||
		strstr(where, "/812"))
		fixture_tear(where, text, len, check_beginning);
}

static void a_torn_text_gives_no_false_value(void **state)
{
	assert_true(fixtures_visit("status", true, tear) >= 20);
}

static void reads_what_the_lines_say(void **state)
{
	struct buf text CLEANUP_BUF = BUF_INIT;

	fixture_read("linux-4.19/proc/20400/status", &text);
	struct pid_status status = parse(text.data, text.len);
	assert_int_equal(status.uid, 105);
	assert_int_equal(status.gid, 105);
	assert_int_equal(status.values.value[PROCESS_TEXT], 6880 * 1024);
	assert_int_equal(status.values.value[PROCESS_LIB], 23120 * 1024);
	assert_int_equal(status.values.value[PROCESS_SWAP], 4120 * 1024);
	assert_int_equal(status.values.value[PROCESS_ANON], 40440 * 1024);
	assert_int_equal(status.values.value[PROCESS_SHMEM], 60000 * 1024);
}

static void what_is_lacking_stays(void **state)
{
	struct pid_status status = { .tgid = 1, .uid = 2, .gid = 3, .threads = 4, .state = 'Q' };
	static const char text[] =
		"Tgid:\t4294967296\nUid:\nGid:\tx\nThreads:\t-1\nState:\t7\nVmSwap:\t5\nVmExe:\t1 kB";

	pid_status_parse(&status, text, sizeof(text) - 1);
	assert_int_equal(status.tgid, 1);
	assert_int_equal(status.uid, 2);
	assert_int_equal(status.gid, 3);
	assert_int_equal(status.threads, 4);
	assert_int_equal(status.state, 'Q');
	assert_int_equal(status.values.present, 0);
}

static void uids_use_all_32_bits(void **state)
{
	static const char text[] = "Uid:\t4294967294\t0\t0\t0\nGid:\t4294967295\t0\t0\t0\n";
	struct pid_status status = parse(text, sizeof(text) - 1);

	assert_true(status.uid == 4294967294);
	assert_true(status.gid == 4294967295);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_every_process),
		cmocka_unit_test(agrees_with_stat_and_statm),
		cmocka_unit_test(a_torn_text_gives_no_false_value),
		cmocka_unit_test(reads_what_the_lines_say),
		cmocka_unit_test(what_is_lacking_stays),
		cmocka_unit_test(uids_use_all_32_bits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
