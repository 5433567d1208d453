/* SPDX-License-Identifier: MIT */
/* /proc/meminfo (fs/proc/meminfo.c): lines `Key:  N kB`. */
#pragma once

#include "schema/metrics.h"

/* Sets the metrics whose source is MEMINFO, in bytes, and the derived ones. Pure; survives any bytes. */
void meminfo_parse(struct system_values *values, const char *text, size_t len);
