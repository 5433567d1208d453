/* SPDX-License-Identifier: MIT */
/*
 * Names that people choose, each with the directory it stands in, numbered in the order of their first use
 * and never forgotten: a node id carries the number. Kept over a serve's death; thread-safe.
 */
#pragma once

#include <stdint.h>

#include "schema/base/buf.h"
#include "schema/base/kv.h"

struct names;
struct keep;

int names_new(struct keep *keep, struct names **ret_names); /* 0 or -ENOMEM */
void names_free(struct names *names);

/* The number of `name` in the directory with node id `parent`, given now if it had none. -ENOSPC when the
 * table is full. */
int names_intern(struct names *names, uint64_t parent, struct span name, uint32_t *ret_number);

/* The text behind a number, which stays valid; an empty span where there is none. */
struct span names_get(struct names *names, uint32_t number, uint64_t *ret_parent);
void names_put(struct names *names, uint32_t number, struct buf *out);

/* How many numbers are given. */
uint32_t names_count(struct names *names);
