/* SPDX-License-Identifier: MIT */
/* /sys/devices/system/node/nodeN/meminfo (drivers/base/node.c): lines `Node N Key:  V kB`. */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum node_metric {
	NODE_METRIC_TOTAL, /* MemTotal */
	NODE_METRIC_FREE,  /* MemFree */
	NODE_METRIC_USED,  /* MemUsed: the kernel's MemTotal - MemFree */
	NODE_METRIC_ANON,  /* AnonPages */
	NODE_METRIC_FILE,  /* FilePages: page cache with tmpfs and shared memory */
	N_NODE_METRICS,
};

struct node_meminfo {
	uint32_t present; /* a bit of enum node_metric each */
	uint64_t bytes[N_NODE_METRICS];
};

/* Sets what the text has, complete lines only; the rest stays absent. Pure; survives any bytes. */
void node_meminfo_parse(struct node_meminfo *node, const char *text, size_t len);
