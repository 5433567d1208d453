/* SPDX-License-Identifier: MIT */
/* /proc/PID/smaps_rollup (fs/proc/task_mmu.c): a header line, then `Key:  N kB`. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "schema/metrics.h"

/*
 * Sets PSS, USS (Private_Clean + Private_Dirty + Private_Hugetlb) and DIRTY (Private_Dirty + Shared_Dirty),
 * bytes. False where no Pss line is there (a process without memory). Pure; survives any bytes.
 */
bool pid_smaps_rollup_parse(struct process_values *values, const char *text, size_t len);
