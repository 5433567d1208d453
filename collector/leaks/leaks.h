/* SPDX-License-Identifier: MIT */
/*
 * Leaks of traced processes: counts what their regions say and publishes it, tells of new suspects, answers
 * who asks, keeps what those had that ended.
 *
 *   table.h      a region: blocks, places
 *   tally.h      blocks by site          records.h   blocks by age
 *   site_name.h, namer.h  what a site is called
 *   book.h       what is remembered of sites between counts
 *   report.h     all of it at one instant
 *   leak_files.h the tables of a process, for whoever may read them
 *
 * Totals are counted in a worker where a process ran since they last were, or blocks may have become old
 * meanwhile: of each every WATCH_PAUSE_S at the most, of all for at most a WATCH_SHARE-th of a processor.
 * Whoever reads `leaks/stat` has its process counted at once.
 */
#pragma once

#include "collector/control/control_server.h"
#include "collector/history/history.h"
#include "collector/inquiry/inquiry.h"
#include "collector/leaks/regions.h"
#include "collector/sample/sampler.h"
#include "collector/symbols/symbols.h"
#include "schema/board.h"
#include "schema/note.h"
#include "schema/settings.h"

struct leaks;
struct leaks_options {
	struct sampler *sampler;
	struct board *board;
	struct recorder *recorder;       /* NULL: nothing is kept */
	const char *state_dir;           /* whose people are told */
	const struct settings *settings; /* those in force, whatever they become */
	const struct note_text *notes;   /* [N_NOTES] the same; leaks_notes_changed tells */
};

/* regions: what they are told, but for their hooks; NULL of a captured machine, whose processes cannot be
 * traced. 0 or -errno. */
int leaks_new(
	const struct leaks_options *options, const struct regions_options *regions, struct leaks **ret_leaks);
/* Ends the workers that count and pack, and gives the recorder what they have: it may stop then. Takes NULL.
 */
void leaks_stop(struct leaks *leaks);

/* Waits for what is under way: see leaks_busy. The regions stay held by the supervisor. Takes NULL. */
void leaks_free(struct leaks *leaks);

/* What people say of wrappers and known leaks is other than before: names are chosen anew, and all processes
 * counted. Takes NULL. */
void leaks_notes_changed(struct leaks *leaks);

/* What `status` says of regions. */
void leaks_say_health(const struct leaks *leaks, struct board_health *health);

/* As regions_busy: what is under way may take for ever. */
bool leaks_busy(const struct leaks *leaks);

/* Readable when leaks_dispatch has something to do. */
int leaks_fd(const struct leaks *leaks);
void leaks_dispatch(struct leaks *leaks);

/* Once a tick, after sampler_tick and before its remains are handed on. */
void leaks_tick(struct leaks *leaks);

/* The kernel told that the process runs another program. */
void leaks_told_exec(struct leaks *leaks, uint32_t pid);

/* Operations of the control channel; each answers its call, now or later. */
void leaks_set_trace(struct leaks *leaks, struct inquiries *inquiries, struct control_call *call);
void leaks_set_min_age(struct leaks *leaks, struct inquiries *inquiries, struct control_call *call);
void leaks_count_soon(struct leaks *leaks, struct control_call *call);
void leaks_answer_all(struct leaks *leaks, struct control_call *call);
void leaks_answer_group(struct leaks *leaks, struct control_call *call);
