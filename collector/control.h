/* SPDX-License-Identifier: MIT */
/* What the operations of the control channel do. */
#pragma once

#include "collector/history.h"
#include "collector/inquiry.h"
#include "schema/settings.h"

/* Called in the loop thread after the settings changed. */
typedef void control_changed_fn(void *ctx, const struct settings *settings);

struct control {
	struct inquiries *inquiries;
	struct jobs *jobs;
	struct recorder *recorder; /* NULL: settings last as long as the collector */
	struct settings stored;    /* what the store has */
	struct settings in_force;  /* the same but for what the command line said */
	control_changed_fn *changed;
	void *ctx;
	struct config_write *first, **last; /* being stored, and waiting behind it */
};

void control_init(struct control *control);

/* The handler of the control server; ctx is the struct control. */
void control_handle(void *ctx, struct control_call *call);
