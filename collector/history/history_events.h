/* SPDX-License-Identifier: MIT */
/*
 * Events on their way from the board's ring to the history: all that are rare, and of starts and exits no
 * more than a bounded number a tick. What is left out is counted, and told in one line of kind dropped.
 */
#pragma once

#include "schema/board.h"

enum {
	EVENTS_ROUTINE_MAX = 256, /* starts and exits kept of one tick */
	EVENTS_MAX = 2048,        /* of any kind, of all ticks that wait */
};

struct history_events {
	size_t n, cap;
	struct board_news *news; /* ascending by seq */
	unsigned routine;        /* starts and exits among them */
	uint64_t left_out[N_NEWS_KINDS];
	uint64_t overwritten; /* in the ring before they were looked at */
	uint64_t last_seq;    /* of what is not among them, the newest */
	int64_t last_ns;
};

void history_events_deinit(struct history_events *events);

/* Takes what the ring has from *next_seq on, and moves that on. The thread that writes the board alone. */
void history_events_collect(struct history_events *events, const struct board *board, uint64_t *next_seq);

/* Appends what `from` has, which is empty then. */
void history_events_move(struct history_events *into, struct history_events *from);

/* The line that tells what was left out. False where nothing was. */
bool history_events_dropped(const struct history_events *events, struct board_news *ret);
