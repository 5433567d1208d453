/* SPDX-License-Identifier: MIT */
/* What the child may do: next to nothing. */
#pragma once

#include <sys/types.h>

/*
 * Gives up what this process has but standard error and the descriptor WIRE_SOCKET: other descriptors, root's
 * ids for these (which an ordinary user's process keeps its own of), capabilities, what exec could give,
 * memory and processor time without bound, and all system calls but those that reading needs. 0 or -errno,
 * after which nothing foreign may be read.
 */
int sandbox_enter(uid_t uid, gid_t gid);
