/* SPDX-License-Identifier: MIT */
/*
 * Where work that may wait is parked, so that the thread of the main session never does: a few threads, made
 * when needed, take jobs in order. What a user has asked for may wait for a process of theirs that keeps its
 * mmap lock, so no user has more than a share of the threads, and of the places before them.
 */
#pragma once

#include <stdint.h>

struct parking;
typedef void parking_fn(void *job);

/* In place of a user: of a job that ends by itself in a moment, which takes nobody's share. */
#define PARKING_BRIEF UINT32_MAX

int parking_new(struct parking **ret); /* 0 or -ENOMEM */

/* Runs fn(job) in one of the threads. 0; -EAGAIN where too much is parked already, of all or for this user.
 */
int parking_submit(struct parking *parking, uint32_t uid, parking_fn *fn, void *job);
