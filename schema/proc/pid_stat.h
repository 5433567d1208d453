/* SPDX-License-Identifier: MIT */
/* /proc/PID/stat (fs/proc/array.c, do_task_stat): fields by blanks, the name in parentheses, which may hold
 * anything. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schema/metrics.h"

struct pid_stat {
	uint32_t pid;
	char comm[64]; /* the kernel's bytes, unescaped, NUL-terminated (user tasks 15; kernel threads up to
			  63) */
	uint32_t comm_len;
	char state;
	uint32_t ppid;
	uint32_t flags; /* PF_* */
	uint64_t minor_faults, major_faults;
	uint32_t threads;
	uint64_t start_ticks;
	uint64_t vsize_bytes;
	bool has_wait_status; /* of a zombie, where the reader may know it (ptrace access) */
	int wait_status;      /* as wait(2) gives it; the leader's, where other threads ended later */
};
enum { PID_STAT_KERNEL_THREAD = 0x00200000 }; /* PF_KTHREAD */

/* Whether a state is that of a task which ended and is still there. */
static inline bool pid_stat_ended(char state)
{
	return state == 'Z' || state == 'X' || state == 'x';
}

/* False where the text is not such a line (torn, empty): *ret is then untouched. Pure; survives any bytes. */
bool pid_stat_parse(struct pid_stat *ret, const char *text, size_t len);

/*
 * A number that is another for each program that a process runs, made of where its code and stack begin, which
 * the kernel chooses anew with each exec. 0 where the reader may not know (ptrace access), or the text is
 * torn. Without randomized addresses it may be the same again. Pure; survives any bytes.
 */
uint64_t pid_stat_image(const char *text, size_t len);

/* Sets the metrics whose source is PID_STAT. */
void pid_stat_values(struct process_values *values, const struct pid_stat *stat);
