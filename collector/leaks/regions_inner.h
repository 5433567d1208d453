/* SPDX-License-Identifier: MIT */
/*
 * What the parts of regions share; nobody else includes it.
 *
 * regions.c         the set: who comes in, how it ends
 * regions_who.c     whose a region is
 * regions_clock.c   what is done once a tick
 * regions_offers.c  shim.sock
 * regions_held.c    the link to the supervisor
 * regions_search.c  processes that have one which nobody offered; whether one is still mapped
 */
#pragma once

#include <sys/queue.h>

#include "collector/leaks/regions.h"
#include "collector/sample/pid_list.h"

enum {
	REGION_BUCKETS = 1024,
	REGIONS_ENDS = 1024,     /* a power of two */
	REGIONS_NAME_TICKS = 3,  /* for the kernel's report of an end to come by */
	REGIONS_OFFERS_TURN = 128,
	REGION_SEARCHERS = 4,        /* at once, with a worker each */
	REGION_SEARCHERS_OF_ONE = 2, /* for the processes of one user: each may be stuck for ever */
};

/* How far a duplicate at the supervisor is what we have. */
enum region_held { HELD_NOT, HELD_OLD_NOTE, HELD };

struct search;
struct region_state {
	struct regions *regions;
	struct region *region;
	TAILQ_ENTRY(region_state) all;
	LIST_ENTRY(region_state) by_inode, by_pid;
	SLIST_ENTRY(region_state) released_next;
	bool released; /* it goes at the next sweep */
	int pidfd; /* readable when the process ended; -1: it has, or that is told otherwise */
	enum region_held held;
	bool again;      /* from the supervisor */
	bool told_found, told_ended;
	bool verified; /* its program maps it, or nobody can know */
	bool verifying;
	unsigned name_ticks; /* ended, and who it was may be known so much later */
	uint32_t ticks;      /* since it was met */
	bool wants_mode;     /* when holes are punched: */
	enum shadow_mode mode;
	uint64_t rate_bytes;
};
TAILQ_HEAD(region_list, region_state);
LIST_HEAD(region_bucket, region_state);

/* A process that ended, for regions whose offer is read later. */
struct regions_end {
	uint32_t pid;
	uint64_t start_ticks;
	int64_t end_boot_ns;
};

struct regions {
	struct regions_options options;
	uint64_t self; /* shadow_owner() */
	uint64_t ticks_per_second;
	int epoll, timer;
	bool timer_set;
	struct jobs *jobs;
	struct region_list all;
	SLIST_HEAD(, region_state) released;
	struct region_bucket by_inode[REGION_BUCKETS], by_pid[REGION_BUCKETS];
	unsigned n, n_waiting, n_users; /* not ready; not root's */
	struct regions_end ends[REGIONS_ENDS];
	uint64_t n_ends;
	struct regions_stat stat;

	/* regions_held.c */
	bool asking; /* the supervisor is giving what it holds */
	uint64_t *drops; /* not told yet: inodes */
	size_t n_drops, cap_drops;
	bool hold_due; /* some are not held as they are */

	/* regions_search.c */
	uint64_t next_event;
	struct pid_list born, due, wanted; /* since the last tick; at it; to be looked at */
	struct search *searching[REGION_SEARCHERS];
	unsigned n_searching;
	bool searched_all, blind; /* blind: we may not open what others have mapped */
	struct jobs *memory_jobs; /* for what ends soon */
};

/* How a region came. */
struct region_meeting {
	uint32_t pid;  /* of who offers it, or has it mapped */
	uint32_t uid;  /* as the kernel had it at the time */
	int pidfd;     /* of that process, taken over; -1: none */
	bool gone;     /* it is known to have ended */
	uint64_t start_ticks; /* of a process that has it mapped, and what that takes itself for; 0: it was offered */
	uint32_t own_pid;
	const struct holding_note *note; /* of the supervisor; NULL */
};

/* --- regions.c --- */

/*
 * Takes fd over; whatever is wrong with it is counted, and harms nobody. Tells the hooks what there is to
 * tell.
 */
void regions_meet(struct regions *regions, int fd, struct region_meeting *meeting);

struct region_state *regions_by_inode(const struct regions *regions, uint64_t inode);

/* The program ended: hooks are told, now or when its process is known. */
void region_state_end(struct region_state *state, enum region_end end);

/* Looks at one that was not ready. */
void region_state_settle(struct region_state *state);

/* Whether its process runs another program by now. */
void region_state_check_image(struct region_state *state);

/* What there is to tell of one that ended. */
void region_state_tell_end(struct region_state *state);

/* Takes it where nobody else drives it. */
void region_state_own(struct region_state *state);

/* Lets go of what was released. Not while the list is gone over. */
void regions_sweep(struct regions *regions);

/* --- regions_who.c --- */

/* Who the process is at this moment, by its directory; false where that cannot be read. */
bool region_identify(int dir, struct region_process *ret);

/* Whether a process that started then can have made it. */
bool region_may_be_of(const struct regions *regions, const struct region *region, uint64_t start_ticks);

/* The innermost number of a process: what it takes itself for. 0 where that cannot be read. */
uint32_t region_own_pid(int dir);

/* Fills in whose the region is. True where that process is there, if only as a zombie; meeting->pidfd is its. */
bool regions_find_process(struct regions *regions, struct region *region, struct region_meeting *meeting);

/* The same for one that the supervisor held. */
bool regions_find_held(struct regions *regions, struct region *region, struct region_meeting *meeting);

/* Who it was that ended before its start was read: by what the sampler knows. False where it does not, yet. */
bool regions_name(const struct regions *regions, struct region *region);

/* --- regions_offers.c --- */
void regions_take_offers(struct regions *regions);

/* --- regions_held.c --- */
void regions_take_held(struct regions *regions);
void regions_ask_held(struct regions *regions);
/* Tells the supervisor what it does not know yet, as far as the socket takes it. */
void regions_hold(struct regions *regions);
void regions_drop(struct regions *regions, uint64_t inode);

/* --- regions_clock.c --- */
/* The kernel reported how a process ended: kept for regions that are yet to come. */
void regions_note_end(struct regions *regions, uint32_t pid, uint64_t start_ticks, int64_t end_boot_ns);

/* --- regions_search.c --- */
void regions_search(struct regions *regions); /* once a tick */
void regions_verify(struct region_state *state);    /* as soon as a worker is free */
/* Gives the memory of its leaves back, away from the loop. */
int regions_give_back(struct region_state *state);
