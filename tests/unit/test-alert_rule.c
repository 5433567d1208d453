/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "collector/alerts/alert_rule.h"

static void assert_renders(const char *line, const char *expected)
{
	char array[NOTE_LINE_MAX];
	struct buf text = BUF_FIXED(array);
	struct err err = { 0 };

	if (alert_rule_line((struct span) { line, strlen(line) }, &text, &err))
		fail_msg("%s: %s", line, err.reason);
	buf_putc(&text, '\0');
	assert_string_equal(array, expected);
	/* What it reads sets the same. */
	struct alert_rule rule, again;
	assert_int_equal(alert_rule_parse((struct span) { line, strlen(line) }, &rule, NULL), 0);
	assert_int_equal(alert_rule_parse((struct span) { array, strlen(array) }, &again, NULL), 0);
	assert_true(alert_rule_same(&rule, &again));
}

static void rules_read_back_in_base_units(void **state)
{
	assert_renders("big node used > 10G", "big node used > 10737418240");
	assert_renders("  a.B-1_  pid/42\trss >= 5m  for 30 ", "a.B-1_ pid/42 rss >= 5242880 for 30");
	assert_renders(
		"x node pressure_memory_some_avg10 > 12.5%", "x node pressure_memory_some_avg10 > 12.50");
	assert_renders("x node pressure_memory_full_avg60 != 7", "x node pressure_memory_full_avg60 != 7.00");
	assert_renders("x node used_1m < -5M", "x node used_1m < -5242880");
	assert_renders("x each/postgres rss_10m > 1k for 0", "x each/postgres rss_10m > 1024");
	assert_renders(
		"x by-name/postgres count == 0 for 604800", "x by-name/postgres count == 0 for 604800");
	assert_renders("x each/a pss_last <= 1t", "x each/a pss_last <= 1099511627776");
	assert_renders("x each/a minor_faults_1s > 100", "x each/a minor_faults_1s > 100");
	assert_renders("x each/a minor_faults_total > 100", "x each/a minor_faults_total > 100");
	/* A blank in a name is escaped, and so is what escapes. */
	assert_renders("x each/tmux:\\040server rss > 1", "x each/tmux:\\040server rss > 1");
	assert_renders("x each/a/b\\134\\012 rss > 1", "x each/a/b\\134\\012 rss > 1");
}

static void what_makes_no_sense_is_refused(void **state)
{
	static const struct {
		const char *line;
		int code;
		const char *reason;
	} cases[] = {
		{ "a/b node used > 1", EINVAL,
			"an alert's name has 1 to 64 of [A-Za-z0-9._-], no - first; \"a/b\" has not" },
		{ "x node used >", EINVAL, "an alert is NAME SUBJECT METRIC OP VALUE [for SECONDS]" },
		{ "x host used > 1", EINVAL,
			"the subject is node, pid/N, by-name/X or each/X, not \"host\"" },
		{ "x pid/0 rss > 1", ERANGE, "pids are from 1 to 4194303" },
		{ "x pid/x rss > 1", EINVAL, "\"x\" is no pid" },
		{ "x each/ rss > 1", EINVAL,
			"the kernel's names of processes have 1 to 15 bytes, \"\" has not" },
		{ "x each/sixteen-letters-- rss > 1", EINVAL,
			"the kernel's names of processes have 1 to 15 bytes, \"sixteen-letters--\" has not" },
		{ "x each/\\000 rss > 1", EINVAL,
			"the kernel's names of processes have 1 to 15 bytes, \"\\134000\" has not" },
		{ "x each/tmux: server rss > 1", EINVAL,
			"a process has no \"server\" in its stat or rate; a blank in a name is an escape, as events.md has it" },
		{ "x node rss > 1", EINVAL, "a node has no \"rss\" in its stat or rate" },
		{ "x pid/1 count > 1", EINVAL, "a process has no \"count\" in its stat or rate" },
		{ "x pid/1 pss > 1", EINVAL, "a process has no \"pss\" in its stat or rate" },
		{ "x pid/1 rss_2m > 1", EINVAL, "a process has no \"rss_2m\" in its stat or rate" },
		{ "x node used = 1", EINVAL, "the comparison is one of > >= < <= == !=, not \"=\"" },
		{ "x node used > 1.5G", EINVAL,
			"the value is a size, with K M G T or without, not \"1.5G\"" },
		{ "x node used > -1", EINVAL, "the value is a size, with K M G T or without, not \"-1\"" },
		{ "x node used_1s > x", EINVAL,
			"the value is a size, with K M G T or without, a second, - before it or not, not \"x\"" },
		{ "x node used > 99999999T", EINVAL,
			"the value is a size, with K M G T or without, not \"99999999T\"" },
		{ "x node pressure_memory_some_avg10 > 1.234", EINVAL,
			"the value is a percentage with up to two decimals, not \"1.234\"" },
		{ "x each/a minor_faults_total > 1K", EINVAL, "the value is a number, not \"1K\"" },
		{ "x node used > 1 during 5", EINVAL, "after the value comes nothing, or `for SECONDS`" },
		{ "x node used > 1 for", EINVAL, "after the value comes nothing, or `for SECONDS`" },
		{ "x node used > 1 for 5 s", EINVAL, "after the value comes nothing, or `for SECONDS`" },
		{ "x node used > 1 for 5s", EINVAL, "`for` takes seconds, not \"5s\"" },
		{ "x node used > 1 for 604801", ERANGE, "`for` takes up to 604800 seconds" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct alert_rule rule, before;
		struct err err = { 0 };
		memset(&rule, 7, sizeof(rule));
		before = rule;
		const struct span line = { cases[i].line, strlen(cases[i].line) };
		assert_int_equal(alert_rule_parse(line, &rule, &err), -cases[i].code);
		assert_string_equal(err.reason, cases[i].reason);
		assert_memory_equal(&rule, &before, sizeof(rule));
	}
}

static void conditions_hold_as_written(void **state)
{
	static const struct {
		const char *op;
		bool below, equal, above;
	} cases[] = { { ">", 0, 0, 1 }, { ">=", 0, 1, 1 }, { "<", 1, 0, 0 }, { "<=", 1, 1, 0 },
		{ "==", 0, 1, 0 }, { "!=", 1, 0, 1 } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char line[64];
		struct alert_rule rule;
		snprintf(line, sizeof(line), "x node used %s 10", cases[i].op);
		assert_int_equal(alert_rule_parse((struct span) { line, strlen(line) }, &rule, NULL), 0);
		assert_int_equal(alert_rule_holds(&rule, 9), cases[i].below);
		assert_int_equal(alert_rule_holds(&rule, 10), cases[i].equal);
		assert_int_equal(alert_rule_holds(&rule, 11), cases[i].above);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rules_read_back_in_base_units),
		cmocka_unit_test(what_makes_no_sense_is_refused),
		cmocka_unit_test(conditions_hold_as_written),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
