/* SPDX-License-Identifier: MIT */
/*
 * What the recorder's thread does, without the thread: holds the database and what lives, writes ticks to the
 * journal, packs minutes and lets old ones go, in steps. Functions that touch the database answer as the
 * store does.
 *
 * A *segment* is a key tick and those that follow it. The open segment is never packed; a new minute, a clock
 * that went back, and a tick that could not be written each begin a new one.
 */
#pragma once

#include "collector/history/history.h"
#include "collector/history/history_chain.h"
#include "collector/history/history_live.h"
#include "collector/history/history_packer.h"
#include "schema/store/store.h"

enum { WRITER_NODE_COLUMNS_MAX = N_SYSTEM_METRICS };

/* What the tick before knew of a process that this one names. */
struct writer_touched {
	uint32_t place;
	uint64_t present;
	uint64_t value[LIVE_COLUMNS];
};

struct writer_ended {
	int64_t subject; /* 0: born since the last tick, and gone before it had a row */
	int64_t start_s, end_s;
	uint64_t start_ticks;
	uint32_t pid, uid;
	char comm[BOARD_COMM];
	bool told; /* a tick of this segment named it as living */
};

struct writer {
	const char *state_dir, *boot_uuid;
	int64_t boot_s;
	struct store *store; /* NULL while there is none */
	int64_t boot;
	struct settings settings;
	struct note_text notes[N_NOTES];
	bool settings_pending; /* this database has not got them, nor the notes */
	bool first_tick;       /* none was written since the database was opened */

	struct live_table live;
	struct system_values system;
	unsigned node_columns, process_columns;
	uint8_t node_metric[WRITER_NODE_COLUMNS_MAX], process_metric[LIVE_COLUMNS];
	uint64_t node_present;
	uint64_t node_value[WRITER_NODE_COLUMNS_MAX]; /* as the last tick written has it */

	struct writer_touched *touched;
	size_t n_touched, touched_cap;
	struct writer_ended *ended;
	size_t n_ended, ended_cap, n_ended_before; /* before: of ticks that could not be written */

	struct history_events events; /* not written yet */
	size_t events_put;            /* since the oldest were last let go */
	uint64_t last_event;          /* seq; 0: none is in the database */
	struct remains_batch remains; /* to be stored with the next tick that is */
	bool remains_due;             /* some may have to go */

	bool key;         /* the next tick has to be one */
	int64_t last_ns;  /* of the tick last written */
	int64_t open_seq; /* first row of the open minute; 0: none */
	struct buf blob;

	struct packer packer;
	bool packing, minute_is_new;
	int64_t packing_minute, packing_last_seq;

	/* Minutes and hours as rows. */
	struct chain minutes, hours;
	uint64_t node_counters;       /* columns of the node */
	struct level_row node_minute; /* the node's row of the minute being packed */
	struct level_row node_hour;   /* and of the hour being summed */
	bool hours_due, summing;
	int64_t hour;
	int64_t *hour_subject; /* those of the hour, ascending */
	size_t n_hour, hour_cap, at_hour;

	bool retention_due;
	int64_t swept_s;                  /* who ended up to here and never had a sample is gone */
	int64_t retention_ns, shorten_ns; /* monotonic: when each was last done */
};

void writer_init(struct writer *writer, const char *state_dir, const char *boot_uuid, int64_t boot_s);
void writer_deinit(struct writer *writer); /* closes */

/* Opens the database; the first time its settings come from there, later ones go there. */
int writer_open(struct writer *writer, struct err *err);
void writer_close(struct writer *writer);

/* Takes in what a tick says, and its events away; needs no database. 0 or -ENOMEM. */
int writer_apply(struct writer *writer, struct history_tick *tick);

/* Journals what was applied since. On failure nothing is kept, and the next one is a key tick that has it
 * all. */
int writer_write(struct writer *writer, int64_t time_ns);

/* Forgets what a tick would have been written against; for a tick that is not written at all. */
void writer_skip(struct writer *writer);

/* One step of packing or retention. *ret_more: there is another. */
int writer_step(struct writer *writer, bool *ret_more);

/* Ends the open segment, so that writer_step packs it too. */
void writer_end_segment(struct writer *writer);

int writer_put_settings(struct writer *writer, const struct settings *settings);
int writer_put_note(struct writer *writer, enum note id, const struct note_text *note);

/* --- history_writer_events.c: within a transaction --- */
int writer_write_events(struct writer *writer);
int writer_load_last_event(struct writer *writer); /* its seq, or 0 */
int writer_load_notes(struct writer *writer);
int writer_store_notes(struct writer *writer);
