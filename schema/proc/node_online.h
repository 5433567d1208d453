/* SPDX-License-Identifier: MIT */
/* /sys/devices/system/node/online (drivers/base/node.c): the NUMA nodes as a list of ranges, `0-1,3`. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The smallest node >= from; false where there is none. Ranges that make no sense hold none. Pure; survives
 * any bytes. */
bool node_online_next(const char *text, size_t len, uint32_t from, uint32_t *ret_node);
