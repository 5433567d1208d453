/* SPDX-License-Identifier: MIT */
/* The table of processes: whatever is removed at whatever place of the round, each entry knows where it is.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "collector/sample/table.h"

enum { PIDS = 8 };

static void check(const struct process_table *table, unsigned wanted)
{
	unsigned found = 0;

	assert_true(table->cursor <= table->n);
	for (size_t i = 0; i < table->n; i++) {
		const struct process *process = table->live[i];
		assert_int_equal(process->index, i);
		assert_ptr_equal(process_find(table, process->pid), process);
		assert_false(found >> process->pid & 1);
		found |= 1U << process->pid;
	}
	assert_int_equal(found, wanted);
	for (uint32_t pid = 1; pid <= PIDS; pid++)
		assert_int_equal(!!process_find(table, pid), wanted >> pid & 1);
}

/* Every two removals, with the cursor at every place. */
static void removal_keeps_each_where_it_says(void **state)
{
	for (size_t cursor = 0; cursor <= PIDS; cursor++) {
		for (uint32_t first = 1; first <= PIDS; first++) {
			for (uint32_t second = 1; second <= PIDS; second++) {
				struct process_table table;
				unsigned wanted = 0;
				assert_int_equal(process_table_init(&table), 0);
				for (uint32_t pid = 1; pid <= PIDS; pid++) {
					assert_non_null(process_add(&table, pid));
					wanted |= 1U << pid;
				}
				table.cursor = cursor;
				process_remove(&table, process_find(&table, first));
				check(&table, wanted &= ~(1U << first));
				if (second != first) {
					process_remove(&table, process_find(&table, second));
					check(&table, wanted &= ~(1U << second));
				}
				process_table_deinit(&table);
			}
		}
	}
}

/* Who had no turn yet in this round still gets one. */
static void removal_takes_nobodys_turn(void **state)
{
	for (size_t cursor = 0; cursor <= PIDS; cursor++) {
		for (uint32_t gone = 1; gone <= PIDS; gone++) {
			struct process_table table;
			assert_int_equal(process_table_init(&table), 0);
			for (uint32_t pid = 1; pid <= PIDS; pid++)
				assert_non_null(process_add(&table, pid));
			table.cursor = cursor;
			process_remove(&table, process_find(&table, gone));
			for (uint32_t pid = (uint32_t)cursor + 1; pid <= PIDS; pid++) {
				if (pid != gone)
					assert_true(process_find(&table, pid)->index >= table.cursor);
			}
			process_table_deinit(&table);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(removal_keeps_each_where_it_says),
		cmocka_unit_test(removal_takes_nobodys_turn),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
