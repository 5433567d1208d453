/* SPDX-License-Identifier: MIT */
#include "collector/sample/pid_list.h"
#include "schema/base/array.h"

#include <stdlib.h>

bool pid_list_add(struct pid_list *list, uint32_t pid)
{
	uint32_t *place = array_push(&list->pid, &list->n, &list->cap);

	if (place)
		*place = pid;
	return place;
}

void pid_list_deinit(struct pid_list *list)
{
	free(list->pid);
	*list = (struct pid_list) { 0 };
}
