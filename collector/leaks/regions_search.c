/* SPDX-License-Identifier: MIT */
/*
 * Looking for regions in processes: in those that began before us, or whose offer found no socket (in a
 * container, in a chroot, or while nobody read it). The shim takes so much address space that few others need
 * looking at. And whether a program still has the region that it offered: it may have run another meanwhile.
 */
#include <errno.h>
#include <stdlib.h>

#include "collector/leaks/region_drive.h"
#include "collector/leaks/region_maps.h"
#include "collector/leaks/regions_inner.h"
#include "schema/base/cleanup.h"
#include "schema/base/clock.h"
#include "schema/base/log.h"
#include "schema/proc/pid_stat.h"

/* The shim maps the tables in front of the slots, whatever limits it is under. */
#define SHIM_BYTES_MIN SHADOW_KEEP_AT

struct search {
	struct job job;
	struct regions *regions;
	uint32_t pid, uid;
	uint64_t start_ticks;
	bool blind;
	/* What it found. */
	int outcome;
	struct region_maps maps;
	uint32_t own_pid;
	int fd[REGION_MAPS_MAX];
	unsigned n_fds;
};

/* --- in a worker --- */

static void search_work(struct job *job)
{
	struct search *search = (struct search *)job;
	CLEANUP_CLOSE int dir = -1;
	struct region_process process = { 0 };

	search->outcome = proc_open_pid(search->regions->options.root, search->pid, &dir);
	if (search->outcome != PROC_OK)
		return;
	/* The directory stays bound to one process. */
	if (!region_identify(dir, &process) || process.start_ticks != search->start_ticks) {
		search->outcome = PROC_GONE;
		return;
	}
	search->outcome = region_maps_read(dir, &search->maps);
	if (search->outcome != PROC_OK || search->blind || !search->maps.n_regions)
		return;
	search->own_pid = region_own_pid(dir);
	for (unsigned i = 0; i < search->maps.n_regions; i++) {
		int fd = region_maps_open(dir, &search->maps, i);
		search->blind |= fd == -EPERM;
		if (fd >= 0)
			search->fd[search->n_fds++] = fd;
	}
}

/* --- in the loop --- */

static bool has_mapped(const struct region_maps *maps, uint64_t inode)
{
	for (unsigned i = 0; i < maps->n_regions; i++) {
		if (maps->region[i].inode == inode)
			return true;
	}
	return false;
}

/* Those that were thought to be of that program. */
static void verify(struct search *search)
{
	struct regions *regions = search->regions;
	struct region_state *state;

	TAILQ_FOREACH(state, &regions->all, all)
	{
		const struct region *region = state->region;
		if (!state->verifying || region->process.pid != search->pid)
			continue;
		state->verifying = false;
		state->verified = true;
		if (search->outcome == PROC_OK && region->process.start_ticks == search->start_ticks &&
			search->maps.n_regions < REGION_MAPS_MAX && !has_mapped(&search->maps, region->inode))
			region_state_end(state, REGION_EXEC);
	}
}

static void start_searches(struct regions *regions);

static void search_done(struct job *job)
{
	struct search *search = (struct search *)job;
	struct regions *regions = search->regions;

	for (unsigned i = 0; i < REGION_SEARCHERS; i++) {
		if (regions->searching[i] == search)
			regions->searching[i] = NULL;
	}
	regions->n_searching--;
	verify(search);
	for (unsigned i = 0; i < search->n_fds; i++) {
		struct region_meeting meeting = {
			.pid = search->pid,
			.uid = search->uid,
			.pidfd = -1,
			.start_ticks = search->start_ticks,
			.own_pid = search->own_pid ? search->own_pid : search->pid,
		};
		regions_meet(regions, search->fd[i], &meeting);
	}
	if (search->blind && !regions->blind) {
		regions->blind = true;
		log_info("records of programs that began before memfs cannot be opened without root");
	}
	free(search);
	start_searches(regions);
}

static unsigned searches_of(const struct regions *regions, uint32_t uid)
{
	unsigned n = 0;

	for (unsigned i = 0; i < REGION_SEARCHERS; i++)
		n += regions->searching[i] && regions->searching[i]->uid == uid;
	return n;
}

/* False where it has to wait for another of the same user. */
static bool start_search(struct regions *regions, uint32_t pid)
{
	const struct process *process = process_find(&regions->options.sampler->table, pid);

	if (!process || !process->shown.start_ticks || pid_stat_ended(process->shown.state))
		return true;
	if (searches_of(regions, process->shown.uid) >= REGION_SEARCHERS_OF_ONE)
		return false;
	struct search *search = calloc(1, sizeof(*search));
	if (!search)
		return false;
	search->job = (struct job) { .work = search_work, .done = search_done };
	search->regions = regions;
	search->pid = pid;
	search->uid = process->shown.uid;
	search->start_ticks = process->shown.start_ticks;
	search->blind = regions->blind;
	for (unsigned i = 0; i < REGION_SEARCHERS; i++) {
		if (!regions->searching[i]) {
			regions->searching[i] = search;
			break;
		}
	}
	regions->n_searching++;
	jobs_run(regions->jobs, &search->job);
	return true;
}

static void start_searches(struct regions *regions)
{
	struct pid_list *wanted = &regions->wanted;
	size_t kept = 0;

	for (size_t i = 0; i < wanted->n; i++) {
		if (regions->n_searching >= REGION_SEARCHERS || !start_search(regions, wanted->pid[i]))
			wanted->pid[kept++] = wanted->pid[i];
	}
	wanted->n = kept;
}

/* Whether the shim may be in it, and no region of it is known. */
static bool is_suspect(const struct regions *regions, const struct process *process)
{
	const struct process_values *values = &process->shown.values;

	return !process->kernel_thread && metric_has(values->present, PROCESS_VMS) &&
	       values->value[PROCESS_VMS] >= SHIM_BYTES_MIN &&
	       !regions_find(regions, process->pid, process->shown.start_ticks);
}

static void want(struct regions *regions, uint32_t pid)
{
	const struct process *process = process_find(&regions->options.sampler->table, pid);

	if (process && is_suspect(regions, process))
		pid_list_add(&regions->wanted, pid);
}

static void want_all(struct regions *regions)
{
	const struct process_table *table = &regions->options.sampler->table;

	for (size_t i = 0; i < table->n; i++)
		want(regions, table->live[i]->pid);
}

/* Who began since, or runs another program; true where some were missed. */
static bool collect_births(struct regions *regions)
{
	struct board_event event;
	enum board_outcome outcome;

	while ((outcome = board_read_event(regions->options.board, regions->next_event, &event)) == BOARD_FOUND) {
		regions->next_event++;
		if (event.kind == BOARD_BIRTH || event.kind == BOARD_EXEC || event.kind == BOARD_COMM_CHANGE)
			pid_list_add(&regions->born, event.pid);
	}
	if (outcome != BOARD_BUSY)
		return false;
	regions->next_event = board_event_head(regions->options.board);
	return true;
}

void regions_search(struct regions *regions)
{
	bool missed = collect_births(regions);

	/* What the supervisor holds comes first: it knows whose it was. */
	if (missed || (!regions->searched_all && !regions->asking)) {
		regions->searched_all = true;
		if (!regions->blind)
			want_all(regions);
	}
	/* Those born since the tick before have had the time to offer theirs. */
	for (size_t i = 0; i < regions->due.n && !regions->blind; i++)
		want(regions, regions->due.pid[i]);
	regions->due.n = 0;
	struct pid_list due = regions->due;
	regions->due = regions->born;
	regions->born = due;
	start_searches(regions);
}

void regions_verify(struct region_state *state)
{
	state->verifying = pid_list_add(&state->regions->wanted, state->region->process.pid);
	start_searches(state->regions);
}

/* --- memory --- */

struct giving {
	struct job job;
	struct region *region;
};

static void giving_work(struct job *job)
{
	region_give_back(((struct giving *)job)->region);
}

static void giving_done(struct job *job)
{
	struct giving *giving = (struct giving *)job;
	struct region *region = giving->region;
	struct region_state *state = region->state;

	atomic_store(&region->giving_back, false);
	if (state && state->wants_mode) {
		state->wants_mode = false;
		region_set_mode(region, state->mode, state->rate_bytes, clock_boottime_ns());
	}
	region_unref(region);
	free(giving);
}

int regions_give_back(struct region_state *state)
{
	struct giving *giving = calloc(1, sizeof(*giving));

	if (!giving)
		return -ENOMEM;
	giving->job = (struct job) { .work = giving_work, .done = giving_done };
	giving->region = region_ref(state->region);
	atomic_store(&state->region->giving_back, true);
	jobs_run(state->regions->memory_jobs, &giving->job);
	return 0;
}
