/* SPDX-License-Identifier: MIT */
/* The settings of a node: their list, and the one parser of what is written to `config`. Pure. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "schema/base/buf.h"
#include "schema/base/err.h"
#include "schema/base/kv.h"

#define SETTING(id, ...) SETTING_##id,
enum setting {
#include "schema/settings.def"
	N_SETTINGS
};
#undef SETTING

struct setting_row {
	const char *name, *unit;
	uint64_t initial, min, max;
	int sizes; /* K M G T are understood */
	const char *doc;
};
extern const struct setting_row setting_rows[N_SETTINGS];

struct settings {
	uint64_t value[N_SETTINGS];
};

void settings_init(struct settings *settings);

/* The row by name; -1 where there is none. */
int setting_by_name(struct span name);

/*
 * Applies every line `name value` of the text, or none: *settings changes only where all are right.
 * 0, or -EINVAL / -ERANGE with the reason.
 */
int settings_parse(struct settings *settings, const char *text, size_t len, struct err *err);

/* `name value` lines that would set what is in force. */
void settings_render(struct buf *out, const struct settings *settings);
