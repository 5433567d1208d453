/* SPDX-License-Identifier: MIT */
/*
 * Directories that nobody else can change: what is in them is opened, written, and believed (RUN/state says
 * whom to end). So the directory belongs to the effective user and is not writable for others, and on the way
 * to it nobody else can put another in its place: each step belongs to the effective user or to root, and is
 * not writable for all unless it is sticky, as /tmp. A link is followed where it is such a step itself.
 */
#pragma once

#include <sys/types.h>

#include "schema/base/err.h"

/* mkdir -p: the last step gets mode, those before it 0755. 0, or -errno with the reason. */
int own_dir_make(const char *path, mode_t mode, struct err *err);

/*
 * Opens an absolute path without links as a directory of ours; what is in it is opened relative to this
 * descriptor with O_NOFOLLOW. 0, or -errno with the reason; the descriptor is the caller's.
 */
int own_dir_open(const char *path, struct err *err, int *ret_fd);
