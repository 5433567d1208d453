/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sys/wait.h>

#include "schema/base/clock.h"
#include "tests/unit/fs_world.h"
#include "tests/unit/scratch.h"

/* A view of a captured machine, and a board that the test writes. */
struct bench {
	struct view view;
	struct board *board; /* writable */
	int board_fd;
};

static void begin_at(struct bench *bench, const char *root)
{
	*bench = (struct bench) { 0 };
	assert_int_equal(proc_root_init(&bench->view.root, root), 0);
	bench->board_fd = board_create();
	assert_true(bench->board_fd >= 0);
	assert_int_equal(board_map(bench->board_fd, true, &bench->board), 0);
	bench->view.board = bench->board;
	pthread_mutex_init(&bench->view.pids_lock, NULL);
	pthread_mutex_init(&bench->view.store_lock, NULL);
}

static void begin(struct bench *bench)
{
	begin_at(bench, FIXTURES "/linux-6.18");
}

static void end(struct bench *bench)
{
	proc_pids_deinit(&bench->view.pids);
	proc_root_deinit(&bench->view.root);
	board_unmap(bench->board);
	close(bench->board_fd);
}

/* As a collector whose last tick was so long ago. */
static void tick(struct bench *bench, int64_t age_ns, uint32_t interval_ms)
{
	struct board_health health = {
		.generation = 1, .tick_ns = clock_monotonic_ns() - age_ns, .interval_ms = interval_ms
	};
	board_write_health(bench->board, &health);
}

static void the_board_tells_whether_the_collector_runs(void **state)
{
	struct bench bench;

	begin(&bench);
	assert_true(view_board_age_ns(&bench.view) == INT64_MAX);
	assert_false(view_collector_runs(&bench.view));
	tick(&bench, INT64_C(1500000000), 100);
	assert_true(view_board_age_ns(&bench.view) >= INT64_C(1500000000));
	assert_true(view_collector_runs(&bench.view));
	/* Three intervals and two seconds. */
	tick(&bench, INT64_C(2400000000), 100);
	assert_false(view_collector_runs(&bench.view));
	tick(&bench, INT64_C(4500000000), 1000);
	assert_true(view_collector_runs(&bench.view));
	tick(&bench, INT64_C(5100000000), 1000);
	assert_false(view_collector_runs(&bench.view));
	/* Never from the future. */
	tick(&bench, -INT64_C(60000000000), 1000);
	assert_int_equal(view_board_age_ns(&bench.view), 0);
	end(&bench);
}

static void a_process_is_that_process_or_none(void **state)
{
	struct bench bench;
	struct process process = PROCESS_INIT;
	uint32_t start = 77;

	begin(&bench);
	assert_int_equal(view_find_process(&bench.view, 11909, &start), 0);
	assert_int_equal(start, 215945);
	struct place place = { .pid = 11909, .start_ticks = start, .name = PLACE_NO_NAME };
	assert_int_equal(view_open_process(&bench.view, &place, &process), 0);
	assert_int_equal(process.stat.pid, 11909);
	assert_true(process.dir >= 0);
	assert_int_equal(process.numbers, process.dir);
	view_close_process(&process);
	assert_int_equal(process.dir, -1);
	view_close_process(&process);
	place.start_ticks++;
	assert_int_equal(view_open_process(&bench.view, &place, &process), -ESRCH);
	place.pid = 999;
	assert_int_equal(view_open_process(&bench.view, &place, &process), -ESRCH);
	assert_int_equal(process.dir, -1);
	start = 77;
	assert_int_equal(view_find_process(&bench.view, 999, &start), -ENOENT);
	assert_int_equal(start, 77);
	end(&bench);
}

/* A zombie leader's own numbers are zero while its threads live. */
static void numbers_of_a_dead_leader_are_a_living_threads(void **state)
{
	struct bench bench;
	struct process process = PROCESS_INIT;
	struct place place = { .pid = 11876, .name = PLACE_NO_NAME };

	begin(&bench);
	assert_int_equal(view_find_process(&bench.view, place.pid, &place.start_ticks), 0);
	assert_int_equal(view_open_process(&bench.view, &place, &process), 0);
	assert_int_equal(process.stat.state, 'Z');
	assert_int_not_equal(process.numbers, process.dir);
	char own[100], living[100];
	size_t own_len, living_len;
	assert_int_equal(proc_read_short(process.dir, "statm", own, sizeof(own), &own_len), 0);
	assert_int_equal(proc_read_short(process.numbers, "statm", living, sizeof(living), &living_len), 0);
	assert_int_equal(strncmp(own, "0 ", 2), 0);
	assert_int_not_equal(strncmp(living, "0 ", 2), 0);
	view_close_process(&process);
	end(&bench);
}

static void a_process_that_ended_is_gone_though_its_directory_is_open(void **state)
{
	struct bench bench;
	struct process process = PROCESS_INIT;
	struct place place = { .name = PLACE_NO_NAME };
	char text[100];
	size_t len;

	begin_at(&bench, "/");
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		for (;;)
			pause();
	}
	place.pid = (uint32_t)pid;
	assert_int_equal(view_find_process(&bench.view, place.pid, &place.start_ticks), 0);
	assert_int_equal(view_open_process(&bench.view, &place, &process), 0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	assert_int_equal(proc_read_short(process.dir, "statm", text, sizeof(text), &len), PROC_GONE);
	view_close_process(&process);
	assert_int_equal(view_open_process(&bench.view, &place, &process), -ESRCH);
	end(&bench);
}

static unsigned list(struct bench *bench, uint32_t *ret_pids, unsigned max)
{
	unsigned n = 0;

	for (uint32_t pid = 0; n < max && (pid = view_next_pid(&bench->view, pid)); n++)
		ret_pids[n] = pid;
	return n;
}

static void pids_are_procs_while_no_collector_runs(void **state)
{
	static const uint32_t wanted[] = { 2, 45, 11876, 11881, 11883, 11887, 11891, 11897, 11901, 11905,
		11909, 11910 };
	uint32_t pids[20];
	struct bench bench;

	begin(&bench);
	assert_int_equal(list(&bench, pids, 20), 12);
	assert_memory_equal(pids, wanted, sizeof(wanted));
	assert_int_equal(view_next_pid(&bench.view, 46), 11876);
	assert_int_equal(view_next_pid(&bench.view, 11910), 0);
	assert_int_equal(view_next_pid(&bench.view, UINT32_MAX), 0);
	end(&bench);
}

static void write_process(struct bench *bench, uint32_t pid, uint64_t start_ticks)
{
	struct board_process process = { .pid = pid, .start_ticks = start_ticks, .comm = "x" };
	board_write_process(bench->board, &process);
}

static void pids_are_the_boards_while_the_collector_runs(void **state)
{
	uint32_t pids[20];
	struct bench bench;

	begin(&bench);
	write_process(&bench, 7, 1);
	write_process(&bench, 4194303, 2);
	tick(&bench, 0, 1000);
	assert_int_equal(list(&bench, pids, 20), 2);
	assert_int_equal(pids[0], 7);
	assert_int_equal(pids[1], 4194303);
	/* Silent for long: what it says is no listing any more. */
	tick(&bench, INT64_C(60000000000), 1000);
	assert_int_equal(list(&bench, pids, 20), 12);
	end(&bench);
}

static void the_boards_record_is_of_that_process_alone(void **state)
{
	struct board_process process = { 0 };
	struct bench bench;

	begin(&bench);
	/* Of a start time the low half is known. */
	write_process(&bench, 7, UINT64_C(0x100000005));
	struct place place = { .pid = 7, .start_ticks = 5, .name = PLACE_NO_NAME };
	assert_true(view_board_process(&bench.view, &place, &process));
	assert_int_equal(process.pid, 7);
	place.start_ticks = 6;
	assert_false(view_board_process(&bench.view, &place, &process));
	place.pid = 8;
	assert_false(view_board_process(&bench.view, &place, &process));
	place.pid = UINT32_MAX;
	assert_false(view_board_process(&bench.view, &place, &process));
	end(&bench);
}

static void history_that_is_not_there_is_lent_as_nothing(void **state)
{
	struct scratch scratch;
	struct bench bench;

	begin(&bench);
	assert_int_equal(scratch_make(&scratch), 0);
	bench.view.state_dir = scratch.path;
	for (int i = 0; i < 3; i++) {
		struct store *store = view_borrow_store(&bench.view);
		assert_null(store);
		view_return_store(&bench.view, store);
	}
	/* The lock was given back. */
	assert_int_equal(pthread_mutex_trylock(&bench.view.store_lock), 0);
	pthread_mutex_unlock(&bench.view.store_lock);
	scratch_remove(&scratch);
	end(&bench);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_board_tells_whether_the_collector_runs),
		cmocka_unit_test(a_process_is_that_process_or_none),
		cmocka_unit_test(numbers_of_a_dead_leader_are_a_living_threads),
		cmocka_unit_test(a_process_that_ended_is_gone_though_its_directory_is_open),
		cmocka_unit_test(pids_are_procs_while_no_collector_runs),
		cmocka_unit_test(pids_are_the_boards_while_the_collector_runs),
		cmocka_unit_test(the_boards_record_is_of_that_process_alone),
		cmocka_unit_test(history_that_is_not_there_is_lent_as_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
