/* SPDX-License-Identifier: MIT */
#include "collector/leaks/regions.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "collector/leaks/region_drive.h"
#include "collector/leaks/regions_inner.h"
#include "schema/base/cleanup.h"
#include "schema/base/clock.h"
#include "schema/base/log.h"
#include "schema/proc/pid_stat.h"

enum { EVENTS = 64, WAIT_MS = 20 };

/* What an event of epoll is about, in its low bits; above them a region's inode: a region may be let go of
 * while events about it are at hand. */
enum tag { TAG_REGION, TAG_OFFERS, TAG_HELD, TAG_JOBS, TAG_MEMORY_JOBS, TAG_TIMER, TAG_BITS = 3 };

static struct region_bucket *bucket(const struct region_bucket *buckets, uint64_t key)
{
	return (struct region_bucket *)(uintptr_t)&buckets[key * UINT64_C(0x9e3779b97f4a7c15) >> 54];
}
_Static_assert(REGION_BUCKETS == 1 << (64 - 54), "all of them are used");

struct region_state *regions_by_inode(const struct regions *regions, uint64_t inode)
{
	struct region_state *state;

	LIST_FOREACH(state, bucket(regions->by_inode, inode), by_inode)
	if (state->region->inode == inode && !state->released)
		return state;
	return NULL;
}

/* --- in and out --- */

static bool has_room(const struct regions *regions, uint32_t pid, uint32_t uid)
{
	const struct region_state *state;
	unsigned of_user = 0, of_process = 0;

	if (regions->n >= regions->options.max || (uid && regions->n_users >= REGIONS_OF_USERS_MAX))
		return false;
	LIST_FOREACH(state, bucket(regions->by_pid, pid), by_pid)
	of_process += state->region->process.pid == pid;
	if (of_process >= REGIONS_OF_PROCESS_MAX)
		return false;
	if (!uid || regions->n_users < REGIONS_OF_ONE_MAX)
		return true;
	TAILQ_FOREACH(state, &regions->all, all)
	of_user += state->region->process.uid == uid;
	return of_user < REGIONS_OF_ONE_MAX;
}

static struct region_state *insert(struct regions *regions, struct region *region)
{
	struct region_state *state = calloc(1, sizeof(*state));

	if (!state)
		return NULL;
	state->regions = regions;
	state->region = region;
	state->pidfd = -1;
	region->state = state;
	TAILQ_INSERT_TAIL(&regions->all, state, all);
	LIST_INSERT_HEAD(bucket(regions->by_inode, region->inode), state, by_inode);
	LIST_INSERT_HEAD(bucket(regions->by_pid, region->process.pid), state, by_pid);
	regions->n++;
	regions->n_users += region->process.uid != 0;
	regions->n_waiting += !region->ready;
	return state;
}

/* Takes the pidfd over where it can be watched; else the next tick finds the end. */
static void watch_end(struct region_state *state, int *pidfd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = state->region->inode << TAG_BITS };

	if (!epoll_ctl(state->regions->epoll, EPOLL_CTL_ADD, *pidfd, &event))
		state->pidfd = steal_fd(pidfd);
}

static void remove_state(struct region_state *state)
{
	struct regions *regions = state->regions;
	struct region *region = state->region;

	TAILQ_REMOVE(&regions->all, state, all);
	LIST_REMOVE(state, by_inode);
	LIST_REMOVE(state, by_pid);
	regions->n--;
	regions->n_users -= region->process.uid != 0;
	regions->n_waiting -= !region->ready;
	close_fd(&state->pidfd);
	region->state = NULL;
	region_unref(region);
	free(state);
}

/* Not at once: whoever goes over the list, or has events at hand, may be above us. */
void regions_release(struct regions *regions, struct region *region)
{
	struct region_state *state = region->state;

	if (!state || state->released)
		return;
	state->released = true;
	SLIST_INSERT_HEAD(&regions->released, state, released_next);
	region_disown(region, regions->self);
	regions_drop(regions, region->inode);
}

void regions_sweep(struct regions *regions)
{
	struct region_state *state;

	while ((state = SLIST_FIRST(&regions->released))) {
		SLIST_REMOVE_HEAD(&regions->released, released_next);
		remove_state(state);
	}
}

void region_state_own(struct region_state *state)
{
	const struct regions *regions = state->regions;
	const struct regions_hooks *hooks = &regions->options.hooks;
	struct region *region = state->region;

	if (region->end != REGION_LIVES || state->released)
		return;
	uint64_t owner = atomic_load(&region->shared->owner);
	if (region_own(region, regions->options.root, regions->self) == REGION_DRIVEN && owner &&
		owner != regions->self && hooks->taken_over)
		hooks->taken_over(hooks->ctx, region);
}

static void tell_found(struct region_state *state)
{
	const struct regions_hooks *hooks = &state->regions->options.hooks;
	struct region *region = state->region;

	if (state->told_found)
		return;
	state->told_found = true;
	state->regions->stat.found_total++;
	log_debug("pid=%u has region %llu%s", region->process.pid, (unsigned long long)region->inode,
		state->again ? ", as it had" : "");
	if (hooks->found)
		hooks->found(hooks->ctx, region, state->again);
	region_state_own(state);
}

void region_state_tell_end(struct region_state *state)
{
	struct regions *regions = state->regions;
	const struct regions_hooks *hooks = &regions->options.hooks;

	if (state->told_ended || state->released)
		return;
	state->told_ended = true;
	if (hooks->ended)
		hooks->ended(hooks->ctx, state->region);
	else
		regions_release(regions, state->region);
}

void region_state_end(struct region_state *state, enum region_end end)
{
	struct regions *regions = state->regions;
	struct region *region = state->region;
	struct err err = { 0 };

	if (region->end != REGION_LIVES || state->released)
		return;
	if (!region->ready && region_settle(region, &err) == REGION_OK)
		regions->n_waiting--;
	close_fd(&state->pidfd);
	/* Its program never took it: there is nothing in it. */
	if (!region->ready) {
		regions_release(regions, region);
		return;
	}
	log_debug("region %llu of pid=%u ended: %s", (unsigned long long)region->inode, region->process.pid,
		end == REGION_EXEC ? "exec" : "death");
	region->end = end;
	region->end_boot_ns = clock_boottime_ns();
	tell_found(state);
	if (state->held == HELD)
		state->held = HELD_OLD_NOTE;
	regions->hold_due = true;
	if (regions_name(regions, region))
		region_state_tell_end(state);
	else
		state->name_ticks = REGIONS_NAME_TICKS;
}

/* Of two programs of a process the later one runs. */
static void end_former(struct region_state *state)
{
	struct region_state *other, *next;
	const struct region *region = state->region;

	for (other = LIST_FIRST(bucket(state->regions->by_pid, region->process.pid)); other; other = next) {
		next = LIST_NEXT(other, by_pid);
		const struct region *former = other->region;
		if (former != region && former->process.pid == region->process.pid && former->ready &&
			former->end == REGION_LIVES &&
			former->process.start_ticks == region->process.start_ticks &&
			former->fixed.created_boot_ns <= region->fixed.created_boot_ns)
			region_state_end(other, REGION_EXEC);
	}
}

/* From memfs run: whose program took it. That may be a child of who was to take it, too. */
static void rebind(struct region_state *state)
{
	struct region *region = state->region;
	struct regions *regions = state->regions;
	CLEANUP_CLOSE int dir = -1;
	struct region_process process = region->process;

	if (proc_open_pid(regions->options.root, process.pid, &dir) == PROC_OK &&
		region_identify(dir, &process) && process.start_ticks == region->process.start_ticks &&
		region_own_pid(dir) == region->fixed.pid) {
		region->process.image = process.image;
		return;
	}
	close_fd(&dir);
	process = (struct region_process) { .pid = region->fixed.pid, .uid = region->process.uid };
	struct region_meeting meeting = { .pid = process.pid, .uid = process.uid, .pidfd = -1 };
	if (proc_open_pid(regions->options.root, process.pid, &dir) != PROC_OK ||
		region_own_pid(dir) != region->fixed.pid)
		return; /* verified later, and given up then */
	process = region->process;
	regions->n_users -= process.uid != 0;
	if (!regions_find_process(regions, region, &meeting)) {
		region->process = process;
		regions->n_users += process.uid != 0;
		return;
	}
	regions->n_users += region->process.uid != 0;
	LIST_REMOVE(state, by_pid);
	LIST_INSERT_HEAD(bucket(regions->by_pid, region->process.pid), state, by_pid);
	close_fd(&state->pidfd);
	watch_end(state, &meeting.pidfd);
	close_fd(&meeting.pidfd);
}

void region_state_settle(struct region_state *state)
{
	struct regions *regions = state->regions;
	struct region *region = state->region;
	struct err err = { 0 };

	if (region->ready || state->released)
		return;
	int r = region_settle(region, &err);
	if (r == REGION_NOT_READY)
		return;
	if (r < 0) {
		log_debug("the region of pid=%u is given up: %s", region->process.pid, err.reason);
		regions->stat.refused_total++;
		regions_release(regions, region);
		return;
	}
	regions->n_waiting--;
	rebind(state);
	if (state->held == HELD)
		state->held = HELD_OLD_NOTE;
	regions->hold_due = true;
	tell_found(state);
	end_former(state);
}

void region_state_check_image(struct region_state *state)
{
	const struct region_process *then = &state->region->process;
	struct region_process now = *then;
	CLEANUP_CLOSE int dir = -1;

	if (!state->region->ready || state->region->end != REGION_LIVES || state->released || !then->image ||
		proc_open_pid(state->regions->options.root, then->pid, &dir) != PROC_OK ||
		!region_identify(dir, &now) || now.start_ticks != then->start_ticks)
		return;
	if (now.image && now.image != then->image)
		region_state_end(state, REGION_EXEC);
}

/* --- who comes --- */

static void refuse(struct regions *regions, const struct region_meeting *meeting, const char *reason)
{
	regions->stat.refused_total++;
	log_debug("a region from pid=%u is refused: %s", meeting->pid, reason);
}

static void let_in(struct regions *regions, struct region *region, struct region_meeting *meeting)
{
	const struct holding_note *note = meeting->note;
	bool there = note ? regions_find_held(regions, region, meeting)
			  : regions_find_process(regions, region, meeting);

	if (!has_room(regions, region->process.pid, region->process.uid)) {
		refuse(regions, meeting, "there are too many");
		region_unref(region);
		return;
	}
	struct region_state *state = insert(regions, region);
	if (!state) {
		refuse(regions, meeting, "no memory");
		region_unref(region);
		return;
	}
	state->again = note;
	state->held = note ? HELD : HELD_NOT;
	regions->hold_due |= !note;
	if (there)
		watch_end(state, &meeting->pidfd);
	if (!there) {
		region_state_end(state, note && note->end ? (enum region_end)note->end : REGION_DIED);
	} else if (note && note->end == REGION_EXEC) {
		region_state_end(state, REGION_EXEC);
	} else if (region->ready) {
		tell_found(state);
		end_former(state);
	}
}

/* Children by fork have their parent's mapped, until they have one of their own. */
static bool is_meant(
	const struct regions *regions, const struct region *region, const struct region_meeting *meeting)
{
	return !meeting->own_pid || (region->ready && region->fixed.pid == meeting->own_pid &&
					    region_may_be_of(regions, region, meeting->start_ticks));
}

void regions_meet(struct regions *regions, int fd, struct region_meeting *meeting)
{
	struct region *region;
	struct err err = { 0 };

	if (region_open(fd, &region, &err) < 0) {
		refuse(regions, meeting, err.reason);
		if (meeting->note)
			regions_drop(regions, meeting->note->inode);
	} else {
		struct region_state *known = regions_by_inode(regions, region->inode);
		if (known || !is_meant(regions, region, meeting)) {
			if (known && meeting->note && known->held == HELD_NOT)
				known->held = HELD_OLD_NOTE;
			region_unref(region);
		} else {
			let_in(regions, region, meeting);
		}
	}
	close_fd(&meeting->pidfd);
}

/* --- for others --- */

struct region *regions_find(const struct regions *regions, uint32_t pid, uint64_t start_ticks)
{
	struct region_state *state;

	LIST_FOREACH(state, bucket(regions->by_pid, pid), by_pid)
	{
		const struct region *region = state->region;
		if (region->process.pid == pid && region->process.start_ticks == start_ticks &&
			region->ready && region->end == REGION_LIVES && !state->released)
			return state->region;
	}
	return NULL;
}

struct region *regions_next(const struct regions *regions, const struct region *before)
{
	const struct region_state *state =
		before ? TAILQ_NEXT(before->state, all) : TAILQ_FIRST(&regions->all);

	/* Those that wait for their program are nobody's business yet. */
	while (state && (!state->region->ready || state->released))
		state = TAILQ_NEXT(state, all);
	return state ? state->region : NULL;
}

void regions_told_exec(struct regions *regions, uint32_t pid)
{
	struct region_state *state, *next;

	for (state = LIST_FIRST(bucket(regions->by_pid, pid)); state; state = next) {
		next = LIST_NEXT(state, by_pid);
		if (state->region->process.pid == pid)
			region_state_check_image(state);
	}
}

int regions_set_mode(
	struct regions *regions, struct region *region, enum shadow_mode mode, uint64_t rate_bytes)
{
	struct region_state *state = region->state;

	if (!state || state->released)
		return -ESRCH;
	int r = region_set_mode(region, mode, rate_bytes, clock_boottime_ns());
	state->wants_mode = r == -EBUSY;
	if (r == -EBUSY) {
		state->mode = mode;
		state->rate_bytes = rate_bytes;
		return 0;
	}
	if (r == REGION_DRIVEN && mode == SHADOW_OFF && !region->giving_back && regions_give_back(state) < 0)
		log_debug("the records of pid=%u keep their memory", region->process.pid);
	return r;
}

void regions_read_stat(const struct regions *regions, struct regions_stat *ret)
{
	const struct region_state *state;
	struct regions_stat stat = regions->stat;

	TAILQ_FOREACH(state, &regions->all, all)
	{
		stat.live += state->region->ready && state->region->end == REGION_LIVES && !state->released;
		stat.ended += state->region->end != REGION_LIVES && !state->released;
		stat.unheld += state->held == HELD_NOT;
	}
	*ret = stat;
}

/* --- life --- */

static int watch(struct regions *regions, int fd, enum tag tag)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = tag };
	return fd < 0 || !epoll_ctl(regions->epoll, EPOLL_CTL_ADD, fd, &event) ? 0 : -errno;
}

static uint64_t own_name(const struct proc_root *root)
{
	struct pid_stat stat = { 0 };
	char text[1024];
	size_t len;

	if (proc_read_short(root->proc, "self/stat", text, sizeof(text), &len) != PROC_OK)
		return 0;
	pid_stat_parse(&stat, text, len);
	return shadow_owner(stat.pid, stat.start_ticks);
}

int regions_new(const struct regions_options *options, struct regions **ret_regions)
{
	struct regions *regions = calloc(1, sizeof(*regions));

	if (!regions)
		return -ENOMEM;
	regions->options = *options;
	regions->stat.found_total = options->predecessor->recorded_total;
	regions->stat.refused_total = options->predecessor->recorded_refused_total;
	regions->options.predecessor = NULL;
	regions->blind = !options->max;
	regions->ticks_per_second = (uint64_t)sysconf(_SC_CLK_TCK);
	regions->self = own_name(options->root);
	regions->next_event = board_event_head(options->board);
	TAILQ_INIT(&regions->all);
	SLIST_INIT(&regions->released);
	regions->epoll = epoll_create1(EPOLL_CLOEXEC);
	regions->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	int r = regions->epoll < 0 || regions->timer < 0 ? -errno
							 : jobs_new(REGION_SEARCHERS, &regions->jobs);
	if (r == 0)
		r = jobs_new(1, &regions->memory_jobs);
	if (r == 0)
		r = watch(regions, jobs_fd(regions->memory_jobs), TAG_MEMORY_JOBS);
	if (r == 0)
		r = watch(regions, regions->timer, TAG_TIMER);
	if (r == 0)
		r = watch(regions, jobs_fd(regions->jobs), TAG_JOBS);
	if (r == 0 && options->max)
		r = watch(regions, options->offers_fd, TAG_OFFERS);
	if (r == 0)
		r = watch(regions, options->holder_fd, TAG_HELD);
	if (r < 0) {
		regions_free(regions);
		return r;
	}
	if (options->max)
		regions_ask_held(regions);
	*ret_regions = regions;
	return 0;
}

void regions_free(struct regions *regions)
{
	struct region_state *state;

	if (!regions)
		return;
	jobs_free(regions->jobs);
	jobs_free(regions->memory_jobs);
	regions_sweep(regions);
	regions_hold(regions);
	while ((state = TAILQ_FIRST(&regions->all))) {
		region_disown(state->region, regions->self);
		remove_state(state);
	}
	close_fd(&regions->epoll);
	close_fd(&regions->timer);
	pid_list_deinit(&regions->born);
	pid_list_deinit(&regions->due);
	pid_list_deinit(&regions->wanted);
	free(regions->drops);
	free(regions);
}

bool regions_busy(const struct regions *regions)
{
	return regions && regions->n_searching;
}

int regions_fd(const struct regions *regions)
{
	return regions->epoll;
}

/* A program that was handed a region takes it within moments; nobody tells when. */
static void set_timer(struct regions *regions)
{
	struct itimerspec spec = { .it_value = { .tv_nsec = WAIT_MS * 1000000L } };
	const struct region_state *state;
	bool young = false;

	if (!regions->n_waiting || regions->timer_set)
		return;
	TAILQ_FOREACH_REVERSE(state, &regions->all, region_list, all)
	if ((young = !state->region->ready && state->ticks < 3))
		break;
	if (young)
		regions->timer_set = !timerfd_settime(regions->timer, 0, &spec, NULL);
}

static void on_timer(struct regions *regions)
{
	struct region_state *state, *next;
	uint64_t expirations;

	regions->timer_set = false;
	if (read(regions->timer, &expirations, sizeof(expirations)) < 0)
		return;
	for (state = TAILQ_FIRST(&regions->all); state; state = next) {
		next = TAILQ_NEXT(state, all);
		region_state_settle(state);
	}
}

void regions_dispatch(struct regions *regions)
{
	struct epoll_event events[EVENTS];
	int n = epoll_wait(regions->epoll, events, EVENTS, 0);
	bool told[1 << TAG_BITS] = { false };

	regions_sweep(regions);
	for (int i = 0; i < n; i++) {
		uint64_t tag = events[i].data.u64;
		struct region_state *state =
			tag >> TAG_BITS ? regions_by_inode(regions, tag >> TAG_BITS) : NULL;
		told[tag & ((1 << TAG_BITS) - 1)] = true;
		if (state)
			region_state_end(state, REGION_DIED);
	}
	if (told[TAG_HELD])
		regions_take_held(regions);
	if (told[TAG_OFFERS])
		regions_take_offers(regions);
	if (told[TAG_TIMER])
		on_timer(regions);
	if (told[TAG_JOBS])
		jobs_dispatch(regions->jobs);
	if (told[TAG_MEMORY_JOBS])
		jobs_dispatch(regions->memory_jobs);
	regions_sweep(regions);
	regions_hold(regions);
	set_timer(regions);
}
