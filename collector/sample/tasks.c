/* SPDX-License-Identifier: MIT */
#include "collector/sample/tasks.h"

#ifdef MEMFS_BPF

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "schema/base/cleanup.h"

/* What bpftool writes is not ours to mend. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wundef"
#pragma GCC diagnostic ignored "-Woverlength-strings"
#include "tasks.skel.h"
#pragma GCC diagnostic pop

enum { CHUNK = 32768 }; /* what the kernel gives at once where pages have 4 KiB */

struct tasks {
	int link;          /* holds program and map */
	int pass;          /* -1 between two passes */
	size_t had, given; /* of the bytes below; what was given is moved out by the next read */
	char bytes[CHUNK + sizeof(struct task_process)] __attribute__((aligned(64)));
};

static int say_nothing(enum libbpf_print_level level, const char *format, va_list args)
{
	return 0;
}

static int load(struct tasks *tasks, struct err *err)
{
	/* It would write to standard error what the caller tells in one line. */
	libbpf_print_fn_t printer = libbpf_set_print(say_nothing);
	int r = 0;

	errno = 0;
	struct tasks_bpf *skeleton = tasks_bpf__open_and_load();
	if (!skeleton) {
		int code = errno ? errno : EINVAL;
		r = err_set(err, code,
			code == EPERM || code == EACCES ? "the kernel lets this process load no program (%s)"
							: "the kernel does not take the program (%s)",
			err_name(code));
	} else {
		r = tasks_bpf__attach(skeleton);
		if (r == 0) {
			/* The descriptor of the link alone keeps all of it alive. */
			tasks->link = fcntl(bpf_link__fd(skeleton->links.tell_task), F_DUPFD_CLOEXEC, 3);
			r = tasks->link < 0 ? -errno : 0;
		}
		if (r < 0)
			r = err_set(err, -r, "the program cannot be attached (%s)", err_name(-r));
	}
	tasks_bpf__destroy(skeleton);
	libbpf_set_print(printer);
	malloc_trim(0); /* the kernel's types took megabytes */
	return r;
}

int tasks_open(struct tasks **ret_tasks, struct err *err)
{
	struct tasks *tasks = aligned_alloc(_Alignof(struct tasks), sizeof(*tasks));
	if (!tasks)
		return err_set(err, ENOMEM, "no memory");
	tasks->link = tasks->pass = -1;
	tasks->had = tasks->given = 0;
	int r = load(tasks, err);
	if (r < 0)
		tasks_free(tasks);
	else
		*ret_tasks = tasks;
	return r;
}

void tasks_free(struct tasks *tasks)
{
	if (!tasks)
		return;
	close_fd(&tasks->pass);
	close_fd(&tasks->link);
	free(tasks);
}

int tasks_begin(struct tasks *tasks)
{
	close_fd(&tasks->pass);
	tasks->had = tasks->given = 0;
	tasks->pass = bpf_iter_create(tasks->link);
	return tasks->pass < 0 ? -errno : 0;
}

/* How many of the first n bytes are whole records; -EPROTO. */
static ssize_t whole(const char *bytes, size_t n)
{
	size_t at = 0;
	while (n - at >= sizeof(struct task_thread)) {
		size_t size = task_record_size((const struct task_thread *)(const void *)(bytes + at));
		if (size == 0)
			return -EPROTO;
		if (size > n - at)
			break;
		at += size;
	}
	return (ssize_t)at;
}

int tasks_read(struct tasks *tasks, const char **ret_records, size_t *ret_len)
{
	do {
		/* A record is cut where the kernel had more at once than fits in here. */
		memmove(tasks->bytes, tasks->bytes + tasks->given, tasks->had - tasks->given);
		tasks->had -= tasks->given;
		tasks->given = 0;
		ssize_t n = read(tasks->pass, tasks->bytes + tasks->had, sizeof(tasks->bytes) - tasks->had);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n < 0)
			return -errno;
		if (n == 0 && tasks->had)
			return -EPROTO;
		if (n == 0) {
			close_fd(&tasks->pass);
			break;
		}
		tasks->had += (size_t)n;
		ssize_t given = whole(tasks->bytes, tasks->had);
		if (given < 0)
			return (int)given;
		tasks->given = (size_t)given;
	} while (tasks->given == 0);
	*ret_records = tasks->bytes;
	*ret_len = tasks->given;
	return 0;
}

#else

int tasks_open(struct tasks **ret_tasks, struct err *err)
{
	return err_set(err, EOPNOTSUPP, "this memfs was built without BPF");
}

void tasks_free(struct tasks *tasks)
{
}

int tasks_begin(struct tasks *tasks)
{
	return -EOPNOTSUPP;
}

int tasks_read(struct tasks *tasks, const char **ret_records, size_t *ret_len)
{
	return -EOPNOTSUPP;
}

#endif
