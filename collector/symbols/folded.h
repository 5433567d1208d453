/* SPDX-License-Identifier: MIT */
/*
 * A stack as a line `outermost;...;innermost BYTES`, as flamegraph.pl and its successors read it, and as
 * fs/plot_flame draws it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schema/base/buf.h"

/* Begins a line, adds frames from the outermost on, ends it. Names may hold any bytes. */
void folded_put_frame(struct buf *out, const char *name, bool first);
void folded_put_bytes(struct buf *out, uint64_t bytes);
