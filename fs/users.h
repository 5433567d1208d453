/* SPDX-License-Identifier: MIT */
/*
 * Names of users, as etc/passwd below the root has them. The C library's getpwuid may ask a directory service
 * over a network or a socket, for seconds, in whatever thread calls it; serve has no network, and its main
 * thread never waits. So a user of such a service is shown by number. Not thread-safe.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "schema/base/buf.h"
#include "schema/base/kv.h"
#include "schema/proc/root.h"

struct users;

int users_new(const struct proc_root *root, struct users **ret_users); /* 0 or -ENOMEM */
void users_free(struct users *users);                                  /* takes NULL */

/* Reads etc/passwd again where it changed since. Where it cannot be read all users are numbers. */
void users_refresh(struct users *users);

/*
 * The name of a user as a directory is called: the first in passwd, unless it is a number, or that of another
 * uid as well; else the uid.
 */
void users_put(const struct users *users, uint32_t uid, struct buf *out);

/* The user of such a name, or of any other of theirs, or with that number; false where there is none. */
bool users_find(const struct users *users, struct span name, uint32_t *ret_uid);
