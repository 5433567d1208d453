/* SPDX-License-Identifier: MIT */
#include "collector/sample/pid_list.h"

#include <stdlib.h>

bool pid_list_add(struct pid_list *list, uint32_t pid)
{
	if (list->n == list->cap) {
		size_t cap = list->cap ? list->cap * 2 : 256;
		uint32_t *grown = reallocarray(list->pid, cap, sizeof(*grown));
		if (!grown)
			return false;
		list->pid = grown;
		list->cap = cap;
	}
	list->pid[list->n++] = pid;
	return true;
}

void pid_list_deinit(struct pid_list *list)
{
	free(list->pid);
	*list = (struct pid_list) { 0 };
}
