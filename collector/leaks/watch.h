/* SPDX-License-Identifier: MIT */
/*
 * Internal to leaks*.c: what is kept of each region (region->leaks), and of all. The loop's thread, but for
 * the book, whose lock workers take.
 */
#pragma once

#include <stdatomic.h>

#include "collector/jobs.h"
#include "collector/leaks/book.h"
#include "collector/leaks/keep.h"
#include "collector/leaks/leaks.h"
#include "collector/leaks/region.h"
#include "collector/leaks/report.h"

enum {
	WATCH_TOP = 64,        /* call sites of a process that tables over many processes show */
	WATCH_PAUSE_S = 2,     /* between two counts of one process, at least, */
	WATCH_SHARE = 1000,    /* of a processor is what all counts that nobody asked for may take */
	WATCH_BUDGET_MS = 500, /* of it may be saved up */
};

struct watch {
	atomic_uint references;
	struct leaks *leaks;
	struct region *region; /* a reference */
	struct book book;
	uint32_t slot;      /* on the board; BOARD_LEAKS: none was free */
	uint64_t min_age_s; /* its own; UINT64_MAX: that of the node */
	bool counting;      /* a worker is at it */
	bool draining;      /* a worker takes stacks out of the ring */
	bool budgeted;      /* nobody asked for it */
	bool wanted;        /* somebody looks: as soon as can be */
	bool ended;         /* no more counts */
	int64_t due_ns;     /* CLOCK_BOOTTIME: not before */
	int64_t counted_ns; /* the same: the last count's beginning */
	int64_t cost_ns;    /* what it took of a processor */
	int64_t run_ns;     /* processor time of the process at the last count */
	int64_t ran_ns;     /* CLOCK_BOOTTIME: when it was last found to have run */
	struct leak_stat stat;
	struct leak_site *top; /* [n_top], names are the book's */
	size_t n_top;
	uint64_t ring_next;                           /* of the ring of stacks, when it was last emptied */
	int64_t minute;                               /* epoch / 60: the last that was recorded */
	struct leak_site recorded[LEAK_MINUTE_SITES]; /* as they stand in history */
	size_t n_recorded;
};

struct leaks {
	struct leaks_options options;
	struct regions *regions; /* NULL: none */
	int epoll;
	int ring_timer; /* leaks_ring.c */
	bool ring_runs; /* the timer */
	struct jobs *jobs;
	struct namer namer;
	struct lists *lists; /* in force */
	struct keep_teller teller;
	struct watch *slot[BOARD_LEAKS];
	struct watch *packing;  /* into history; the others that ended wait */
	int64_t adopt_until_ns; /* then what a predecessor left on the board and nobody took over goes */
	int64_t budget_ns,
		budget_at_ns; /* what counts that nobody asked for may take; when it was last raised */
};

struct watch *watch_ref(struct watch *watch); /* returns it; any thread */
void watch_unref(struct watch *watch);        /* takes NULL; any thread */

/* The watch of the program that a process runs; NULL where it has none. */
struct watch *leaks_watch(struct leaks *leaks, uint64_t pid, uint64_t start_ticks);

/* As regions_next. */
struct region *leaks_next(const struct leaks *leaks, const struct region *before);

/* What every report of it needs to know, with a reference to its lists: lists_unref when it is taken. */
struct report_options watch_report_options(const struct watch *watch);

/* In force for a process. */
uint64_t watch_min_age_s(const struct watch *watch);

/* What the board says of it. */
void watch_publish(struct watch *watch);

/* Processor time of its process, -1 where it cannot be asked; that it ran since the last count is kept,
 * whoever counts next: what it made becomes old later. */
int64_t watch_note_run(struct watch *watch, int64_t now_ns);

/* After its end: packs what it had where nothing else is being packed; then watch_release. */
void watch_end(struct watch *watch);

/* Lets the region go, and the watch. */
void watch_release(struct watch *watch);

/* Hands the largest sites to history, where they are other than before; once a minute. What was counted last
 * before a process fell idle is recorded with the next minute. */
void watch_record_minute(struct watch *watch);

/*
 * Rings of stacks are emptied between counts, too, by a timer: its descriptor, or -1 with errno. It is begun
 * where somebody may be traced by stacks from now on, and at a tick where somebody is; it ends itself.
 * _dispatch when it may have expired.
 */
int leaks_ring_open(void);
void leaks_ring_begin(struct leaks *leaks);
void leaks_ring_tick(struct leaks *leaks);
void leaks_ring_dispatch(struct leaks *leaks);

/* Begins a count, unless one is under way. False without memory. */
bool watch_count(struct watch *watch);
