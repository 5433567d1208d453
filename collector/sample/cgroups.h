/* SPDX-License-Identifier: MIT */
/*
 * The cgroups that processes are in: each once on the board, from the first process that is found in it to
 * the end of the last one. So a reader tells units apart by a number in the record of a process.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "schema/board.h"
#include "schema/proc/pid_cgroup.h"

enum { CGROUP_BUCKETS = 4096 }; /* a power of two */

struct cgroups {
	struct board *board;
	struct cgroup **by_slot; /* BOARD_CGROUPS of them; NULL where it is free */
	uint32_t n_slots;        /* ever used */
	uint32_t *free;          /* slots below n_slots, those to be used next at the end */
	uint32_t n_free;
	uint64_t serial; /* of the newest id: id = serial * BOARD_CGROUPS + slot */
	bool settled;
	struct cgroup *bucket[CGROUP_BUCKETS];
};

/* Takes over what a predecessor left on the board, held by nobody. 0 or -ENOMEM. */
int cgroups_init(struct cgroups *cgroups, struct board *board);
void cgroups_deinit(struct cgroups *cgroups); /* leaves the board as it is; takes what is all zero */

/*
 * The id of a cgroup, held once more, for a process found in it; 0 where it is in none, memory ran out, or
 * BOARD_CGROUPS are in use. Of a path too long for the board only the unit is kept, in no hierarchy.
 */
uint64_t cgroups_enter(struct cgroups *cgroups, const struct pid_cgroup *cgroup);

/* Holds one by its id, as a predecessor gave it; returns the id, or 0 where there is none such. */
uint64_t cgroups_hold(struct cgroups *cgroups, uint64_t id);

/* Gives up one holding; the last takes it off the board. 0 is nobody's. */
void cgroups_leave(struct cgroups *cgroups, uint64_t id);

/* Takes what a predecessor left and nobody holds off the board: once, after every process was looked at. */
void cgroups_settle(struct cgroups *cgroups);
