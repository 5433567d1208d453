/* SPDX-License-Identifier: MIT */
/*
 * Twins: beside each table and flat-keyed file NAME stands NAME.json, the same at that instant for programs.
 * A table becomes an array with an object a row, keys of columns and lines as they are. A value is a number,
 * `-` is null, what the row declares as `strings` is a string; escapes in strings stay as they stand in the
 * table, and a byte that is no UTF-8 becomes one.
 */
#pragma once

#include "fs/node.h"
#include "schema/base/kv.h"

#define TWIN_SUFFIX ".json"

/* Of a row that tree_init made: renders the row it is a twin of. As any render. */
int twin_render(struct view *view, const struct place *place, const struct caller *caller, struct buf *out);

/* Pure. `strings`: names of columns or keys with blanks between, or NULL. */
void twin_put_table(struct buf *out, struct span text, const char *strings);
void twin_put_keyed(struct buf *out, struct span text, const char *strings);
