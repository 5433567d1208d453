/* SPDX-License-Identifier: MIT */
#include "fs/fuse/linger.h"

#include <poll.h>
#include <sched.h>

#include "schema/base/clock.h"

static const int64_t us_ns = 1000;

void linger_init(struct linger *linger)
{
	cpu_set_t processors;

	*linger = (struct linger) { 0 };
	linger->never = sched_getaffinity(0, sizeof(processors), &processors) || CPU_COUNT(&processors) < 2;
}

void linger_for(struct linger *linger, int fd)
{
	struct pollfd ready = { .fd = fd, .events = POLLIN };

	if (linger->quick < LINGER_QUICK)
		return;
	while (!poll(&ready, 1, 0)) {
		if (clock_monotonic_ns() - linger->answered_ns > LINGER_US * us_ns) {
			linger->quick = 0;
			return;
		}
	}
}

void linger_received(struct linger *linger)
{
	if (linger->never || clock_monotonic_ns() - linger->answered_ns > LINGER_APART * us_ns)
		linger->quick = 0;
	else if (linger->quick < LINGER_QUICK)
		linger->quick++;
}

void linger_answered(struct linger *linger)
{
	linger->answered_ns = clock_monotonic_ns();
}
