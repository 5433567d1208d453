/* SPDX-License-Identifier: MIT */
#include "collector/sample/tasks_kind.h"

#ifdef MEMFS_BPF

#include <bpf/libbpf.h>
#include <malloc.h>

static int say_nothing(enum libbpf_print_level level, const char *format, va_list args)
{
	return 0;
}

int tasks_refused(struct err *err)
{
	int code = errno ? errno : EINVAL;

	return err_set(err, code,
		code == EPERM || code == EACCES ? "the kernel lets this process load no program (%s)"
						: "the kernel does not take the program (%s)",
		err_name(code));
}

int tasks_open(enum tasks_way way, struct tasks **ret_tasks, struct err *err)
{
	/* It would write to standard error what the caller tells in one line. */
	libbpf_print_fn_t printer = libbpf_set_print(say_nothing);
	int r = (way == TASKS_WALK ? &tasks_walk : &tasks_iterator)->open(ret_tasks, err);

	libbpf_set_print(printer);
	malloc_trim(0); /* the kernel's types took megabytes */
	return r;
}

void tasks_free(struct tasks *tasks)
{
	if (tasks)
		tasks->kind->free(tasks);
}

bool tasks_tell_all(const struct tasks *tasks)
{
	return tasks->kind->tells_all;
}

int tasks_begin(struct tasks *tasks, bool anew)
{
	return tasks->kind->begin(tasks, anew);
}

int tasks_read(struct tasks *tasks, const char **ret_records, size_t *ret_len)
{
	return tasks->kind->read(tasks, ret_records, ret_len);
}

#else

int tasks_walk_open(uint32_t capacity, uint32_t room, struct tasks **ret_tasks, struct err *err)
{
	return err_set(err, EOPNOTSUPP, "this memfs was built without BPF");
}

int tasks_open(enum tasks_way way, struct tasks **ret_tasks, struct err *err)
{
	return tasks_walk_open(0, 0, ret_tasks, err);
}

void tasks_free(struct tasks *tasks)
{
}

bool tasks_tell_all(const struct tasks *tasks)
{
	return true;
}

int tasks_begin(struct tasks *tasks, bool anew)
{
	return -EOPNOTSUPP;
}

int tasks_read(struct tasks *tasks, const char **ret_records, size_t *ret_len)
{
	return -EOPNOTSUPP;
}

#endif
