/* SPDX-License-Identifier: MIT */
/* Clocks in nanoseconds. */
#pragma once

#include <stdint.h>
#include <time.h>

static inline int64_t clock_ns(clockid_t id)
{
	struct timespec ts;
	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* Epoch time; jumps when the clock is set. */
static inline int64_t clock_realtime_ns(void)
{
	return clock_ns(CLOCK_REALTIME);
}

/* Never jumps, stands still in suspend; for intervals. */
static inline int64_t clock_monotonic_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

/* Since boot, suspend included: the clock of a process's start time in /proc/PID/stat. */
static inline int64_t clock_boottime_ns(void)
{
	return clock_ns(CLOCK_BOOTTIME);
}
