/* SPDX-License-Identifier: MIT */
/* Rows of fs/nodes/ over a process that the test writes down. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/stat.h>

#include "fs/nodes/nodes.h"
#include "fs/view.h"
#include "schema/base/clock.h"
#include "tests/unit/scratch.h"

enum { PID = 7, START = 4242, GROUPS = 5000, ROWS = 512 };

struct world {
	struct scratch scratch;
	struct tree tree;
	struct view view;
	struct board *board;
};

static void write_file(const struct world *world, const char *name, const char *text)
{
	char path[256];
	FILE *file;

	scratch_join(&world->scratch, name, path, sizeof(path));
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static void write_process(const struct world *world)
{
	CLEANUP_BUF struct buf status = BUF_INIT;

	write_file(world, "proc/7/stat",
		"7 (many) S 1 7 7 0 -1 4194560 5 0 0 0 1 1 0 0 20 0 1 0 4242 8192000 100 0 0 0\n");
	write_file(world, "proc/7/statm", "2000 100 50 10 0 200 0\n");
	buf_puts(&status, "Name:\tmany\nTgid:\t7\nUid:\t3\t3\t3\t3\nGid:\t4\t4\t4\t4\nGroups:\t");
	for (unsigned i = 0; i < GROUPS; i++)
		buf_printf(&status, "%u ", 100000 + i);
	buf_puts(&status, "\nVmExe:\t      40 kB\nThreads:\t1\n");
	buf_putc(&status, 0);
	assert_int_equal(buf_error(&status), 0);
	write_file(world, "proc/7/status", status.data);
}

static int setup(void **state)
{
	struct world *world = calloc(1, sizeof(*world));
	char path[256];

	assert_non_null(world);
	assert_int_equal(scratch_make(&world->scratch), 0);
	scratch_join(&world->scratch, "proc", path, sizeof(path));
	assert_int_equal(mkdir(path, 0755), 0);
	scratch_join(&world->scratch, "proc/7", path, sizeof(path));
	assert_int_equal(mkdir(path, 0755), 0);
	write_process(world);
	assert_int_equal(tree_init(&world->tree, &root_node), 0);
	assert_int_equal(proc_root_init(&world->view.root, world->scratch.path), 0);
	int fd = board_create();
	assert_true(fd >= 0);
	assert_int_equal(board_map(fd, true, &world->board), 0);
	close(fd);
	world->view.tree = &world->tree;
	world->view.board = world->board;
	strcpy(world->view.node_name, "here");
	pthread_mutex_init(&world->view.pids_lock, NULL);
	*state = world;
	return 0;
}

static int teardown(void **state)
{
	struct world *world = *state;

	pthread_mutex_destroy(&world->view.pids_lock);
	proc_pids_deinit(&world->view.pids);
	proc_root_deinit(&world->view.root);
	board_unmap(world->board);
	scratch_remove(&world->scratch);
	free(world);
	return 0;
}

static struct place node_dir(struct world *world)
{
	struct place place = { .name = PLACE_NO_NAME };

	assert_int_equal(tree_lookup(&world->tree, &world->view, &place, "nodes", &place), 0);
	assert_int_equal(tree_lookup(&world->tree, &world->view, &place, "here", &place), 0);
	return place;
}

static void assert_file(struct world *world, const char *name, const char *expected)
{
	static const struct caller nobody = { 65534, 65534, 0 };
	CLEANUP_BUF struct buf text = BUF_INIT;
	struct place place = node_dir(world);

	assert_int_equal(tree_lookup(&world->tree, &world->view, &place, "7", &place), 0);
	assert_int_equal(tree_lookup(&world->tree, &world->view, &place, name, &place), 0);
	assert_int_equal(tree_node(&world->tree, &place)->render(&world->view, &place, &nobody, &text), 0);
	buf_putc(&text, 0);
	assert_string_equal(text.data, expected);
}

static void thousands_of_groups_hide_no_number(void **state)
{
	struct world *world = *state;

	assert_file(world, "text", "40960\n");
	assert_file(world, "uid", "3\n");
	assert_file(world, "gid", "4\n");
}

static void put_on_board(struct world *world, uint64_t start_ticks, int64_t tick_ns)
{
	const struct board_process process = { .pid = PID, .state = 'S', .start_ticks = start_ticks };
	const struct board_health health = { .generation = 1, .tick_ns = tick_ns, .interval_ms = 1000 };

	board_write_process(world->board, &process);
	board_write_health(world->board, &health);
}

/* The entry of pid 7 in the listing of the node. */
static struct entry listed(struct world *world)
{
	struct place dir = node_dir(world);
	struct entry entry;
	uint64_t cookie = 0;

	for (unsigned i = 0; i < ROWS && tree_next(&world->tree, &world->view, &dir, &cookie, &entry); i++) {
		if (!strcmp(entry.name, "7"))
			return entry;
	}
	fail_msg("7 is not listed");
	return entry;
}

static void a_board_that_nobody_writes_names_no_process(void **state)
{
	struct world *world = *state;

	put_on_board(world, START - 1, clock_monotonic_ns() - INT64_C(60000000000));
	assert_int_equal(listed(world).place.start_ticks, START);
}

static void a_board_that_is_written_is_believed(void **state)
{
	struct world *world = *state;

	put_on_board(world, START + 1, clock_monotonic_ns());
	assert_int_equal(listed(world).place.start_ticks, START + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(thousands_of_groups_hide_no_number, setup, teardown),
		cmocka_unit_test_setup_teardown(a_board_that_nobody_writes_names_no_process, setup, teardown),
		cmocka_unit_test_setup_teardown(a_board_that_is_written_is_believed, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
