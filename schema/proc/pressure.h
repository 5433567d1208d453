/* SPDX-License-Identifier: MIT */
/* /proc/pressure/memory (kernel/sched/psi.c): `some avg10=0.00 avg60=0.00 avg300=0.00 total=0` and the same
 * for `full`. */
#pragma once

#include "schema/metrics.h"

/* Sets the metrics whose source is PRESSURE_MEMORY (keys "some avg10" ...), in hundredths of a percent. Pure.
 */
void pressure_memory_parse(struct system_values *values, const char *text, size_t len);
