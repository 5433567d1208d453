/* SPDX-License-Identifier: MIT */
/*
 * The FUSE door: requests of the kernel to calls on the tree, -errno out. No names, no formats, no SQL.
 * Private to fs/fuse/, which alone calls libfuse; others use fs/fuse/fuse.h.
 *
 * fuse_session.c  a connection taken over from the supervisor
 * fuse_threads.c  who receives requests, and who may take long; linger.h: who waits for the next one awake
 * fuse_ops.c      names, attributes, listings, what is refused
 * fuse_files.c    content: read, write, open
 * fuse_stream.c   readers that block for news
 * fuse_ticker.c   tells the kernel what it may no longer cache
 * fuse_mount.c    mounting, for the supervisor
 */
#pragma once

#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "fs/fuse/fuse.h"
#include "fs/node.h"
#include "fs/fuse/linger.h"
#include "fs/fuse/opens.h"
#include "fs/fuse/parking.h"
#include "fs/fuse/snapshot.h"
#include "fs/tree.h"
#include "fs/view.h"

struct keep;
struct streams;
struct ticker;

/* What libfuse does not hand on of the request under way in a thread. */
struct door_request {
	uint64_t unique;      /* without the mark of a request sent again */
	uint64_t poll_handle; /* of a POLL */
	bool again;           /* the kernel sends it again, since its server died */
	bool for_pages;       /* a READ that fills pages, for mmap or splice, instead of a reader's memory */
};

struct door {
	struct fuse_session *session;
	enum door_kind kind;
	int fd;
	struct doors *doors;
	_Atomic int64_t busy_since_ns; /* CLOCK_MONOTONIC; 0 while waiting for requests */
	pthread_mutex_t turn;          /* of the thread that receives; before `lock` */
	struct linger linger;          /* of whose turn it is */
	sem_t ended;                   /* a thread found the connection gone */

	pthread_mutex_t lock; /* of what follows */
	unsigned n_threads, n_waiting, max_threads;
	unsigned n_unsure; /* requests that may take for ever, under way */
	uint32_t unsure_uid[DOOR_THREADS_MAX];
	struct deferred *deferred; /* those of users who have their share of threads */
};

struct doors {
	struct view *view;
	const struct tree *tree;
	struct keep *keep;
	struct snapshots *snapshots;
	struct opens *opens;
	struct parking *parking;
	struct streams *streams;
	struct ticker *ticker;
	struct door main;
	struct door live;
	uid_t owner_uid; /* of what belongs to no process */
	gid_t owner_gid;
	pthread_key_t request_key; /* -> struct door_request of the thread */
	/* Processes whose directories the kernel has with their attributes, a bit each. To spare work alone:
	 * a wrong bit costs a request. */
	_Atomic uint64_t *known_pids;
};

static inline struct door *door_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

static inline const struct door_request *door_current(struct doors *doors)
{
	return pthread_getspecific(doors->request_key);
}

static inline void door_forget_pid(struct doors *doors, uint32_t pid)
{
	atomic_fetch_and_explicit(
		&doors->known_pids[pid / 64], ~(UINT64_C(1) << pid % 64), memory_order_relaxed);
}

struct caller door_caller(fuse_req_t req);

/* Whom the place is shown to: the caller, or the user whose own file it is. */
struct caller door_reader(fuse_req_t req, const struct place *place);

/* Attributes of a place as this door shows it; stores for how long the kernel may keep them, in seconds. 0 or
 * -errno. */
int door_attr(
	struct door *door, fuse_req_t req, const struct place *place, struct stat *ret, double *ret_timeout);

/*
 * Whether the place's present owner lets the caller read it; the kernel's own check may rest on an earlier
 * one.
 */
bool door_may_read(struct door *door, const struct caller *caller, const struct place *place);

/* Refuses the request with errno and reason, which is kept for `errors` and `why`. */
void door_refuse(fuse_req_t req, const struct place *place, const char *name, const char *written, size_t len,
	struct err *err);

/* The handlers of fuse_files.c and fuse_ops.c, for fuse_session.c. */
void door_fill_name_ops(struct fuse_lowlevel_ops *ops);
void door_fill_file_ops(struct fuse_lowlevel_ops *ops, enum door_kind kind);

/* --- threads --- */

/* Makes what threads need; before the first of them. */
void door_init_threads(struct door *door);
/* Starts n more threads that serve the door's requests. 0, or -errno where fewer could be. */
int door_start_threads(struct door *door, unsigned n);

/* --- streams --- */
int streams_new(struct doors *doors, struct streams **ret);
int streams_start(struct streams *streams);
void streams_read(
	struct streams *streams, fuse_req_t req, struct keep_open *slot, size_t size, bool nonblocking);
void streams_poll(struct streams *streams, fuse_req_t req, struct keep_open *slot, uint64_t poll_handle);
void streams_open(struct streams *streams, struct keep_open *slot);

/* --- ticker --- */
int ticker_new(struct doors *doors, struct ticker **ret);
int ticker_start(struct ticker *ticker);
