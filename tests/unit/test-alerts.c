/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/alerts/alerts.h"

enum { SECOND = 1000000000 };

struct rig {
	struct alerts alerts;
	struct process_table table;
	struct board_system system;
	int64_t now_ns;
	char told[4000]; /* lines of `SUBJECT text` */
	unsigned n_told;
};

static int set_up(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	assert_non_null(rig);
	assert_int_equal(process_table_init(&rig->table), 0);
	rig->now_ns = 1000 * (int64_t)SECOND;
	*state = rig;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;
	alerts_deinit(&rig->alerts);
	process_table_deinit(&rig->table);
	free(rig);
	return 0;
}

static void on_tell(void *ctx, const struct alert_rule *rule, uint32_t pid, const char *text)
{
	struct rig *rig = ctx;
	char line[300];

	snprintf(line, sizeof(line), "%u %s\n", pid, text);
	rig->n_told++;
	if (strlen(rig->told) + strlen(line) < sizeof(rig->told))
		strcat(rig->told, line);
}

static void set_rules(struct rig *rig, const char *text)
{
	struct note_text note = { .len = strlen(text) };
	memcpy(note.text, text, note.len);
	alerts_set(&rig->alerts, &note, on_tell, rig);
}

static void step(struct rig *rig)
{
	rig->now_ns += SECOND;
	rig->told[0] = '\0';
	alerts_tick(&rig->alerts, &rig->system, &rig->table, rig->now_ns, on_tell, rig);
}

static struct process *add(struct rig *rig, uint32_t pid, const char *comm, uint64_t rss)
{
	struct process *process = process_add(&rig->table, pid);
	assert_non_null(process);
	process->shown.pid = pid;
	process->shown.start_ticks = 100 + pid;
	strncpy(process->shown.comm, comm, BOARD_COMM - 1);
	process_values_set(&process->shown.values, PROCESS_RSS, rss);
	for (unsigned i = 0; i < N_PROCESS_RATES; i++)
		for (unsigned window = 0; window < N_WINDOWS; window++)
			process->shown.rate[i][window] = BOARD_RATE_UNKNOWN;
	return process;
}

static void set_rss(struct process *process, uint64_t rss)
{
	process_values_set(&process->shown.values, PROCESS_RSS, rss);
}

static void the_node_fires_once_and_clears_once(void **state)
{
	struct rig *rig = *state;

	set_rules(rig, "big node used > 100\n");
	step(rig); /* not known yet */
	assert_string_equal(rig->told, "");
	system_values_set(&rig->system.values, SYSTEM_USED, 101);
	step(rig);
	assert_string_equal(rig->told, "0 big firing used 101 > 100\n");
	step(rig);
	assert_string_equal(rig->told, "");
	system_values_set(&rig->system.values, SYSTEM_USED, 100);
	step(rig);
	assert_string_equal(rig->told, "0 big cleared used 100 > 100\n");
	step(rig);
	assert_int_equal(rig->n_told, 2);
}

static void for_is_waited_in_both_directions(void **state)
{
	struct rig *rig = *state;
	struct process *process = add(rig, 7, "x", 10);

	set_rules(rig, "a pid/7 rss > 10 for 3\n");
	for (int i = 0; i < 5; i++) { /* never three seconds in a row */
		set_rss(process, i % 3 == 2 ? 10 : 11);
		step(rig);
	}
	assert_int_equal(rig->n_told, 0);
	set_rss(process, 10);
	step(rig);
	set_rss(process, 12);
	for (int i = 0; i < 3; i++)
		step(rig);
	assert_int_equal(rig->n_told, 0);
	step(rig);
	assert_string_equal(rig->told, "7 a firing rss 12 > 10\n");
	set_rss(process, 3);
	step(rig);
	step(rig);
	set_rss(process, 30); /* came back in time: nothing is told */
	step(rig);
	set_rss(process, 3);
	for (int i = 0; i < 3; i++)
		step(rig);
	assert_int_equal(rig->n_told, 1);
	step(rig);
	assert_string_equal(rig->told, "7 a cleared rss 3 > 10\n");
}

static void names_are_summed_or_looked_at_one_by_one(void **state)
{
	struct rig *rig = *state;
	struct process *first = add(rig, 1, "db", 40), *second = add(rig, 2, "db", 50);

	add(rig, 3, "dbx", 1000);
	set_rules(rig, "sum by-name/db rss > 100\neach each/db rss > 45\nnone by-name/web count < 1\n"
		       "two by-name/db count >= 2\nabsent by-name/web rss < 1\n");
	step(rig);
	assert_string_equal(rig->told, "2 each firing rss 50 > 45\n0 none firing count 0 < 1\n"
				       "0 two firing count 2 >= 2\n");
	set_rss(first, 60);
	step(rig);
	assert_string_equal(rig->told, "1 each firing rss 60 > 45\n0 sum firing rss 110 > 100\n");
	/* A name that is another now, and one that ended. */
	strcpy(first->shown.comm, "web");
	process_remove(&rig->table, second);
	step(rig);
	assert_non_null(strstr(rig->told, "0 none cleared count 1 < 1\n"));
	assert_non_null(strstr(rig->told, "0 two cleared count 0 >= 2\n"));
	assert_non_null(strstr(rig->told, "0 sum cleared rss - > 100\n"));
	assert_non_null(strstr(rig->told, "1 each cleared rss - > 45\n"));
	assert_non_null(strstr(rig->told, "2 each cleared rss - > 45\n"));
	step(rig);
	assert_string_equal(rig->told, "");
	assert_int_equal(rig->alerts.n_instances, 0);
}

static void a_pid_used_again_is_another(void **state)
{
	struct rig *rig = *state;
	struct process *process = add(rig, 9, "x", 100);

	set_rules(rig, "p pid/9 rss > 50 for 2\n");
	for (int i = 0; i < 3; i++)
		step(rig);
	assert_string_equal(rig->told, "9 p firing rss 100 > 50\n");
	process->shown.start_ticks++;
	step(rig);
	assert_string_equal(rig->told, "9 p cleared rss - > 50\n");
	step(rig);
	assert_string_equal(rig->told, "");
	step(rig);
	assert_string_equal(rig->told, "9 p firing rss 100 > 50\n");
	process_remove(&rig->table, process);
	step(rig);
	assert_string_equal(rig->told, "9 p cleared rss - > 50\n");
}

static void rates_are_signed_and_may_be_unknown(void **state)
{
	struct rig *rig = *state;
	struct process *process = add(rig, 4, "x", 0);

	set_rules(rig, "shrinks each/x rss_1m < -10\nstands each/x rss_1m == 0\n");
	step(rig);
	assert_string_equal(rig->told, "");
	process->shown.rate[0][WINDOW_1M] = -11;
	step(rig);
	assert_string_equal(rig->told, "4 shrinks firing rss_1m -11 < -10\n");
	process->shown.rate[0][WINDOW_1M] = 0;
	step(rig);
	assert_non_null(strstr(rig->told, "4 shrinks cleared rss_1m 0 < -10\n"));
	assert_non_null(strstr(rig->told, "4 stands firing rss_1m 0 == 0\n"));
}

static void other_rules_keep_those_that_stay(void **state)
{
	struct rig *rig = *state;

	system_values_set(&rig->system.values, SYSTEM_USED, 101);
	set_rules(rig, "gone node used > 1\nstays node used > 100\nchanges node used > 100\n");
	step(rig);
	assert_int_equal(rig->n_told, 3);
	rig->told[0] = '\0';
	set_rules(rig, "changes node used > 99\nstays node used > 100\n");
	assert_string_equal(rig->told, "0 gone cleared used - > 1\n0 changes cleared used - > 100\n");
	step(rig);
	assert_string_equal(rig->told, "0 changes firing used 101 > 99\n");
	set_rules(rig, "");
	assert_int_equal(rig->alerts.n_instances, 0);
}

static void what_fires_goes_on_with_the_next_collector(void **state)
{
	struct rig *rig = *state, *next;
	struct board_firing *firing = calloc(1, sizeof(*firing));
	const char *rules = "big node used > 100\nown each/x rss > 5\nlater node used > 200\n";

	assert_non_null(firing);
	system_values_set(&rig->system.values, SYSTEM_USED, 101);
	add(rig, 8, "x", 6);
	set_rules(rig, rules);
	step(rig);
	assert_int_equal(rig->n_told, 2);
	assert_true(rig->alerts.changed);
	alerts_save(&rig->alerts, firing);
	assert_int_equal(firing->n, 2);
	assert_false(rig->alerts.changed);

	set_up((void **)&next);
	struct process *process = add(next, 8, "x", 6);
	system_values_set(&next->system.values, SYSTEM_USED, 101);
	set_rules(next, rules);
	alerts_restore(&next->alerts, firing);
	step(next);
	assert_string_equal(next->told, "");
	set_rss(process, 5);
	system_values_set(&next->system.values, SYSTEM_USED, 201);
	step(next);
	assert_string_equal(next->told, "8 own cleared rss 5 > 5\n0 later firing used 201 > 200\n");
	tear_down((void **)&next);
	free(firing);
}

static void too_many_are_counted_not_kept(void **state)
{
	struct rig *rig = *state;

	for (uint32_t pid = 1; pid <= ALERT_INSTANCES_MAX + 10; pid++)
		add(rig, pid, "x", 100);
	set_rules(rig, "all each/x rss > 1\n");
	step(rig);
	assert_int_equal(rig->n_told, ALERT_INSTANCES_MAX);
	assert_int_equal(rig->alerts.untracked, 10);
	for (size_t i = 0; i < rig->table.n; i++)
		set_rss(rig->table.live[i], 0);
	step(rig);
	assert_int_equal(rig->n_told, 2 * ALERT_INSTANCES_MAX);
	assert_int_equal(rig->alerts.n_instances, 0);
	assert_int_equal(rig->alerts.untracked, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_node_fires_once_and_clears_once),
		TEST(for_is_waited_in_both_directions),
		TEST(names_are_summed_or_looked_at_one_by_one),
		TEST(a_pid_used_again_is_another),
		TEST(rates_are_signed_and_may_be_unknown),
		TEST(other_rules_keep_those_that_stay),
		TEST(what_fires_goes_on_with_the_next_collector),
		TEST(too_many_are_counted_not_kept),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
