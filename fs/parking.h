/* SPDX-License-Identifier: MIT */
/*
 * Where work that may wait is parked, so that the thread of the main session never does: a few threads, made
 * when needed, take jobs in order.
 */
#pragma once

struct parking;
typedef void parking_fn(void *job);

int parking_new(struct parking **ret); /* 0 or -ENOMEM */

/* Runs fn(job) in one of the threads. 0; -EAGAIN where too much is parked already. */
int parking_submit(struct parking *parking, parking_fn *fn, void *job);
