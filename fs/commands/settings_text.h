/* SPDX-License-Identifier: MIT */
/* The settings as prose, made from their rows: `memfs settings`, docs/settings.md, memfs(5). */
#pragma once

#include "schema/base/buf.h"
#include "schema/settings.h"

/* What stands above the list in all of them. */
#define SETTINGS_INTRODUCTION                                                                                     \
	"A setting is a line of nodes/NODE/config: what is written there is checked and applied as a whole,\n"    \
	"survives a restart, and is announced in events. Of sizes K, M, G and T are understood. Some are fixed\n" \
	"for a mount by an option of their name."

/* `1000 ms, 10 to 3600000`. */
void settings_put_range(enum setting setting, struct buf *out);

/* A line each, for a terminal. */
void settings_put_list(struct buf *out);

/* docs/settings.md. */
void settings_put_markdown(struct buf *out);
