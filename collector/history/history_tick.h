/* SPDX-License-Identifier: MIT */
/* Two ticks made one, for a recorder that is behind. */
#pragma once

#include "collector/history/history.h"

/*
 * What `second` says, with what only `first` says: samples of the second replace those of the first, births,
 * names and ends of both are kept. Takes both over. NULL without memory; both are then freed.
 */
struct history_tick *history_tick_merge(struct history_tick *first, struct history_tick *second);
