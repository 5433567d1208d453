/* SPDX-License-Identifier: MIT */
/*
 * The one door to /proc and /sys, and to what /etc says of users. Everything is opened below a root directory
 * that holds proc/, sys/ and etc/: "/" on a machine, a captured tree in tests.
 *
 * A process is held by the descriptor of its directory, which stays bound to that very process: when its pid
 * is used again, reads through the old descriptor answer ESRCH, never the newcomer's data.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "schema/base/buf.h"

struct proc_root {
	int proc;  /* O_PATH of ROOT/proc */
	int sys;   /* O_PATH of ROOT/sys; -1 where there is none */
	int etc;   /* O_PATH of ROOT/etc; -1 where there is none */
	bool real; /* ROOT is "/" */
};
#define PROC_ROOT_INIT ((struct proc_root) { -1, -1, -1, false })

/* Opens `dir` ("/" for the machine). 0 or -errno (-ENOENT where it has no proc/). */
int proc_root_init(struct proc_root *root, const char *dir);
void proc_root_deinit(struct proc_root *root);

/* Where sys/ is in paths that the kernel tells, as in mountinfo. */
#define PROC_ROOT_SYS "/sys/"

enum proc_outcome { PROC_OK = 0, PROC_GONE = 1 };

/*
 * Reads a file whole into out, from its beginning, appending. `at` is a descriptor of the root or one
 * from proc_open_pid. PROC_GONE where the process ended; other failures are -errno: -ENOENT for a file that
 * this kernel does not have, -ESRCH for one that needs memory of a process that lives without any
 * (smaps_rollup of a kernel thread or a zombie). A buffer that does not grow needs a byte more than the file.
 * On failure out has what it had.
 */
int proc_read(int at, const char *path, struct buf *out);

/*
 * The same into a caller's array with one read(2), for files that the kernel prints at once (stat, statm,
 * status, comm, cgroup, meminfo): what does not fit is cut. Stores the length.
 */
int proc_read_short(int at, const char *path, char *out, size_t cap, size_t *ret_len);

/* Appends the mountinfo of this process, whatever root is looked at. 0 or -errno. */
int proc_read_mounts(struct buf *out);

/*
 * Whether /proc shows processes to their owners alone, or less of them to others: its option hidepid (Linux
 * 3.3), in digits, since 5.8 in words, which is stored, cut where it does not fit.
 */
bool proc_hides_pids(char *ret_how, size_t cap);

/*
 * A directory descriptor of a process. PROC_GONE where no such process is; -errno else. As in /proc, the id
 * of a thread opens too, unlisted: who is given a number by a person compares Tgid of its status.
 */
int proc_open_pid(const struct proc_root *root, uint32_t pid, int *ret_fd);

/*
 * Where the numbers of a process are: its directory; or, where the leader has ended while other threads live,
 * that of a living thread (a zombie leader's statm is all zero). Takes the directory's descriptor; stores
 * another to read numbers through, which is the caller's to close. PROC_GONE where no thread lives. A
 * thread's stat counts the faults of that thread alone: faults are read from the process's own directory,
 * also when it is a zombie.
 */
int proc_open_living_thread(int pid_fd, int *ret_fd);

/*
 * Opens a file of a process (or of a root) with these open(2) flags. A kernel file that shows memory keeps
 * that of this moment: what the process becomes by a later exec is not seen through it. PROC_GONE and -errno
 * as proc_read.
 */
int proc_open_file(int at, const char *path, int flags, int *ret_fd);

/*
 * Sees the text read so far and not yet taken, and returns how many of its bytes it takes, or -errno to end
 * the reading. `last`: nothing follows.
 */
typedef ssize_t proc_take(void *ctx, const char *text, size_t len, bool last);

/* Reads what proc_open_file opened below `at` in pieces, for files that are long. What take returned, or as
 * proc_read. */
int proc_read_pieces(int at, int fd, proc_take *take, void *ctx);

/* Appends where a link of a process (exe) leads. As proc_read. */
int proc_read_link(int at, const char *path, struct buf *out);

/* Whether a process (or a root) has a file of that name; links are not followed. */
bool proc_has_file(int at, const char *path);

/*
 * Whom the files of a process belong to: its effective user and group, or root's where it may not be dumped
 * (it ran a setuid program, changed its ids, or said so): who may look into it. PROC_GONE or -errno.
 */
int proc_read_owner(int at, uid_t *ret_uid, gid_t *ret_gid);

/* The pids of a root, ascending. Starts as all zero. */
struct proc_pids {
	uint32_t *pid;
	size_t n, cap;
};
int proc_list_pids(
	const struct proc_root *root, struct proc_pids *pids); /* 0 or -errno (then none); reuses the array */
void proc_pids_deinit(struct proc_pids *pids);
