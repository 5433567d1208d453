/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "schema/proc/pid_numa_maps.h"
#include "tests/unit/fixtures.h"

static const struct pid_numa_units units = { 4096, 2 << 20 };

static uint64_t sum(const struct pid_numa *numa)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < NUMA_NODES_MAX; i++)
		bytes += numa->anon_bytes[i] + numa->file_bytes[i];
	return bytes;
}

static void check_process(const char *where, const char *text, size_t len)
{
	struct pid_numa numa = { .bytes = 0 };

	assert_true(pid_numa_maps_add(&numa, &units, text, len) >= 4);
	assert_true(numa.bytes > 0);
	assert_int_equal(sum(&numa), numa.bytes);
}

static void reads_every_process(void **state)
{
	assert_true(fixtures_visit("numa_maps", true, check_process) >= 4);
}

static void check_beginning(const char *where, const char *text, size_t len)
{
	struct pid_numa numa = { .bytes = 0 };

	pid_numa_maps_add(&numa, &units, text, len);
	assert_int_equal(sum(&numa), numa.bytes);
}

static void tear(const char *where, const char *text, size_t len)
{
	if (strstr(where, "linux-5.10"))
		fixture_tear(where, text, len, check_beginning);
}

static void a_torn_text_adds_whole_lines_alone(void **state)
{
	assert_true(fixtures_visit("numa_maps", true, tear) >= 4);
}

static void pages_are_in_units_of_their_line(void **state)
{
	struct buf text CLEANUP_BUF = BUF_INIT;
	struct pid_numa numa = { .bytes = 0 };

	fixture_read("linux-4.19/proc/20400/numa_maps", &text);
	pid_numa_maps_add(&numa, &units, text.data, text.len);
	assert_int_equal(numa.anon_bytes[0], (23 + 10087 + 6) * 4096);
	assert_int_equal(numa.file_bytes[0], (1300 + 15000) * 4096 + 2 * (2 << 20));
}

/* Before Linux 3.14 a line does not tell. */
static void lines_without_a_unit_have_that_of_the_machine(void **state)
{
	struct buf text CLEANUP_BUF = BUF_INIT;
	struct pid_numa numa = { .bytes = 0 };

	fixture_read("linux-3.10/proc/812/numa_maps", &text);
	pid_numa_maps_add(&numa, &units, text.data, text.len);
	assert_int_equal(numa.anon_bytes[0], (4 + 45 + 6) * 4096 + 2 * (2 << 20));
	assert_int_equal(numa.file_bytes[0], 150 * 4096);
}

static void anonymous_pages_are_shared_out_in_proportion(void **state)
{
	struct buf text CLEANUP_BUF = BUF_INIT;
	struct pid_numa numa = { .bytes = 0 };

	fixture_read("linux-5.10/proc/4100000/numa_maps", &text);
	pid_numa_maps_add(&numa, &units, text.data, text.len);
	/* 10 anonymous of 7 on one node and 13 on the other: 3 and 7. */
	assert_int_equal(numa.anon_bytes[0], (3 + 4000) * 4096);
	assert_int_equal(numa.anon_bytes[1], (7 + 4096 + 4) * 4096);
	assert_int_equal(numa.file_bytes[0], (4 + 16) * 4096);
	assert_int_equal(numa.file_bytes[1], (500 + 6) * 4096);
}

static void lines_that_make_no_sense_add_nothing(void **state)
{
	static const char *const lines[] = {
		"1000 default\n",
		"1000 default anon=1 N0=\n",
		"1000 default N0=1x\n",
		"1000 default N1024=1\n",
		"1000 default N0\n",
		"1000 default anon=2 N0=1\n",
		"1000 default anon=x N0=1\n",
		"1000 default N0=4294967296\n",
		"1000 default N0=18446744073709551615 N1=1\n",
		"1000 default N0=1 kernelpagesize_kB=18446744073709551615\n",
		"1000 default N0=4294967295 kernelpagesize_kB=17179869184\n",
		"1000 default N0=1",
		"",
	};
	struct pid_numa numa = { .bytes = 0 };

	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++)
		assert_int_equal(pid_numa_maps_add(&numa, &units, lines[i], strlen(lines[i])), 0);
	assert_int_equal(numa.bytes, 0);
	assert_int_equal(sum(&numa), 0);
	/* Names that look like numbers have an = that is escaped. */
	static const char named[] = "1000 default file=/N0\\0755 mapped=1 N0=1 kernelpagesize_kB=4\n";
	assert_int_equal(pid_numa_maps_add(&numa, &units, named, sizeof(named) - 1), 1);
	assert_int_equal(numa.file_bytes[0], 4096);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_every_process),
		cmocka_unit_test(a_torn_text_adds_whole_lines_alone),
		cmocka_unit_test(pages_are_in_units_of_their_line),
		cmocka_unit_test(lines_without_a_unit_have_that_of_the_machine),
		cmocka_unit_test(anonymous_pages_are_shared_out_in_proportion),
		cmocka_unit_test(lines_that_make_no_sense_add_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
