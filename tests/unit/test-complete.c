/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "fs/commands/complete.h"

static const char usage[] = "[-f] [-o OPTION,...] [--from TIME] [--node | --pid PID[-START] | --name COMM] "
			    "[--level seconds|minutes|hours] [-s state=DIR] DIR";

static void assert_offers(const char *before, const char *word, const char *wanted)
{
	CLEANUP_BUF struct buf out = BUF_INIT;

	complete_argument(&out, usage, before, word);
	buf_putc(&out, 0);
	assert_int_equal(buf_error(&out), 0);
	assert_string_equal(out.data, wanted);
}

static void flags_are_those_of_the_usage(void **state)
{
	assert_offers("x", "-", "-f\n-o\n--from\n--node\n--pid\n--name\n--level\n-s\n");
	assert_offers("x", "--n", "--node\n--name\n");
	assert_offers("-f", "--p", "--pid\n");
	assert_offers("x", "--none", "");
}

static void a_flag_with_a_value_has_that_alone(void **state)
{
	assert_offers("--level", "", "seconds\nminutes\nhours\n");
	assert_offers("--level", "m", "minutes\n");
	assert_offers("--level", "-", "");
	assert_offers("--from", "", "");
	assert_offers("--pid", "4", "");
	assert_offers("-s", "", "state=\n");
	assert_offers("-s", "st", "state=\n");
	assert_offers("-s", "state=/v", ":directories state=\n");
	assert_offers("-s", "other", "");
}

static void options_of_mount_are_a_list(void **state)
{
	assert_offers("-o", "fresh", "freshness_ms=\n");
	assert_offers("-o", "node=x,sin", "node=x,single\n");
	assert_offers("-o", "node=x,run=/r", ":directories node=x,run=\n");
	assert_offers("-o", "node=x", "");
	assert_offers("-o", "runs=/r", "");
	/* What is between the supervisor and serve is nobody's. */
	assert_offers("-o", "owner", "");
}

static void what_has_no_flag_comes_anywhere(void **state)
{
	assert_offers("mount", "", ":directories \n");
	assert_offers("-f", "/m", ":directories \n");
	assert_offers("--node", "/m", ":directories \n");
}

static void words_that_are_offered_begin_alike(void **state)
{
	CLEANUP_BUF struct buf out = BUF_INIT;

	complete_offer(&out, "mount", "m");
	complete_offer(&out, "umount", "m");
	complete_offer(&out, "m", "mount");
	buf_putc(&out, 0);
	assert_string_equal(out.data, "mount\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flags_are_those_of_the_usage),
		cmocka_unit_test(a_flag_with_a_value_has_that_alone),
		cmocka_unit_test(options_of_mount_are_a_list),
		cmocka_unit_test(what_has_no_flag_comes_anywhere),
		cmocka_unit_test(words_that_are_offered_begin_alike),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
