/* SPDX-License-Identifier: MIT */
/* What rows ask of the collector, as errno and reason. Waits: not for the main thread. */
#pragma once

#include "fs/view.h"
#include "schema/control.h"

/* pss, uss and dirty of a process, at most a second old. 0, -ESRCH, -ENODATA, -EACCES, -ECONNREFUSED,
 * -ETIMEDOUT. */
int ask_measure(struct view *view, const struct process *process, const struct caller *caller,
	struct control_measured *ret);

/* The same of the process that has the pid and started then, within timeout_ms. */
int ask_measure_within(struct view *view, uint32_t pid, uint64_t start_ticks, const struct caller *caller,
	int timeout_ms, struct control_measured *ret);

/*
 * Appends what a file of a process brings the caller: the collector reads it with the caller's rights. name
 * is one of those that the collector knows (collector/inquiry/pid_files.c). 0, -ESRCH, -ENODATA, -EACCES,
 * -EFBIG, -ECONNREFUSED, -ETIMEDOUT.
 */
int ask_file(struct view *view, const struct process *process, const char *name, const struct caller *caller,
	struct buf *out);

/*
 * Hands a write to the collector, which applies it whole or not at all. 0, or -errno with the reason: that of
 * the collector, or -ECONNREFUSED where none runs, -ETIMEDOUT where it is not known whether it was applied.
 */
int ask_write(struct view *view, enum control_op op, const struct caller *caller, const char *text,
	size_t len, const atomic_bool *cancelled, struct err *err);

/* Hands over what was written to a setting of a process. */
int ask_change(struct view *view, enum control_op op, const struct process *process,
	const struct caller *caller, const char *text, size_t len, const atomic_bool *cancelled,
	struct err *err);

/* Appends what an operation answers to the caller, with the payload. 0 or as ask_file. */
int ask_table(struct view *view, enum control_op op, struct span payload, const struct caller *caller,
	struct buf *out);

/* Has something done to a process, the same way. */
int ask_act(struct view *view, enum control_op op, const struct process *process, const struct caller *caller,
	const atomic_bool *cancelled, struct err *err);
