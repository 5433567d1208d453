/* SPDX-License-Identifier: MIT */
#include "collector/sample/unseen.h"

#include <stdlib.h>
#include <string.h>

_Static_assert((int)CONNECTOR_COMM == (int)BOARD_COMM, "a name is as long everywhere");

void unseen_deinit(struct unseen_table *table)
{
	free(table->place);
	table->place = NULL;
}

/* pids are given in order: the newest UNSEEN_PLACES have a place each. */
static struct unseen *find(const struct unseen_table *table, uint32_t pid)
{
	struct unseen *unseen = table->place ? &table->place[pid % UNSEEN_PLACES] : NULL;

	return unseen && unseen->pid == pid ? unseen : NULL;
}

void unseen_fork(
	struct unseen_table *table, const struct connector_event *event, const struct board_process *parent)
{
	if (!table->place)
		table->place = calloc(UNSEEN_PLACES, sizeof(*table->place));
	if (!table->place)
		return;
	struct unseen *unseen = &table->place[event->pid % UNSEEN_PLACES];
	*unseen = (struct unseen) { .pid = event->pid, .ppid = event->parent, .start_ns = event->time_ns };
	if (!parent)
		return;
	unseen->has_owner = unseen->has_comm = true;
	unseen->uid = parent->uid;
	unseen->gid = parent->gid;
	memcpy(unseen->comm, parent->comm, sizeof(unseen->comm));
}

void unseen_exec(struct unseen_table *table, uint32_t pid)
{
	struct unseen *unseen = find(table, pid);

	if (unseen)
		unseen->has_comm = false;
}

void unseen_changed(struct unseen_table *table, const struct connector_event *event)
{
	struct unseen *unseen = find(table, event->pid);

	if (!unseen)
		return;
	if (event->has_uid)
		unseen->uid = event->uid;
	else if (event->has_gid)
		unseen->gid = event->gid;
	if (event->has_uid || event->has_gid)
		return;
	unseen->has_comm = true;
	memcpy(unseen->comm, event->comm, sizeof(unseen->comm));
}

bool unseen_take(struct unseen_table *table, uint32_t pid, struct unseen *ret)
{
	struct unseen *unseen = find(table, pid);

	if (!unseen)
		return false;
	*ret = *unseen;
	unseen->pid = 0;
	return true;
}
