/* SPDX-License-Identifier: MIT */
/*
 * The files of a memory cgroup, of v1 and v2 alike. They lie where mountinfo says that the file systems of
 * cgroups are, if that is below /sys.
 */
#pragma once

#include "schema/base/buf.h"
#include "schema/board.h"
#include "schema/proc/root.h"

enum cgroup_file { CGROUP_CURRENT, CGROUP_PEAK, CGROUP_MAX, CGROUP_PRESSURE, N_CGROUP_FILES };

struct cgroup_mount {
	char point[128]; /* below sys/; empty: there is none */
	char root[1024]; /* which cgroup is mounted there; empty: the root of all */
};

struct cgroup_mounts {
	struct cgroup_mount memory_v1, unified;
};

/* Finds where they are mounted; where that cannot be told there are none. */
void cgroup_mounts_find(struct cgroup_mounts *mounts, const struct proc_root *root);

/*
 * Appends what the file of a cgroup says: bytes, or `max` for no limit; the lines of pressure as they are. 0;
 * -ENODATA where this kernel, or this cgroup, does not tell; -errno.
 */
int cgroup_file_render(const struct cgroup_mounts *mounts, const struct proc_root *root,
	const struct board_cgroup *cgroup, enum cgroup_file file, struct buf *out);
