/* SPDX-License-Identifier: MIT */
/* What processes cost: what they had of a processor, and what they hold of memory. */
#pragma once

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>

#include "schema/base/cleanup.h"

struct cost {
	double cpu_s;       /* of all threads that are or were */
	uint64_t pss_bytes; /* what is shared counts once */
	unsigned processes;
};

static inline double cost_cpu_s(pid_t pid)
{
	struct timespec had = { 0 };
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &had))
		return 0;
	return (double)had.tv_sec + (double)had.tv_nsec / 1e9;
}

static inline void cost_add_process(pid_t pid, struct cost *cost)
{
	char path[64], line[1024];
	uint64_t kb = 0;

	cost->cpu_s += cost_cpu_s(pid);
	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
	CLEANUP_FCLOSE FILE *rollup = fopen(path, "re");
	while (rollup && fgets(line, sizeof(line), rollup))
		if (sscanf(line, "Pss: %" SCNu64, &kb) == 1)
			cost->pss_bytes += kb * 1024;
	cost->processes++;
}

/* The process and all that it started. */
static inline void cost_add_tree(pid_t pid, struct cost *cost)
{
	char path[64];
	int child;

	cost_add_process(pid, cost);
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
	CLEANUP_FCLOSE FILE *children = fopen(path, "re");
	while (children && fscanf(children, "%d", &child) == 1)
		cost_add_tree(child, cost);
}

/* The pid of a process of the memfs that has this run directory: supervisor, serve or collector; 0: unknown.
 */
static inline pid_t cost_memfs_pid(const char *run_dir, const char *which)
{
	char path[64], line[256], name[32];
	int pid;

	snprintf(path, sizeof(path), "%s/state", run_dir);
	CLEANUP_FCLOSE FILE *state = fopen(path, "re");
	while (state && fgets(line, sizeof(line), state))
		if (sscanf(line, "%31s %d", name, &pid) == 2 && !strcmp(name, which))
			return pid;
	return 0;
}

/* Of all three. False where one is missing. */
static inline bool cost_of_memfs(const char *run_dir, struct cost *ret_cost)
{
	static const char *const which[] = { "supervisor", "serve", "collector" };
	struct cost cost = { 0 };

	for (size_t i = 0; i < sizeof(which) / sizeof(*which); i++) {
		pid_t pid = cost_memfs_pid(run_dir, which[i]);
		if (!pid)
			return false;
		cost_add_process(pid, &cost);
	}
	*ret_cost = cost;
	return true;
}
