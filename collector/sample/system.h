/* SPDX-License-Identifier: MIT */
/* The node as a whole: meminfo and memory pressure, their rates, the time of boot. */
#pragma once

#include <stdint.h>

#include "collector/sample/sampler.h"

/* Reads, computes rates, writes the board. What cannot be read is absent. */
void sampler_sample_system(struct sampler *sampler);

/*
 * Epoch nanoseconds of the boot. Of this machine: the difference of the clocks, finer than btime; or what a
 * predecessor used, where the clock was hardly set since, so that start times do not wander. Of a captured
 * tree: its btime.
 */
int64_t system_boot_ns(const struct proc_root *root, uint64_t predecessor_ns);
