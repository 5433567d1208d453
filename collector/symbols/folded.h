/* SPDX-License-Identifier: MIT */
/*
 * Stacks as lines `outermost;...;innermost BYTES`, as flamegraph.pl and its successors read them, and as
 * fs/plot_flame draws them. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schema/base/buf.h"

/* Appends a frame, from the outermost to the innermost. Any bytes: what would end a frame or a line becomes
 * `:` or `?`; a frame without a name is `-`. */
void folded_put_frame(struct buf *out, const char *name, bool first);

/* Ends the line. */
void folded_put_bytes(struct buf *out, uint64_t bytes);
