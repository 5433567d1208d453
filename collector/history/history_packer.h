/* SPDX-License-Identifier: MIT */
/*
 * Turns the ticks of one minute into packed minutes, subject by subject: all ticks are walked side by side,
 * each once. The recorder packs with it what it has just journalled, and after a crash what its predecessor
 * had.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schema/base/buf.h"
#include "schema/history/pack.h"

struct packer_tick {
	size_t offset, len; /* in bytes */
	unsigned second;
	struct pack_cursor cursor;
	struct pack_change change;
	enum pack_step step;
};

struct packer {
	struct buf bytes; /* the ticks, one behind the other */
	struct packer_tick *tick;
	size_t n, cap;
};

void packer_init(struct packer *packer);
void packer_deinit(struct packer *packer);

/* Adds a tick, in the order in which they were taken; second: of the minute, 0 to 59. 0 or -ENOMEM. */
int packer_add(struct packer *packer, unsigned second, const void *bytes, size_t len);

/* After the last tick: what is no tick is left out; stores how many these were. */
void packer_ready(struct packer *packer, size_t *ret_bad);

/*
 * The next subject, ascending, and its samples; a minute without samples is possible (born and gone between
 * two). *ret_alive: it was there in the last tick. False where there is none left. node_columns and
 * process_columns: of subject 0, of all others.
 */
bool packer_next(struct packer *packer, unsigned node_columns, unsigned process_columns, int64_t *ret_subject,
	struct pack_minute *ret_minute, bool *ret_alive);
