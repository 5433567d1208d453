/* SPDX-License-Identifier: MIT */
/* A growing list of pids: scratch that a sweep keeps from one tick to the next. Starts as all zero. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pid_list {
	uint32_t *pid;
	size_t n, cap;
};

/* False without memory; the list is what it was then. */
bool pid_list_add(struct pid_list *list, uint32_t pid);
void pid_list_deinit(struct pid_list *list);
