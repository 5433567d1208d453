/* SPDX-License-Identifier: MIT */
/*
 * The walk over the kernel's list of processes (open-coded iterator, Linux 6.12): no process is looked up by
 * number or referenced, and of those that did not change nothing leaves the kernel. Built by clang into a
 * skeleton for tasks_walk.c.
 *
 * What each process was at the last walk is an array in the order of the list. New processes are appended to
 * that list, and nobody changes places in it: so list and array are walked side by side, and what the array
 * has and the list has not any more ended meanwhile.
 *
 * Who did not run changed nothing by itself. What others change is asked of everyone: counters of memory,
 * parent, cgroups. That is a dozen cache lines a process, which is what a walk costs.
 */
#include "collector/sample/tasks_kernel.inc"

struct bpf_iter_task {
	__u64 opaque[3];
};
struct bpf_iter_num {
	__u64 opaque[1];
};
/* As in linux/bpf.h, whose types are not these: BPF_MAP_TYPE_ARRAY, BPF_F_MMAPABLE; and the kernel's
 * BPF_TASK_ITER_ALL_PROCS, _PROC_THREADS. */
enum { MAP_ARRAY = 2, MAP_MMAPABLE = 1 << 10, ALL_PROCESSES = 0, THREADS_OF_PROCESS = 2 };

extern void bpf_rcu_read_lock(void) __ksym;
extern void bpf_rcu_read_unlock(void) __ksym;
extern int bpf_iter_task_new(struct bpf_iter_task *it, struct task_struct *task, unsigned int flags) __ksym;
extern struct task_struct *bpf_iter_task_next(struct bpf_iter_task *it) __ksym;
extern void bpf_iter_task_destroy(struct bpf_iter_task *it) __ksym;
extern struct task_struct *bpf_task_acquire(struct task_struct *task) __ksym;
extern void bpf_task_release(struct task_struct *task) __ksym;
extern void *bpf_rdonly_cast(const void *object, unsigned int btf_type) __ksym;
extern int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end) __ksym;
extern int *bpf_iter_num_next(struct bpf_iter_num *it) __ksym;
extern void bpf_iter_num_destroy(struct bpf_iter_num *it) __ksym;

/* What a process was at the last walk: one cache line. */
struct entry {
	__u32 tgid;
	__u32 threads;
	__u64 runtime_ns; /* of all its threads */
	__u64 parent, cgroups;
	int64_t counter_pages[TASK_RECORD_COUNTERS];
};

struct {
	__uint(type, MAP_ARRAY);
	__uint(max_entries, 1); /* set before it is loaded */
	__type(key, __u32);
	__type(value, struct entry);
} entries SEC(".maps");

struct {
	__uint(type, MAP_ARRAY);
	__uint(map_flags, MAP_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct task_walk);
} walks SEC(".maps");

static struct entry *entry_at(__u32 at)
{
	return bpf_map_lookup_elem(&entries, &at);
}

/* Room for a record of so many bytes; NULL where it has to wait for the next walk. */
static void *room(struct task_walk *walk, __u32 bytes)
{
	__u32 at = walk->len;

	/* The second is what the verifier understands. */
	if (at + bytes > walk->room || at > sizeof(walk->records) - bytes) {
		walk->more = 1;
		return NULL;
	}
	walk->len = at + bytes;
	return walk->records + at;
}

/* The array stays dense: what is kept moves over what went. */
static void keep(struct task_walk *walk, const struct entry *entry)
{
	struct entry *place = entry_at(walk->n_kept);

	walk->n_kept++;
	if (place && place != entry)
		*place = *entry;
}

static void tell_gone(struct task_walk *walk, const struct entry *entry)
{
	struct task_thread *gone = room(walk, sizeof(*gone));

	if (!gone) {
		keep(walk, entry);
		return;
	}
	*gone = (struct task_thread) { .kind = TASK_RECORD_GONE, .tgid = entry->tgid };
}

/* The next entry if it is of this process, after those that are of none any more. */
static struct entry *find_entry(struct task_walk *walk, __u32 tgid)
{
	struct bpf_iter_num it;
	struct entry *entry = entry_at(walk->at);

	if (walk->at < walk->n && entry && entry->tgid == tgid) {
		walk->at++;
		return entry;
	}
	entry = NULL;
	bpf_iter_num_new(&it, 0, TASK_WALK_MOST);
	while (bpf_iter_num_next(&it)) {
		if (walk->at >= walk->n)
			break;
		entry = entry_at(walk->at);
		walk->at++;
		if (!entry || entry->tgid == tgid)
			break;
		tell_gone(walk, entry);
		entry = NULL;
	}
	bpf_iter_num_destroy(&it);
	return entry;
}

/* The threads beside the leader, in one record. */
static void sum_others(struct task_thread *others, struct task_struct *process)
{
	struct bpf_iter_task it;
	struct task_struct *task, *leader = bpf_task_acquire(process);

	if (!leader)
		return;
	bpf_iter_task_new(&it, leader, THREADS_OF_PROCESS);
	while ((task = bpf_iter_task_next(&it))) {
		if (task->pid == task->tgid)
			continue;
		others->runtime_ns += task->se.sum_exec_runtime;
		others->minor_faults += task->min_flt;
		others->major_faults += task->maj_flt;
	}
	bpf_iter_task_destroy(&it);
	bpf_task_release(leader);
}

static bool differ(const struct entry *was, const struct entry *now)
{
	return was->runtime_ns != now->runtime_ns || was->threads != now->threads ||
	       was->parent != now->parent || was->cgroups != now->cgroups ||
	       was->counter_pages[0] != now->counter_pages[0] ||
	       was->counter_pages[1] != now->counter_pages[1] ||
	       was->counter_pages[2] != now->counter_pages[2] ||
	       was->counter_pages[3] != now->counter_pages[3];
}

/* `own` is the same task, which the kernel knows to be one. */
static void visit(struct task_walk *walk, struct task_struct *task, struct task_struct *own, __u32 tgid)
{
	struct entry now = { .tgid = tgid, .threads = 1, .runtime_ns = task->se.sum_exec_runtime };
	struct entry *was = find_entry(walk, tgid);
	struct task_thread others = { 0 };
	struct mm_struct *mm = task->mm;

	if (!was || was->threads != 1 || was->runtime_ns != now.runtime_ns) {
		now.threads = (__u32)task->signal->nr_threads;
		if (now.threads > 1)
			sum_others(&others, own);
		now.runtime_ns += others.runtime_ns;
	}
	now.parent = (__u64)task->real_parent;
	now.cgroups = cgroups_of(task);
	if (mm)
		count_memory(now.counter_pages, mm);
	if (was && !differ(was, &now)) {
		keep(walk, was);
		return;
	}
	bool many = now.threads > 1;
	struct task_process *process = room(walk, sizeof(*process) + (many ? sizeof(struct task_thread) : 0));
	if (!process) {
		if (was)
			keep(walk, was);
		return;
	}
	__builtin_memset(process, 0, sizeof(*process));
	fill_process(process, task);
	process->leader.tgid = tgid;
	if (many) {
		others.kind = TASK_RECORD_THREAD;
		others.tgid = tgid;
		*(struct task_thread *)(process + 1) = others;
	}
	keep(walk, &now);
}

/* Those behind the last process that there is. */
static void tell_rest_gone(struct task_walk *walk)
{
	struct bpf_iter_num it;

	bpf_iter_num_new(&it, 0, TASK_WALK_MOST);
	while (bpf_iter_num_next(&it)) {
		struct entry *entry = entry_at(walk->at);
		if (walk->at >= walk->n || !entry)
			break;
		walk->at++;
		tell_gone(walk, entry);
	}
	bpf_iter_num_destroy(&it);
}

SEC("syscall")
int walk_tasks(void *ctx __attribute__((unused)))
{
	__u32 zero = 0;
	struct task_walk *walk = bpf_map_lookup_elem(&walks, &zero);
	struct bpf_iter_task it;
	struct task_struct *own;

	if (!walk)
		return 1;
	reader_level = find_reader_level();
	walk->at = walk->n_kept = walk->len = walk->more = walk->full = 0;
	bpf_rcu_read_lock();
	bpf_iter_task_new(&it, NULL, ALL_PROCESSES);
	while ((own = bpf_iter_task_next(&it))) {
		/* Of each pointer that is read of an object it knows, the verifier looks through all names of
		 * types for what may be done with it, and that took a second. Here nothing is done with them
		 * but to read on. */
		struct task_struct *task =
			bpf_rdonly_cast(own, (unsigned int)bpf_core_type_id_kernel(struct task_struct));
		__u32 tgid = id_of(task);
		if (!tgid)
			continue;
		if (walk->n_kept >= walk->capacity) {
			walk->full = 1;
			break;
		}
		visit(walk, task, own, tgid);
	}
	bpf_iter_task_destroy(&it);
	bpf_rcu_read_unlock();
	if (!walk->full)
		tell_rest_gone(walk);
	walk->n = walk->n_kept;
	return 0;
}

/* The helpers above are given to programs under the GPL alone. */
const char tasks_license[] SEC("license") = "Dual MIT/GPL";
