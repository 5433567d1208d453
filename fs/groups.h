/* SPDX-License-Identifier: MIT */
/*
 * Processes together: those of one name, of one user, of one unit. All sums are made in one pass over the
 * board, at most once a tick, whoever asks for which group; between ticks again where processes came or went,
 * but never for more than a tenth of the time. Thread-safe.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "schema/base/kv.h"
#include "schema/board.h"
#include "schema/proc/root.h"

struct groups;
struct names;

enum group_kind { GROUP_BY_NAME, GROUP_BY_USER, GROUP_BY_UNIT, N_GROUP_KINDS };

enum group_sum { GROUP_RSS, GROUP_VMS, GROUP_SHARED, GROUP_SWAP, N_GROUP_SUMS };
extern const enum process_metric group_metric[N_GROUP_SUMS];

struct group {
	uint64_t count;
	uint64_t sum[N_GROUP_SUMS]; /* bytes; of processes without memory of their own nothing */
	uint64_t pss_last;          /* bytes: what was measured last of each */
	uint64_t pss_count;         /* of how many that is */
	uint64_t cgroup;            /* of a unit, for board_read_cgroup */
	uint32_t n_cgroups;         /* that have the unit's name; cgroup is the first */
};

/* root, board and names stay the caller's. 0 or -ENOMEM. */
int groups_new(const struct proc_root *root, const struct board *board, struct names *names,
	struct groups **ret_groups);
void groups_free(struct groups *groups); /* takes NULL */

/* The group that a directory's name stands for. 0, -ENOENT where it has no member, -ENOMEM. */
int groups_get(struct groups *groups, enum group_kind kind, struct span name, struct group *ret);

/*
 * Walks the groups of a kind in the order of their names' numbers, given below the directory with node id
 * dir_id: start with *key 0. False at the end.
 */
bool groups_next(
	struct groups *groups, enum group_kind kind, uint64_t dir_id, uint64_t *key, uint32_t *ret_name);

/* The members of one group, by pid. */
struct group_members {
	const struct board *board;
	enum group_kind kind;
	struct span name; /* the caller's */
	uint32_t uid;
	bool none;
	uint32_t pid;    /* the last one */
	uint64_t cgroup; /* the last one looked at, and whether it is the unit's */
	bool cgroup_fits;
};
void groups_begin_members(
	struct groups *groups, enum group_kind kind, struct span name, struct group_members *ret);
bool groups_next_member(struct group_members *members, struct board_process *ret);
