/* SPDX-License-Identifier: MIT */
/* Minutes and hours as rows: a minute's are written with its packed samples, an hour's when it is over, from
 * the minutes. Functions answer as the store does. */
#pragma once

#include "collector/history/history_writer.h"

/* Within the transactions that pack a minute: before its first subject (the node), for each subject, and with
 * the last of them. alive: at the end of what is packed. */
int levels_begin(struct writer *writer, const struct pack_minute *node);
int levels_put(struct writer *writer, int64_t subject, const struct pack_minute *minute, bool alive);
int levels_finish(struct writer *writer);

/* The transaction is stored; or all of the minute will be packed again. */
void levels_packed(struct writer *writer);
void levels_abandon(struct writer *writer);

/* One step of making hours. *ret_more: there is another. */
int levels_step(struct writer *writer, bool *ret_more);
