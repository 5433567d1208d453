/* SPDX-License-Identifier: MIT */
/*
 * Lingering: a burst of requests is a chain, for whoever makes them waits for each answer before the next. To
 * sleep in between costs two wake-ups of a processor a request, which where one is halted is more than the
 * answer itself. So while requests come that fast, a thread looks for the next one for a moment before it
 * sleeps. A request that comes alone is not lingered for.
 *
 * Used by one thread at a time: who receives.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
	LINGER_US = 100,    /* longer than it takes to wake who asked */
	LINGER_QUICK = 4,   /* requests in a row that came quickly, before it is worth it */
	LINGER_APART = 300, /* us between an answer and such a request, with the wake-up that was needed */
};

struct linger {
	bool never;          /* on one processor it would keep the next request from being made */
	unsigned quick;      /* requests in a row, at most LINGER_QUICK */
	int64_t answered_ns; /* CLOCK_MONOTONIC: the last one */
};

void linger_init(struct linger *linger);

/* Before a request is received from fd: returns when there is one, or when to sleep is better. */
void linger_for(struct linger *linger, int fd);

/* A request was received; one was answered. */
void linger_received(struct linger *linger);
void linger_answered(struct linger *linger);
