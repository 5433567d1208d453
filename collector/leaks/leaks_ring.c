/* SPDX-License-Identifier: MIT */
/*
 * Stacks come through a ring that holds a moment's worth of them. As long as somebody is traced by stacks it
 * is looked at between ticks, and emptied by the worker before it is full.
 */
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "collector/leaks/watch.h"

enum { RING_MS = 50 };

struct draining {
	struct job job;
	struct watch *watch; /* a reference */
	struct report_options options;
};

static void work(struct job *job)
{
	struct draining *draining = (struct draining *)job;
	struct watch *watch = draining->watch;

	report_drain(watch->region->fd, &watch->book, &draining->options);
}

static void done(struct job *job)
{
	struct draining *draining = (struct draining *)job;

	draining->watch->draining = false;
	lists_unref(draining->options.lists);
	watch_unref(draining->watch);
	free(draining);
}

static bool is_by_stacks(const struct watch *watch)
{
	return !watch->ended && shadow_control_mode(watch->region->shared->control) == SHADOW_STACK;
}

static void drain(struct watch *watch)
{
	uint64_t next = watch->region->shared->stacks_next;
	struct draining *draining;

	/* A count empties it as well. */
	if (watch->counting || watch->draining || next == watch->ring_next)
		return;
	draining = calloc(1, sizeof(*draining));
	if (!draining)
		return;
	*draining = (struct draining) { .job = { .work = work, .done = done },
		.watch = watch_ref(watch),
		.options = watch_report_options(watch) };
	watch->draining = true;
	watch->ring_next = next;
	jobs_run(watch->leaks->jobs, &draining->job);
}

int leaks_ring_open(void)
{
	return timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
}

static void run_timer(struct leaks *leaks, bool on)
{
	const struct timespec period = { 0, on ? RING_MS * 1000000 : 0 };
	const struct itimerspec spec = { period, period };

	if (on != leaks->ring_runs && timerfd_settime(leaks->ring_timer, 0, &spec, NULL) == 0)
		leaks->ring_runs = on;
}

void leaks_ring_begin(struct leaks *leaks)
{
	run_timer(leaks, true);
}

void leaks_ring_tick(struct leaks *leaks)
{
	for (struct region *region = leaks->ring_runs ? NULL : leaks_next(leaks, NULL); region;
		region = leaks_next(leaks, region))
		if (region->leaks && is_by_stacks(region->leaks))
			run_timer(leaks, true);
}

void leaks_ring_dispatch(struct leaks *leaks)
{
	uint64_t expirations;
	bool any = false;

	if (read(leaks->ring_timer, &expirations, sizeof(expirations)) != sizeof(expirations))
		return;
	for (struct region *region = leaks_next(leaks, NULL); region; region = leaks_next(leaks, region)) {
		if (!region->leaks || !is_by_stacks(region->leaks))
			continue;
		any = true;
		drain(region->leaks);
	}
	run_timer(leaks, any);
}
