/* SPDX-License-Identifier: MIT */
/* The cgroups on the board: one each, from its first process to its last, over the end of a collector too. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/sample/cgroups.h"
#include "schema/board_layout.h"

struct rig {
	int fd;
	struct board *board;
	struct cgroups cgroups;
};

static int set_up(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	assert_non_null(rig);
	rig->fd = board_create();
	assert_true(rig->fd >= 0);
	assert_int_equal(board_map(rig->fd, true, &rig->board), 0);
	assert_int_equal(cgroups_init(&rig->cgroups, rig->board), 0);
	*state = rig;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;
	cgroups_deinit(&rig->cgroups);
	board_unmap(rig->board);
	close(rig->fd);
	free(rig);
	return 0;
}

static uint64_t enter(struct rig *rig, const char *path)
{
	const struct span span = { path, strlen(path) };
	const struct pid_cgroup cgroup = { span, cgroup_unit(span), CGROUP_UNIFIED };
	return cgroups_enter(&rig->cgroups, &cgroup);
}

static void expect_shown(const struct rig *rig, uint64_t id, const char *path)
{
	struct board_cgroup cgroup;
	assert_int_equal(board_read_cgroup(rig->board, id, &cgroup), BOARD_FOUND);
	assert_string_equal(cgroup.path, path);
	assert_int_equal(cgroup.len, strlen(path));
	assert_int_equal(cgroup.hierarchies, CGROUP_UNIFIED);
}

static void expect_absent(const struct rig *rig, uint64_t id)
{
	struct board_cgroup cgroup;
	assert_int_equal(board_read_cgroup(rig->board, id, &cgroup), BOARD_ABSENT);
}

static void each_is_there_once_as_long_as_it_is_held(void **state)
{
	struct rig *rig = *state;
	uint64_t a = enter(rig, "/a.service"), b = enter(rig, "/b.service");

	assert_true(a && b && a != b);
	assert_int_equal(enter(rig, "/a.service"), a);
	expect_shown(rig, a, "/a.service");
	expect_shown(rig, b, "/b.service");
	cgroups_leave(&rig->cgroups, a);
	expect_shown(rig, a, "/a.service");
	cgroups_leave(&rig->cgroups, a);
	expect_absent(rig, a);
	expect_shown(rig, b, "/b.service");
	expect_absent(rig, 0);
	assert_int_equal(enter(rig, ""), 0);
}

static void an_id_is_never_used_again(void **state)
{
	struct rig *rig = *state;
	uint64_t last = 0;

	for (unsigned i = 0; i < 1000; i++) {
		char path[32];
		snprintf(path, sizeof(path), "/%u.scope", i);
		uint64_t id = enter(rig, path);
		assert_true(id > last);
		expect_shown(rig, id, path);
		cgroups_leave(&rig->cgroups, id);
		expect_absent(rig, id);
		last = id;
	}
	assert_int_equal(board_cgroup_slots(rig->board), 1);
}

static void what_was_left_twice_is_another_by_then(void **state)
{
	struct rig *rig = *state;
	uint64_t a = enter(rig, "/a"), b;

	cgroups_leave(&rig->cgroups, a);
	b = enter(rig, "/b");
	cgroups_leave(&rig->cgroups, a);
	expect_shown(rig, b, "/b");
}

static void a_full_board_takes_no_more(void **state)
{
	struct rig *rig = *state;
	char path[32];

	for (unsigned i = 0; i < BOARD_CGROUPS; i++) {
		snprintf(path, sizeof(path), "/%u", i);
		assert_true(enter(rig, path));
	}
	assert_int_equal(enter(rig, "/more"), 0);
	assert_true(enter(rig, "/77"));
	uint64_t id = enter(rig, "/78");
	cgroups_leave(&rig->cgroups, id);
	cgroups_leave(&rig->cgroups, id);
	assert_true(enter(rig, "/more"));
}

static void a_path_too_long_for_the_board_keeps_its_unit(void **state)
{
	struct rig *rig = *state;
	char path[2 * BOARD_CGROUP_PATH];
	struct board_cgroup cgroup;

	memset(path, 'x', sizeof(path));
	for (size_t i = 0; i < sizeof(path); i += 200)
		path[i] = '/';
	strcpy(path + sizeof(path) - 11, "/y.service");
	uint64_t id = enter(rig, path);
	assert_int_equal(board_read_cgroup(rig->board, id, &cgroup), BOARD_FOUND);
	assert_string_equal(cgroup.path, "y.service");
	assert_int_equal(cgroup.hierarchies, 0);
}

/* As when the collector ends: what it knew is gone, the board stays. */
static void restart(struct rig *rig)
{
	cgroups_deinit(&rig->cgroups);
	assert_int_equal(cgroups_init(&rig->cgroups, rig->board), 0);
}

static void a_successor_goes_on(void **state)
{
	struct rig *rig = *state;
	uint64_t a = enter(rig, "/a"), b = enter(rig, "/b"), gone = enter(rig, "/gone");

	cgroups_leave(&rig->cgroups, gone);
	restart(rig);
	expect_shown(rig, a, "/a");
	assert_int_equal(cgroups_hold(&rig->cgroups, a), a);
	assert_int_equal(cgroups_hold(&rig->cgroups, gone), 0);
	assert_int_equal(cgroups_hold(&rig->cgroups, 0), 0);
	cgroups_settle(&rig->cgroups);
	expect_shown(rig, a, "/a");
	expect_absent(rig, b);
	assert_true(enter(rig, "/c") > gone);
	assert_int_equal(enter(rig, "/a"), a);
}

static void a_slot_that_was_being_written_is_free(void **state)
{
	struct rig *rig = *state;
	uint64_t a = enter(rig, "/a"), b = enter(rig, "/b");

	board_write_begin(&rig->board->memory->cgroup[b % BOARD_CGROUPS].number);
	restart(rig);
	expect_shown(rig, a, "/a");
	assert_int_equal(cgroups_hold(&rig->cgroups, b), 0);
	uint64_t c = enter(rig, "/c");
	assert_int_equal(c % BOARD_CGROUPS, b % BOARD_CGROUPS);
	expect_shown(rig, c, "/c");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_is_there_once_as_long_as_it_is_held),
		TEST(an_id_is_never_used_again),
		TEST(what_was_left_twice_is_another_by_then),
		TEST(a_full_board_takes_no_more),
		TEST(a_path_too_long_for_the_board_keeps_its_unit),
		TEST(a_successor_goes_on),
		TEST(a_slot_that_was_being_written_is_free),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
