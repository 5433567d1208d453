/* SPDX-License-Identifier: MIT */
/* What passes of the walk tell, and in how small a room. Where the kernel takes no such program, which is
 * said, there is nothing to see. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "collector/sample/tasks_kind.h"
#include "schema/proc/root.h"
#include "tests/unit/child.h"

enum { CHILDREN = 40, ENOUGH = 4096, RECORDS = 30, PASSES_MAX = 50 };

static struct tasks *walk(uint32_t capacity, uint32_t room)
{
	struct tasks *tasks = NULL;
	struct err err = { 0 };

	if (tasks_walk_open(capacity, room, &tasks, &err) < 0) {
		print_message("no walk here: %s\n", err.reason);
		skip();
	}
	return tasks;
}

/* How often a pid is told of in a pass, in records of that kind; of all records too. */
static unsigned count(struct tasks *tasks, bool anew, uint32_t kind, uint32_t tgid, unsigned *ret_all)
{
	const char *records;
	size_t len;
	unsigned n = 0;

	*ret_all = 0;
	assert_int_equal(tasks_begin(tasks, anew), 0);
	do {
		assert_int_equal(tasks_read(tasks, &records, &len), 0);
		for (size_t at = 0; at < len; (*ret_all)++) {
			const struct task_thread *record = (const void *)(records + at);
			n += record->kind == kind && record->tgid == tgid;
			assert_true(task_record_size(record) > 0);
			at += task_record_size(record);
		}
	} while (len);
	return n;
}

static size_t count_processes(void)
{
	struct proc_root root = PROC_ROOT_INIT;
	struct proc_pids pids = { 0 };

	assert_int_equal(proc_root_init(&root, "/"), 0);
	assert_int_equal(proc_list_pids(&root, &pids), 0);
	size_t n = pids.n;
	proc_pids_deinit(&pids);
	proc_root_deinit(&root);
	return n;
}

static void tells_of_births_changes_and_ends_alone(void **state)
{
	struct tasks *tasks = walk(ENOUGH, TASK_WALK_RECORDS);
	unsigned all, told = 1;

	assert_false(tasks_tell_all(tasks));
	assert_int_equal(count(tasks, true, TASK_RECORD_PROCESS, (uint32_t)getpid(), &all), 1);
	assert_true(all > 1);
	const struct child child = child_start();
	uint32_t pid = (uint32_t)child.pid;
	assert_int_equal(count(tasks, false, TASK_RECORD_PROCESS, pid, &all), 1);
	/* Once it sleeps there is nothing to tell. */
	for (int i = 0; i < PASSES_MAX && told; i++)
		told = count(tasks, false, TASK_RECORD_PROCESS, pid, &all);
	assert_int_equal(told, 0);
	child_do(&child, 'g');
	assert_int_equal(count(tasks, false, TASK_RECORD_PROCESS, pid, &all), 1);
	assert_int_equal(count(tasks, true, TASK_RECORD_PROCESS, pid, &all), 1);
	child_do(&child, 't');
	assert_int_equal(count(tasks, false, TASK_RECORD_THREAD, pid, &all), 1);
	child_end(&child);
	assert_int_equal(count(tasks, false, TASK_RECORD_GONE, pid, &all), 1);
	assert_int_equal(count(tasks, false, TASK_RECORD_GONE, pid, &all), 0);
	tasks_free(tasks);
}

/* With room for few records at a time, and for four processes at first. */
static void room_that_is_too_small_loses_nothing(void **state)
{
	struct tasks *tasks = walk(4, RECORDS * sizeof(struct task_process));
	struct child child[CHILDREN];
	unsigned all;

	/* Who changes between two of the many walks of a pass is told of again. */
	size_t processes = count_processes();
	assert_true(count(tasks, true, TASK_RECORD_PROCESS, (uint32_t)getpid(), &all) > 0);
	assert_true(all > processes / 2);
	for (int i = 0; i < CHILDREN; i++)
		child[i] = child_start();
	assert_true(count(tasks, false, TASK_RECORD_PROCESS, (uint32_t)child[0].pid, &all) > 0);
	assert_true(all >= CHILDREN);
	for (int i = 0; i < CHILDREN; i++)
		child_end(&child[i]);
	assert_int_equal(count(tasks, false, TASK_RECORD_GONE, (uint32_t)child[CHILDREN - 1].pid, &all), 1);
	assert_true(all >= CHILDREN);
	tasks_free(tasks);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_of_births_changes_and_ends_alone),
		cmocka_unit_test(room_that_is_too_small_loses_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
