/* SPDX-License-Identifier: MIT */
/*
 * The numbers of a machine, from whichever kernel files have them: a row a file. With root.h the only code in
 * this folder that reads; what it reads is taken apart by the parsers beside it.
 */
#pragma once

#include "schema/metrics.h"
#include "schema/proc/root.h"

/* Bits of enum metric_source. */
#define SYSTEM_FILES_ALL UINT64_MAX

/* The sources that a metric is from; those it is derived from. */
uint64_t system_files_of(const struct metric *metric);

/*
 * Reads the files of these sources, one after the other. What a kernel does not have is absent. 0, or -errno
 * where one that every kernel has could not be read; values then has what could.
 */
int system_files_read(const struct proc_root *root, uint64_t sources, struct system_values *ret_values);
