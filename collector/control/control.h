/* SPDX-License-Identifier: MIT */
/* What the operations of the control channel do. */
#pragma once

#include "collector/history/history.h"
#include "collector/inquiry/inquiry.h"
#include "schema/note.h"
#include "schema/settings.h"

/* Called in the loop thread after the settings changed. */
typedef void control_changed_fn(void *ctx, const struct settings *settings);

/* The same after a note changed. */
typedef void control_note_changed_fn(void *ctx, enum note id, const struct note_text *note);

struct leaks;
struct control {
	struct inquiries *inquiries;
	struct jobs *jobs;
	struct leaks *leaks;
	struct recorder *recorder; /* NULL: settings last as long as the collector */
	struct settings stored;    /* what the store has */
	struct settings in_force;  /* the same but for what the command line said */
	struct settings fixed;     /* by the command line: refused to be written otherwise; 0: not */
	struct note_text notes[N_NOTES];
	control_changed_fn *changed;
	control_note_changed_fn *note_changed;
	void *ctx;
	struct kept_write *first, **last; /* being stored, and waiting behind it */
};

/* The kinds of lines of each note. */
extern const struct note_kind control_note_kind[N_NOTES];

void control_init(struct control *control);

/* The handler of the control server; ctx is the struct control. */
void control_handle(void *ctx, struct control_call *call);
