/* SPDX-License-Identifier: MIT */
/* What people are told: one line of `events`. */
#pragma once

#include "schema/board.h"

/* About a process, or about the node where pid is 0. The text is escaped here, and cut where it is too long.
 */
void news_push(struct board *board, enum board_news_kind kind, uint32_t pid, const char *text);

/* About all processes of that name. */
void news_push_group(struct board *board, enum board_news_kind kind, const char *comm, const char *text);
