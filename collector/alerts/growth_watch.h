/* SPDX-License-Identifier: MIT */
/* Watches all processes for steady growth of their anonymous memory (collector/alerts/growth.h) and tells of
 * it. */
#pragma once

#include <stdint.h>

#include "collector/alerts/growth.h"
#include "collector/sample/table.h"
#include "schema/board.h"
#include "schema/settings.h"

struct growth_watch {
	int64_t due_ns;    /* monotonic: when the next samples are taken; 0: now */
	uint64_t window_s; /* the samples that there are were taken for this one */
	bool changed;      /* who grows, since growth_watch_save */
};

/*
 * Takes samples where they are due, and pushes an event for each process that began to grow or stopped. Small
 * ones, which cannot have grown by growth_bytes, cost a look.
 */
void growth_watch_tick(struct growth_watch *watch, const struct process_table *table,
	const struct settings *settings, int64_t now_ns, struct board *board);

/* Who grows, for the next collector, which tells nothing twice. */
void growth_watch_save(
	struct growth_watch *watch, const struct process_table *table, struct board_firing *firing);
void growth_watch_restore(const struct process_table *table, const struct board_firing *firing);
