/* SPDX-License-Identifier: MIT */
/* What is looked for at each tick and told as an event: alerts and growth; and what was told, over the death
 * of a collector. */
#pragma once

#include "collector/alerts/alerts.h"
#include "collector/alerts/growth_watch.h"
#include "collector/sample/sampler.h"

struct alarms {
	struct alerts alerts;
	struct growth_watch growth;
	bool too_many; /* told that more alerts hold than can be followed */
};

void alarms_deinit(struct alarms *alarms);

/* Takes up what a predecessor told; after alarms_set. */
void alarms_restore(struct alarms *alarms, const struct sampler *sampler, const struct board *board);

void alarms_set(struct alarms *alarms, const struct note_text *note, struct board *board);

/* After the sampler's tick. */
void alarms_tick(struct alarms *alarms, const struct sampler *sampler, const struct settings *settings,
	struct board *board);
