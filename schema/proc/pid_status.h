/* SPDX-License-Identifier: MIT */
/* /proc/PID/status (fs/proc/array.c, proc_pid_status): `Key:<TAB>value` lines. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "schema/metrics.h"

struct pid_status {
	uint32_t tgid;
	uint32_t uid, gid; /* real */
	uint32_t threads;
	char state;
	struct process_values values; /* metrics whose source is PID_STATUS, in bytes */
};

/* Fills what the text has; fields that it lacks stay as they were. Pure; survives any bytes. */
void pid_status_parse(struct pid_status *status, const char *text, size_t len);
