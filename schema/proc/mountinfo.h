/* SPDX-License-Identifier: MIT */
/* /proc/PID/mountinfo (fs/proc_namespace.c, show_mountinfo): a line a mount. */
#pragma once

#include <stdbool.h>

#include "schema/base/kv.h"

/* The columns that tell where a file system is seen; blanks in them are \040 still. */
struct mountinfo {
	struct span root;    /* what of the file system is mounted: "/" all */
	struct span point;   /* where */
	struct span type;    /* "cgroup2" */
	struct span options; /* of the file system: "rw,memory" */
};

/* The next line of *rest that is a mount. False at the end. Pure; survives any bytes. */
bool mountinfo_next(struct span *rest, struct mountinfo *ret);
