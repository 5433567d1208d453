/* SPDX-License-Identifier: MIT */
/*
 * /proc/PID/cgroup (kernel/cgroup/cgroup.c, proc_cgroup_show): lines `HIERARCHY:CONTROLLERS:PATH`, and the
 * unit that a process belongs to by them.
 *
 * The unit is a component of a path: the innermost that ends as those units of systemd which have processes
 * (.service .scope .mount .socket .swap); else the innermost .slice; else the last component, for where
 * another program makes the cgroups. What lies below it are parts of the unit (delegated cgroups). Three
 * hierarchies can name it, the best rule wins, then their order: `name=systemd` (cgroup v1), the unified one
 * (v2), that of the v1 memory controller. Who is in the root of all has no unit.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "schema/base/kv.h"

enum cgroup_hierarchy { CGROUP_MEMORY_V1 = 1, CGROUP_UNIFIED = 2 };

struct pid_cgroup {
	struct span path;     /* "/system.slice/sshd.service": down to the unit; empty: in none */
	struct span unit;     /* "sshd.service", the end of it */
	unsigned hierarchies; /* bits of enum cgroup_hierarchy: where that path is a cgroup of the process */
};

/*
 * Takes a text apart; the spans point into it. The ` (deleted)` behind the path of a cgroup that was removed
 * under a zombie is not part of it; a path with a component `..` (of a cgroup outside of the reader's
 * namespace) is in no hierarchy, for it leads nowhere. Pure; survives any bytes.
 */
void pid_cgroup_parse(struct pid_cgroup *cgroup, const char *text, size_t len);

/* "sshd.service" of "/system.slice/sshd.service"; the whole where there is no slash. */
struct span cgroup_unit(struct span path);

/* Whether a list like `rw,memory` has the controller; the options of a mount are such a list as well. */
bool cgroup_has_controller(struct span list, const char *name);
