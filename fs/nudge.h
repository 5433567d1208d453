/* SPDX-License-Identifier: MIT */
/*
 * Tells the collector that somebody looks at the totals of a traced process, so that it counts them now
 * rather than at its own time. Never waits: a thread of its own asks. Thread-safe.
 */
#pragma once

#include <stdint.h>

struct control_client;
struct nudges;

int nudges_new(struct control_client *control, struct nudges **ret_nudges); /* 0 or -errno */
void nudges_free(struct nudges *nudges);                                    /* takes NULL */

/* Of a process that waits already, or where too many do, nothing more happens. */
void nudge(struct nudges *nudges, uint32_t pid, uint64_t start_ticks);
