/* SPDX-License-Identifier: MIT */
/* The ways of the kernel to tell of its tasks, for tasks*.c alone. */
#pragma once

#include "collector/sample/tasks.h"

/* What each kind of struct tasks begins with. */
struct tasks {
	const struct tasks_kind *kind;
};

/* As the functions of tasks.h that are named so. */
struct tasks_kind {
	bool tells_all;
	int (*open)(struct tasks **ret_tasks, struct err *err);
	void (*free)(struct tasks *tasks);
	int (*begin)(struct tasks *tasks, bool anew);
	int (*read)(struct tasks *tasks, const char **ret_records, size_t *ret_len);
};

extern const struct tasks_kind tasks_walk, tasks_iterator;

/* The walk with room for so many processes at first, and for so many bytes of records at a time. */
int tasks_walk_open(uint32_t capacity, uint32_t room, struct tasks **ret_tasks, struct err *err);

/* The reason why the kernel does not take a program, from errno. Returns -errno. */
int tasks_refused(struct err *err);
