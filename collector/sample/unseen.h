/* SPDX-License-Identifier: MIT */
/*
 * Processes that were born and gone before any read of /proc found them: what the proc connector says of
 * them. Of bounded size; the oldest give way.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "collector/connector.h"
#include "schema/board.h"

enum { UNSEEN_PLACES = 4096 };

struct unseen {
	uint32_t pid; /* 0: a free place */
	uint32_t ppid;
	uint32_t uid, gid; /* real */
	bool has_owner;
	bool has_comm; /* not after an exec, of which the program's name is not told */
	char comm[BOARD_COMM];
	uint64_t start_ns; /* CLOCK_MONOTONIC */
};

/* Starts as all zero. */
struct unseen_table {
	struct unseen *place; /* NULL before the first */
};
void unseen_deinit(struct unseen_table *table);

/* A birth; from the parent, NULL where it is not known either, comes what a child has from it. */
void unseen_fork(
	struct unseen_table *table, const struct connector_event *event, const struct board_process *parent);
void unseen_exec(struct unseen_table *table, uint32_t pid);
void unseen_changed(struct unseen_table *table, const struct connector_event *event);

/* Its end, or its being found after all: forgets it. False where it is not there. */
bool unseen_take(struct unseen_table *table, uint32_t pid, struct unseen *ret);
