/* SPDX-License-Identifier: MIT */
/*
 * The recorder: takes each tick from the sampler and makes it history, in a thread of its own, so that a slow
 * disk never delays a sweep. The journal has the tick before the next one; a full minute is packed and
 * replaces its journal rows, in transactions short enough to let the next tick in.
 */
#pragma once

#include <stdint.h>

#include "collector/history/history_events.h"
#include "collector/history/history_leaks.h"
#include "collector/remains.h"
#include "schema/base/err.h"
#include "schema/board.h"
#include "schema/metrics.h"
#include "schema/settings.h"

/* What one tick says of one process. Only those that are new, changed or ended stand in a tick. */
struct history_entry {
	uint32_t pid;
	uint32_t uid;
	uint64_t start_ticks;
	int64_t start_s;           /* epoch */
	char comm[BOARD_COMM];     /* the kernel's bytes */
	bool born, renamed, ended; /* renamed: comm or uid is new */
	struct process_values values;
};

struct history_tick {
	int64_t time_ns; /* epoch */
	struct system_values system;
	struct history_events events;
	size_t n;
	struct history_entry entry[];
};

struct recorder;

/*
 * Opens the history in state_dir, sets a damaged one aside (told through `tell`, from the recorder's thread),
 * replays the journal of a crash into minutes, and starts the thread. Where no database can be had the
 * recorder runs without one and tries again every 10 s; ticks are then not kept, and the board says why.
 * boot_uuid: the kernel's random/boot_id. 0 or -errno (no thread).
 */
typedef void recorder_tell_fn(void *ctx, enum board_news_kind kind, const char *text);
int recorder_start(const char *state_dir, const char *boot_uuid, int64_t boot_s, recorder_tell_fn *tell,
	void *ctx, struct recorder **ret_recorder);

/* How long after a failure the database is tried again; 10,000 where it is not said. For tests. */
void recorder_set_retry(struct recorder *recorder, unsigned ms);

/* Records what waits, packs what is open, closes the database, joins the thread. Takes NULL. */
void recorder_stop(struct recorder *recorder);

/* A tick with room for n entries, from malloc; recorder_put takes it over. NULL without memory. */
struct history_tick *history_tick_new(size_t n);
void history_tick_free(struct history_tick *tick); /* takes NULL */

/*
 * Hands a tick over; never waits. A recorder that is more than 10 ticks behind merges: the tick's samples
 * replace those waiting, births and ends are kept, and the loss is counted.
 */
void recorder_put(struct recorder *recorder, struct history_tick *tick);

/*
 * Hands over what remains of those that the next tick says are gone, and empties the batch; never waits. It
 * is stored with that tick, for as long as `ended_keep` says.
 */
void recorder_put_remains(struct recorder *recorder, struct remains_batch *batch);

/*
 * Hands over what traced processes had; never waits. It is stored with a later tick. Minutes are dropped
 * where too many wait; of the ended whoever packs them waits for the one before.
 */
void recorder_put_leaks(struct recorder *recorder, struct history_leaks *leaks);

/* What the board says of history. */
struct recorder_status {
	enum board_history state;
	uint64_t bytes;
	uint64_t dropped;    /* ticks not kept */
	int64_t recorded_ns; /* epoch time of the last tick in the journal */
};
void recorder_status(struct recorder *recorder, struct recorder_status *ret);

/*
 * Settings live in the database as well: read at start, written when changed. Those that are stored, the
 * others as they are by default. 0, or -ENODATA where no database could be opened.
 */
int recorder_load_settings(struct recorder *recorder, struct settings *settings);
/* Waits until they are stored; one caller at a time. 0 or -errno (-EROFS, -ENOSPC, -EIO) with the reason.
 * Applies retention at once.
 */
int recorder_save_settings(struct recorder *recorder, const struct settings *settings, struct err *err);

/* The same of notes. Those that are stored, empty ones else. */
int recorder_load_note(struct recorder *recorder, enum note id, struct note_text *note);
int recorder_save_note(
	struct recorder *recorder, enum note id, const struct note_text *note, struct err *err);

/* The seq of the newest event that is kept; 0 where there is none. */
uint64_t recorder_last_event(struct recorder *recorder);
