/* SPDX-License-Identifier: MIT */
#include "collector/sample/tasks_kind.h"

#ifdef MEMFS_BPF

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "schema/base/cleanup.h"

/* What bpftool writes is not ours to mend. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wundef"
#pragma GCC diagnostic ignored "-Woverlength-strings"
#include "tasks_walk.skel.h"
#pragma GCC diagnostic pop

enum { CAPACITY_LEAST = 4096, RUNS_MOST = 4096 };

struct walk {
	struct tasks tasks;
	int program; /* holds its maps */
	struct task_walk *shared;
	unsigned runs; /* of this pass */
	bool ended;
};

static size_t shared_bytes(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	return (sizeof(struct task_walk) + page - 1) / page * page;
}

static void drop(struct walk *walk)
{
	close_fd(&walk->program);
	if (walk->shared)
		munmap(walk->shared, shared_bytes());
	walk->shared = NULL;
}

static int take(struct walk *walk, const struct tasks_walk_bpf *skeleton, uint32_t capacity, uint32_t room)
{
	walk->program = fcntl(bpf_program__fd(skeleton->progs.walk_tasks), F_DUPFD_CLOEXEC, 3);
	if (walk->program < 0)
		return -errno;
	void *shared = mmap(NULL, shared_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED,
		bpf_map__fd(skeleton->maps.walks), 0);
	if (shared == MAP_FAILED)
		return -errno;
	walk->shared = shared;
	walk->shared->capacity = capacity;
	walk->shared->room = room;
	return 0;
}

/* Loads the program with room for so many processes; it knows of none of them yet. */
static int load(struct walk *walk, uint32_t capacity, uint32_t room, struct err *err)
{
	int r;

	errno = 0;
	struct tasks_walk_bpf *skeleton = tasks_walk_bpf__open();
	if (!skeleton)
		return tasks_refused(err);
	r = bpf_map__set_max_entries(skeleton->maps.entries, capacity);
	if (!r)
		r = tasks_walk_bpf__load(skeleton);
	if (r) {
		errno = -r;
		r = tasks_refused(err);
	} else {
		r = take(walk, skeleton, capacity, room);
		if (r < 0)
			r = err_set(err, -r, "what the program tells cannot be mapped (%s)", err_name(-r));
	}
	tasks_walk_bpf__destroy(skeleton);
	return r;
}

/* Twice what there is, threads counted; a power of two. */
static uint32_t find_capacity(void)
{
	struct sysinfo info;
	uint32_t capacity = CAPACITY_LEAST;

	if (sysinfo(&info) != 0)
		return capacity;
	while (capacity < 2 * (uint32_t)info.procs && capacity < TASK_WALK_MOST)
		capacity *= 2;
	return capacity;
}

static void walk_free(struct tasks *tasks)
{
	struct walk *walk = (struct walk *)tasks;

	drop(walk);
	free(walk);
}

int tasks_walk_open(uint32_t capacity, uint32_t room, struct tasks **ret_tasks, struct err *err)
{
	struct walk *walk = calloc(1, sizeof(*walk));
	if (!walk)
		return err_set(err, ENOMEM, "no memory");
	walk->tasks.kind = &tasks_walk;
	walk->program = -1;
	int r = load(walk, capacity, room, err);
	if (r < 0)
		walk_free(&walk->tasks);
	else
		*ret_tasks = &walk->tasks;
	return r;
}

static int walk_open(struct tasks **ret_tasks, struct err *err)
{
	return tasks_walk_open(find_capacity(), TASK_WALK_RECORDS, ret_tasks, err);
}

static int walk_begin(struct tasks *tasks, bool anew)
{
	struct walk *walk = (struct walk *)tasks;

	walk->runs = 0;
	if (anew)
		walk->shared->n = 0;
	walk->ended = false;
	return 0;
}

/* The array is as long as it was made: a longer one has to learn of all processes anew. */
static int grow(struct walk *walk)
{
	uint32_t capacity = walk->shared->capacity, room = walk->shared->room;
	struct err err = { 0 };

	/* All are visited without a pause: more would keep a processor from other work for too long. */
	if (capacity >= TASK_WALK_MOST)
		return -E2BIG;
	drop(walk);
	return load(walk, 2 * capacity, room, &err);
}

static int walk_read(struct tasks *tasks, const char **ret_records, size_t *ret_len)
{
	struct walk *walk = (struct walk *)tasks;
	LIBBPF_OPTS(bpf_test_run_opts, options);
	int r;

	*ret_len = 0;
	while (!walk->ended && *ret_len == 0) {
		if (walk->runs++ == RUNS_MOST)
			return -EPROTO;
		r = bpf_prog_test_run_opts(walk->program, &options);
		if (r < 0)
			return r;
		if (options.retval || walk->shared->len > sizeof(walk->shared->records))
			return -EPROTO;
		if (walk->shared->full) {
			r = grow(walk);
			if (r < 0)
				return r;
			continue;
		}
		walk->ended = !walk->shared->more;
		if (!walk->ended && walk->shared->len == 0) /* no room for a single one */
			return -EPROTO;
		*ret_records = walk->shared->records;
		*ret_len = walk->shared->len;
	}
	return 0;
}

const struct tasks_kind tasks_walk = {
	.open = walk_open,
	.free = walk_free,
	.begin = walk_begin,
	.read = walk_read,
};

#endif
