/* SPDX-License-Identifier: MIT */
/* The tables regions and numa, made of the kernel's text as it comes. */
#pragma once

#include "schema/base/buf.h"
#include "schema/base/kv.h"
#include "schema/proc/pid_numa_maps.h"

void regions_put_head(struct buf *out);

/* Appends a row for each whole mapping of smaps in *rest, which then begins behind them. Returns how many. */
size_t regions_put(struct buf *out, struct span *rest, bool last);

/* The whole table: a row for each node that has some of the process's memory. */
void numa_put(struct buf *out, const struct pid_numa *numa);
