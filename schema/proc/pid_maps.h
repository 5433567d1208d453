/* SPDX-License-Identifier: MIT */
/* /proc/PID/maps (fs/proc/task_mmu.c, show_map_vma): a mapping a line, the same that heads it in smaps. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "schema/base/kv.h"

struct pid_mapping {
	uint64_t start, end;
	struct span perms;     /* "r-xp" */
	uint64_t offset;       /* bytes, of start in the file */
	uint32_t major, minor; /* of the file's device; not always what stat(2) says (btrfs, overlayfs) */
	uint64_t inode;        /* 0: no file */
	struct span name;      /* as the kernel writes it, a newline as \012; empty for one without a name */
};

/* `start-end perms offset device inode   name`, without its newline. Pure; survives any bytes. */
bool pid_maps_parse_line(struct span line, struct pid_mapping *ret);

/*
 * The next mapping of *rest, which then begins behind it; its spans point into the text. A line is whole once
 * its newline is there, or all of the text (`last`): false where none is, and *rest begins with what was not
 * taken. Lines that are no mapping are passed over.
 */
bool pid_maps_next(struct span *rest, bool last, struct pid_mapping *ret);
