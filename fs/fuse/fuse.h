/* SPDX-License-Identifier: MIT */
/* What the supervisor and serve use of the FUSE door. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "schema/base/buf.h"
#include "schema/base/err.h"

struct keep;
struct tree;
struct view;
struct doors;

enum {
	DOOR_THREADS = 4,      /* at the start, but for the main session, which has one */
	DOOR_THREADS_MAX = 64, /* where requests take long */
};

/*
 * MAIN: numbers and settings, one thread, no OPEN, cached by the kernel; tables and streams are links into
 * LIVE, where each open is a snapshot. SINGLE: all in one session, OPEN answered by class.
 */
enum door_kind { DOOR_MAIN, DOOR_LIVE, DOOR_SINGLE };

/* --- the supervisor --- */

/*
 * Mounts a connection on dir and stores the descriptor of /dev/fuse, which belongs to the caller. `everyone`:
 * other users may look (root only). An ordinary user's mount goes through fusermount3. 0, or -errno with the
 * reason.
 */
int fuse_mount_door(
	const char *dir, enum door_kind kind, const char *name, bool everyone, int *ret_fd, struct err *err);

/*
 * Unmounts. lazy: also while it is in use or its server is dead; the connection is aborted, so that nobody
 * waits for an answer for ever. 0 or -errno.
 */
int fuse_unmount_door(const char *dir, bool lazy);

/* Reads the FUSE_INIT that a fresh connection begins with, for every serve to come. 0 or -errno. */
int fuse_read_init(int fd, struct buf *ret_init);

/* Whether dir is a mount point of memfs, alive or dead. Asks the kernel alone. */
bool fuse_is_mounted(const char *dir);

/* Appends the directories where a memfs is mounted, alive or dead, NUL-terminated each. 0 or -errno. */
int fuse_list_mounts(struct buf *out);

enum fuse_mount_state { FUSE_NOT_MOUNTED, FUSE_MOUNTED, FUSE_DEAD };
/* The same, and whether a server answers: it is asked, by another process, for a time. */
enum fuse_mount_state fuse_mount_state(const char *dir);

/* --- serve --- */

struct doors_options {
	bool single;
	int main_fd, live_fd; /* live_fd: -1 where single */
	const struct buf *main_init, *live_init;
	uid_t uid; /* owner of what belongs to no process */
	gid_t gid;
};

/* Outcome of doors_start: the connection cannot be taken over here (before Linux 6.9), mount anew. */
enum doors_outcome { DOORS_OK = 0, DOORS_REMOUNT = 1 };

/*
 * Takes the connections over and starts their threads. Requests that a predecessor died with are sent again
 * by the kernel. 0, DOORS_REMOUNT or -errno.
 */
int doors_start(struct view *view, struct keep *keep, bool successor, const struct doors_options *options,
	struct doors **ret);

/* For how long the main thread has been with one request: nanoseconds, 0 while it waits for requests. */
int64_t doors_busy_ns(struct doors *doors);

/* Waits until the main session has been unmounted. */
void doors_join(struct doors *doors);
