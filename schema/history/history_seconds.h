/* SPDX-License-Identifier: MIT */
/* Inside the reader: the seconds of one subject, from the journal and packed minutes. */
#pragma once

#include "schema/history/history.h"

struct history_sample;

struct history_seconds {
	struct store *store;
	int64_t subject;
	struct history_sample *sample; /* the journal's, ascending */
	size_t n, cap, next;
	int64_t *minute; /* which the journal speaks of, ascending, of anybody */
	size_t n_minutes, minutes_cap;
};

/* Reads what the journal has in minutes [from, to]. 0, a store_outcome or -errno; deinit in any case. */
int history_seconds_init(
	struct history_seconds *seconds, struct store *store, int64_t subject, int64_t from, int64_t to);
void history_seconds_deinit(struct history_seconds *seconds);

/* Whether the journal speaks of any of the minutes [from, to]. */
bool history_seconds_touch(const struct history_seconds *seconds, int64_t from, int64_t to);

/* The samples in [from_s, to_s], which is after what was asked for before and within what init read. */
int history_seconds_each(
	struct history_seconds *seconds, int64_t from_s, int64_t to_s, history_fn *fn, void *ctx);
