/* SPDX-License-Identifier: MIT */
#include "collector/sample/tasks_kind.h"

#ifdef MEMFS_BPF

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "schema/base/cleanup.h"

/* What bpftool writes is not ours to mend. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wundef"
#pragma GCC diagnostic ignored "-Woverlength-strings"
#include "tasks_iterator.skel.h"
#pragma GCC diagnostic pop

enum { CHUNK = 32768 }; /* what the kernel gives at once where pages have 4 KiB */

struct iterator {
	struct tasks tasks;
	int link;          /* holds program and map */
	int pass;          /* -1 between two passes */
	size_t had, given; /* of the bytes below; what was given is moved out by the next read */
	char bytes[CHUNK + sizeof(struct task_process)] __attribute__((aligned(64)));
};

static int load(struct iterator *iterator, struct err *err)
{
	errno = 0;
	struct tasks_iterator_bpf *skeleton = tasks_iterator_bpf__open_and_load();
	if (!skeleton)
		return tasks_refused(err);
	int r = tasks_iterator_bpf__attach(skeleton);
	if (r == 0) {
		/* The descriptor of the link alone keeps all of it alive. */
		iterator->link = fcntl(bpf_link__fd(skeleton->links.tell_task), F_DUPFD_CLOEXEC, 3);
		r = iterator->link < 0 ? -errno : 0;
	}
	if (r < 0)
		r = err_set(err, -r, "the program cannot be attached (%s)", err_name(-r));
	tasks_iterator_bpf__destroy(skeleton);
	return r;
}

static void iterator_free(struct tasks *tasks)
{
	struct iterator *iterator = (struct iterator *)tasks;

	close_fd(&iterator->pass);
	close_fd(&iterator->link);
	free(iterator);
}

static int iterator_open(struct tasks **ret_tasks, struct err *err)
{
	struct iterator *iterator = aligned_alloc(_Alignof(struct iterator), sizeof(*iterator));
	if (!iterator)
		return err_set(err, ENOMEM, "no memory");
	iterator->tasks.kind = &tasks_iterator;
	iterator->link = iterator->pass = -1;
	iterator->had = iterator->given = 0;
	int r = load(iterator, err);
	if (r < 0)
		iterator_free(&iterator->tasks);
	else
		*ret_tasks = &iterator->tasks;
	return r;
}

static int iterator_begin(struct tasks *tasks, bool anew)
{
	struct iterator *iterator = (struct iterator *)tasks;

	close_fd(&iterator->pass);
	iterator->had = iterator->given = 0;
	iterator->pass = bpf_iter_create(iterator->link);
	return iterator->pass < 0 ? -errno : 0;
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

static int iterator_read(struct tasks *tasks, const char **ret_records, size_t *ret_len)
{
	struct iterator *iterator = (struct iterator *)tasks;

	do {
		/* A record is cut where the kernel had more at once than fits in here. */
		memmove(iterator->bytes, iterator->bytes + iterator->given, iterator->had - iterator->given);
		iterator->had -= iterator->given;
		iterator->given = 0;
		ssize_t n = read(iterator->pass, iterator->bytes + iterator->had,
			sizeof(iterator->bytes) - iterator->had);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n < 0)
			return -errno;
		if (n == 0 && iterator->had)
			return -EPROTO;
		if (n == 0) {
			close_fd(&iterator->pass);
			break;
		}
		iterator->had += (size_t)n;
		ssize_t given = whole(iterator->bytes, iterator->had);
		if (given < 0)
			return (int)given;
		iterator->given = (size_t)given;
	} while (iterator->given == 0);
	*ret_records = iterator->bytes;
	*ret_len = iterator->given;
	return 0;
}

const struct tasks_kind tasks_iterator = {
	.tells_all = true,
	.open = iterator_open,
	.free = iterator_free,
	.begin = iterator_begin,
	.read = iterator_read,
};

#endif
