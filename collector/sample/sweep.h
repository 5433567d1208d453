/* SPDX-License-Identifier: MIT */
/*
 * The two sweeps, and what they share. Both bring the table and the board to the same state: by files asks
 * the statm of each process, which every kernel can answer; by tasks is told of all by one iterator of the
 * kernel, and asks the files of those alone that ran or changed.
 */
#pragma once

#include "collector/sample/sampler.h"
#include "schema/base/err.h"

/* Looks at each process that has memory; births and deaths of others take a listing. */
void sweep_files(struct sampler *sampler);

/* Everything: births and deaths as well. 0, or -errno where the iterator failed: sweep by files then. */
int sweep_tasks(struct sampler *sampler);

/* --- Shared --- */

/* sampler_look, with what follows where it is gone or fails. */
void sweep_look(
	struct sampler *sampler, struct process *process, unsigned what, const struct pid_stat *given);

/*
 * A process that no read finds. Where the kernel reports ends, its report may be a moment behind and says how
 * it ended: it has until the next tick.
 */
void sweep_note_ended(struct sampler *sampler, struct process *process);
void sweep_note_gone(struct sampler *sampler, uint32_t pid);

/* Takes those noted off the table, and meets who has their pids now. */
void sweep_bury_gone(struct sampler *sampler);

/* Reads the cgroup of those that may have been moved. */
void sweep_place(struct sampler *sampler);

/*
 * How many processes, from table.cursor on, are to have their turn now so that a whole round takes round_s,
 * whatever the interval between ticks. 0 while time gathers until it is worth one.
 */
size_t sweep_turns_due(struct sampler *sampler, int64_t now_ns, unsigned round_s);
struct process *sweep_next_turn(struct sampler *sampler);
