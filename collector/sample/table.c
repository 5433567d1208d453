/* SPDX-License-Identifier: MIT */
#include "collector/sample/table.h"

#include <stdlib.h>
#include <string.h>

#include "schema/base/array.h"
#include "schema/base/cleanup.h"

int process_table_init(struct process_table *table)
{
	*table = (struct process_table) { 0 };
	table->by_pid = calloc(BOARD_PIDS, sizeof(struct process *));
	return table->by_pid ? 0 : -ENOMEM;
}

static void process_free(struct process *process)
{
	if (!process)
		return;
	close_fd(&process->statm_fd);
	free(process->track);
	free(process->growth);
	free(process->ending);
	free(process->args);
	free(process);
}

void process_table_deinit(struct process_table *table)
{
	for (size_t i = 0; i < table->n; i++)
		process_free(table->live[i]);
	free(table->live);
	free(table->due_ns);
	free(table->by_pid);
	*table = (struct process_table) { 0 };
}

struct process *process_add(struct process_table *table, uint32_t pid)
{
	if (table->n == table->cap) {
		size_t cap = table->cap;
		if (!array_grow(&table->live, &cap, sizeof(*table->live)))
			return NULL;
		int64_t *due_ns = reallocarray(table->due_ns, cap, sizeof(*due_ns));
		if (!due_ns)
			return NULL;
		table->due_ns = due_ns;
		table->cap = cap;
	}
	struct process *process = aligned_alloc(_Alignof(struct process), sizeof(*process));
	if (!process)
		return NULL;
	memset(process, 0, sizeof(*process));
	process->pid = pid;
	process->statm_fd = -1;
	process->index = (uint32_t)table->n;
	table->due_ns[table->n] = 0;
	table->live[table->n++] = process;
	table->by_pid[pid] = process;
	return process;
}

static void move(struct process_table *table, size_t from, size_t to)
{
	table->live[to] = table->live[from];
	table->live[to]->index = (uint32_t)to;
	table->due_ns[to] = table->due_ns[from];
}

void process_remove(struct process_table *table, struct process *process)
{
	/* The hole moves behind the cursor first, so that what fills it from the end is still to come. */
	size_t hole = process->index;
	if (hole < table->cursor) {
		move(table, --table->cursor, hole);
		hole = table->cursor;
	}
	/* The last one fills it, if the hole is not the last place itself: who was there may have moved just
	 * now. */
	if (hole != --table->n)
		move(table, table->n, hole);
	table->by_pid[process->pid] = NULL;
	process_free(process);
}
