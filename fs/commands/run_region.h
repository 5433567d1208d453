/* SPDX-License-Identifier: MIT */
/*
 * What `memfs run` prepares for the program: the shim, a shadow region that was made and registered before
 * the program begins, so that the shortest of lives is on record, and the words by which the shim is told
 * (schema/shadow.h).
 */
#pragma once

#include "schema/base/buf.h"
#include "schema/base/err.h"

/* Appends the path of the shim with its NUL: beside the program memfs as built, or where it is installed. 0
 * or -ENOENT. */
int run_find_library(struct buf *out, struct err *err);

/* exact, off, sample[=BYTES], stacks[=BYTES]: appends it as SHADOW_TRACE_VARIABLE has it, with its NUL. 0 or
 * -EINVAL with the reason. */
int run_put_mode(struct buf *out, const char *text, struct err *err);

/*
 * Makes a region and stores its descriptor, which stays open over exec and is the caller's. 0; -EFBIG where
 * RLIMIT_FSIZE forbids it, and the shim will make what it may; or another -errno with the reason.
 */
int run_make_region(int *ret_fd, struct err *err);

/*
 * Offers the region to the collectors that listen: in `run`, or, where that is NULL, in those of /run/memfs*.
 * The process that calls is taken for the one that it is of, also after exec. 0, or -ENOENT with the reason
 * where none listens.
 */
int run_offer_region(int fd, const char *run, struct err *err);

/* Whether a run directory has the socket for that. */
bool run_has_socket(const char *run);
