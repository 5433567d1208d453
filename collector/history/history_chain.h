/* SPDX-License-Identifier: MIT */
/*
 * Which processes need a row of a minute or an hour: those of whom something changed. Units are told in the
 * order in which they are packed, the processes of each by subject. Pure but for memory.
 *
 * What it keeps of a unit is who was there at its end, and what held throughout. A *key* unit names everyone:
 * the first, one after a gap or a jump of the clock, and one each level_key_period.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/history/history_live.h"
#include "schema/history/level.h"

struct chain_held {
	int64_t subject;
	bool constant;
	uint64_t present;
	uint64_t value[LIVE_COLUMNS];
};

struct chain {
	enum level level;
	uint64_t counters; /* columns of a process */
	bool whole;        /* `before` is that of unit `last`, whole */
	int64_t last;
	struct chain_held *before, *now;
	size_t n_before, at, n_now, cap_before, cap_now; /* at: those of before that were told or were lost */

	/* Of the unit under way. */
	int64_t unit, since;
	bool key;
	unsigned samples; /* of the node */
};

void chain_init(struct chain *chain, enum level level);
void chain_deinit(struct chain *chain);

/* The next unit is a key unit. */
void chain_break(struct chain *chain);

/* Begins a unit that has so many samples of the node. `key`: it must be one, whatever came before. */
void chain_begin(struct chain *chain, int64_t unit, unsigned samples, bool key);

/* Somebody before `subject` who was there at the end of the unit before and is not named in this one; false
 * where there is none (left). */
bool chain_lost(struct chain *chain, int64_t subject, int64_t *ret_subject);

/* Whether the row has to be written. A row without samples is that of one who was not there. */
bool chain_wants(struct chain *chain, int64_t subject, const struct level_row *row);

/* The unit is complete and stored. */
void chain_end(struct chain *chain);
