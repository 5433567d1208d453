/* SPDX-License-Identifier: MIT */
/*
 * Another user's rights, lent to one thread for as long as it opens a file: so the kernel itself decides, at
 * that moment and in one step with the opening, whether that user may look into a process.
 */
#pragma once

#include <stdbool.h>
#include <sys/capability.h>
#include <sys/types.h>

#include "schema/base/err.h"

struct rights {
	cap_t own; /* NULL: nothing was changed */
};

/*
 * Gives the calling thread, and no other, the file system ids of the user and no capability. For uid 0, and
 * for a collector that is not root (whose rights are its one user's), nothing changes. 0, or -EPERM where
 * ids cannot be changed, -ENOMEM; each 0 is followed by rights_restore in the same thread.
 */
int rights_lend(uid_t uid, gid_t gid, struct rights *ret);
void rights_restore(struct rights *rights);

/*
 * Whether uid is root or owns the process now, given its directory or that of a thread of it, and the group
 * of who owns it. PROC_OK, PROC_GONE, -EACCES with the reason, or -errno. What is opened afterwards is to be
 * decided once more, by the kernel: a process may exec a setuid program at any moment.
 */
int rights_check_owner(uid_t uid, int living, gid_t *ret_gid, struct err *err);
