/* SPDX-License-Identifier: MIT */
/* Groups over a board that the test writes. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "fs/groups.h"
#include "fs/names.h"
#include "schema/proc/pid_cgroup.h"
#include "tests/unit/fs_world.h"

struct rig {
	struct world world;
	struct proc_root root;
	int fd;
	struct board *board;
	struct names *names;
	struct groups *groups;
	struct board_health health;
};

static int set_up(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	assert_non_null(rig);
	world_keep(&rig->world);
	rig->root = PROC_ROOT_INIT;
	rig->fd = board_create();
	assert_true(rig->fd >= 0);
	assert_int_equal(board_map(rig->fd, true, &rig->board), 0);
	assert_int_equal(names_new(rig->world.keep, &rig->names), 0);
	assert_int_equal(groups_new(&rig->root, rig->board, rig->names, &rig->groups), 0);
	*state = rig;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;

	groups_free(rig->groups);
	names_free(rig->names);
	board_unmap(rig->board);
	close(rig->fd);
	world_deinit(&rig->world);
	free(rig);
	return 0;
}

static void tick(struct rig *rig)
{
	rig->health.generation++;
	board_write_health(rig->board, &rig->health);
}

static uint64_t put_cgroup(struct rig *rig, uint64_t serial, uint32_t slot, const char *path)
{
	struct board_cgroup cgroup = { .id = serial * BOARD_CGROUPS + slot, .len = (uint32_t)strlen(path) };

	strcpy(cgroup.path, path);
	board_write_cgroup(rig->board, &cgroup);
	return cgroup.id;
}

static void put(struct rig *rig, uint32_t pid, const char *comm, uint32_t uid, uint64_t cgroup, uint64_t rss)
{
	struct board_process process = { .pid = pid, .uid = uid, .state = 'S', .cgroup = cgroup };

	strcpy(process.comm, comm);
	if (rss)
		process_values_set(&process.values, PROCESS_RSS, rss);
	board_write_process(rig->board, &process);
}

static int get(struct rig *rig, enum group_kind kind, const char *name, struct group *ret)
{
	return groups_get(rig->groups, kind, (struct span) { name, strlen(name) }, ret);
}

static void expect(struct rig *rig, enum group_kind kind, const char *name, uint64_t count, uint64_t rss)
{
	struct group group;

	assert_int_equal(get(rig, kind, name, &group), 0);
	assert_int_equal(group.count, count);
	assert_int_equal(group.sum[GROUP_RSS], rss);
}

static void expect_none(struct rig *rig, enum group_kind kind, const char *name)
{
	struct group group;
	assert_int_equal(get(rig, kind, name, &group), -ENOENT);
}

static void expect_members(struct rig *rig, enum group_kind kind, const char *name, const char *expected)
{
	struct group_members members;
	struct board_process process;
	char found[256] = "";

	groups_begin_members(rig->groups, kind, (struct span) { name, strlen(name) }, &members);
	while (groups_next_member(&members, &process))
		snprintf(found + strlen(found), sizeof(found) - strlen(found), "%u ", process.pid);
	assert_string_equal(found, expected);
}

static void one_process_is_in_a_group_of_each_kind(void **state)
{
	struct rig *rig = *state;
	uint64_t a = put_cgroup(rig, 1, 0, "/system.slice/a.service");

	put(rig, 10, "x", 5, a, 100);
	put(rig, 11, "y", 5, a, 30);
	put(rig, 12, "x", 6, 0, 7);
	put(rig, 13, "thread", 0, 0, 0);
	tick(rig);
	expect(rig, GROUP_BY_NAME, "x", 2, 107);
	expect(rig, GROUP_BY_NAME, "y", 1, 30);
	expect(rig, GROUP_BY_NAME, "thread", 1, 0);
	expect(rig, GROUP_BY_USER, "5", 2, 130);
	expect(rig, GROUP_BY_USER, "0", 1, 0);
	expect(rig, GROUP_BY_UNIT, "a.service", 2, 130);
	expect_none(rig, GROUP_BY_UNIT, "");
	expect_none(rig, GROUP_BY_UNIT, "\\000");
	expect_none(rig, GROUP_BY_USER, "05");
	expect_members(rig, GROUP_BY_NAME, "x", "10 12 ");
	expect_members(rig, GROUP_BY_USER, "5", "10 11 ");
	expect_members(rig, GROUP_BY_UNIT, "a.service", "10 11 ");
	expect_members(rig, GROUP_BY_UNIT, "b.service", "");
	expect_members(rig, GROUP_BY_USER, "nobody", "");
}

static void what_changes_shows_with_the_tick(void **state)
{
	struct rig *rig = *state;
	uint64_t a = put_cgroup(rig, 1, 0, "/a"), b = put_cgroup(rig, 1, 1, "/b");

	put(rig, 10, "x", 5, a, 100);
	tick(rig);
	expect(rig, GROUP_BY_UNIT, "a", 1, 100);
	put(rig, 10, "z", 5, b, 50);
	tick(rig);
	expect(rig, GROUP_BY_UNIT, "b", 1, 50);
	expect(rig, GROUP_BY_NAME, "z", 1, 50);
	expect_none(rig, GROUP_BY_UNIT, "a");
	expect_none(rig, GROUP_BY_NAME, "x");
	board_clear_process(rig->board, 10);
	tick(rig);
	expect_none(rig, GROUP_BY_NAME, "z");
	expect_none(rig, GROUP_BY_USER, "5");
}

/* Between two ticks events make a new pass, though not each one where passes cost much. */
static void births_show_between_ticks(void **state)
{
	struct rig *rig = *state;
	struct group group;

	put(rig, 10, "x", 5, 0, 100);
	tick(rig);
	expect(rig, GROUP_BY_NAME, "x", 1, 100);
	put(rig, 11, "x", 5, 0, 100);
	board_push_event(rig->board, (struct board_event) { BOARD_BIRTH, 11, 0 });
	do
		assert_int_equal(get(rig, GROUP_BY_NAME, "x", &group), 0);
	while (group.count == 1);
	assert_int_equal(group.count, 2);
}

static void a_slot_used_again_is_another_unit(void **state)
{
	struct rig *rig = *state;
	uint64_t a = put_cgroup(rig, 1, 3, "/a");

	put(rig, 10, "x", 5, a, 100);
	tick(rig);
	expect(rig, GROUP_BY_UNIT, "a", 1, 100);
	/* The record of 10 is older than the slot: in no unit, rather than in a wrong one. */
	put(rig, 11, "x", 5, put_cgroup(rig, 2, 3, "/b"), 1);
	tick(rig);
	expect(rig, GROUP_BY_UNIT, "b", 1, 1);
	expect_none(rig, GROUP_BY_UNIT, "a");
	expect_members(rig, GROUP_BY_UNIT, "b", "11 ");
}

static void a_unit_knows_its_cgroup_if_it_is_one(void **state)
{
	struct rig *rig = *state;
	uint64_t a = put_cgroup(rig, 1, 0, "/m/a.service"), b = put_cgroup(rig, 1, 1, "/n/a.service");
	struct group group;

	put(rig, 10, "x", 5, a, 1);
	put(rig, 11, "x", 5, a, 1);
	tick(rig);
	assert_int_equal(get(rig, GROUP_BY_UNIT, "a.service", &group), 0);
	assert_int_equal(group.n_cgroups, 1);
	assert_true(group.cgroup == a);
	put(rig, 12, "x", 5, b, 1);
	tick(rig);
	assert_int_equal(get(rig, GROUP_BY_UNIT, "a.service", &group), 0);
	assert_int_equal(group.n_cgroups, 2);
	assert_int_equal(group.count, 3);
}

static void pss_is_of_those_measured(void **state)
{
	struct rig *rig = *state;
	struct board_process process = { .pid = 20, .comm = "x", .state = 'S' };
	struct group group;

	put(rig, 10, "x", 5, 0, 100);
	process_values_set(&process.values, PROCESS_PSS, 70);
	board_write_process(rig->board, &process);
	tick(rig);
	assert_int_equal(get(rig, GROUP_BY_NAME, "x", &group), 0);
	assert_int_equal(group.count, 2);
	assert_int_equal(group.pss_last, 70);
	assert_int_equal(group.pss_count, 1);
}

enum { DIR_ID = 77, MANY = 3000 };

static void listings_stay_in_place_while_groups_come_and_go(void **state)
{
	struct rig *rig = *state;
	bool seen[MANY] = { false };
	char comm[BOARD_COMM];
	uint32_t name;
	uint64_t key = 0;
	unsigned n = 0;

	for (uint32_t i = 0; i < MANY; i++) {
		snprintf(comm, sizeof(comm), "c%u", i);
		put(rig, i + 1, comm, i, put_cgroup(rig, 1, i, comm), 1);
	}
	tick(rig);
	while (groups_next(rig->groups, GROUP_BY_NAME, DIR_ID, &key, &name)) {
		struct span text = names_get(rig->names, name, NULL);
		unsigned index = (unsigned)strtoul(text.p + 1, NULL, 10);
		assert_true(index < MANY && !seen[index]);
		seen[index] = true;
		n++;
		/* Every third of those to come goes; that who was listed stays listed once. */
		if (n % 1000 == 0) {
			for (uint32_t i = 0; i < MANY; i += 3) {
				if (!seen[i])
					board_clear_process(rig->board, i + 1);
			}
			tick(rig);
		}
	}
	for (unsigned i = 0; i < MANY; i++)
		assert_true(seen[i] || i % 3 == 0);
	for (uint32_t i = 1; i < MANY; i += 3) {
		snprintf(comm, sizeof(comm), "%u", i);
		expect(rig, GROUP_BY_USER, comm, 1, 1);
	}
	expect(rig, GROUP_BY_UNIT, "c1", 1, 1);
}

static void hostile_names_are_found_by_what_is_listed(void **state)
{
	static const char *const comms[] = { "", ".", "..", "a/b", "a\nb", "\\", "\xff\x01", "~" };
	struct rig *rig = *state;
	uint32_t name;
	uint64_t key = 0;
	unsigned n = 0;

	for (uint32_t i = 0; i < sizeof(comms) / sizeof(*comms); i++)
		put(rig, 10 + i, comms[i], 5, 0, 1);
	tick(rig);
	for (; groups_next(rig->groups, GROUP_BY_NAME, DIR_ID, &key, &name); n++) {
		struct span text = names_get(rig->names, name, NULL);
		struct group group;
		assert_int_equal(groups_get(rig->groups, GROUP_BY_NAME, text, &group), 0);
		assert_int_equal(group.count, 1);
	}
	assert_int_equal(n, sizeof(comms) / sizeof(*comms));
	expect_none(rig, GROUP_BY_NAME, "a/b");
	expect(rig, GROUP_BY_NAME, "a\\057b", 1, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_process_is_in_a_group_of_each_kind),
		TEST(what_changes_shows_with_the_tick),
		TEST(births_show_between_ticks),
		TEST(a_slot_used_again_is_another_unit),
		TEST(a_unit_knows_its_cgroup_if_it_is_one),
		TEST(pss_is_of_those_measured),
		TEST(listings_stay_in_place_while_groups_come_and_go),
		TEST(hostile_names_are_found_by_what_is_listed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
