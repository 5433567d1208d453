/* SPDX-License-Identifier: MIT */
/*
 * What the tests of fs/ stand on: a keep, a toy tree whose numbers a test sets, and a second mapping of the
 * same keep, as the next serve has it. Include cmocka.h before.
 */
#pragma once

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "fs/fuse/keep.h"
#include "fs/tree.h"
#include "fs/view.h"

enum { WORLD_FINGERPRINT = 7 };

struct world {
	struct view view; /* first: handlers get its address */
	struct tree tree;
	int keep_fd;
	struct keep *keep;
	atomic_uint renders;
	atomic_uint value;  /* what numbers render */
	atomic_uint length; /* of the file `text`, and of any number where not 0 */
	atomic_int error;   /* errno that every rendering fails with */
	uint32_t keys[64];  /* the children of `list`, ascending */
	unsigned n_keys;
};

static inline struct world *world_of(struct view *view)
{
	return (struct world *)(void *)view;
}

static inline void world_keep(struct world *world)
{
	world->keep_fd = keep_create();
	assert_true(world->keep_fd >= 0);
	assert_int_equal(keep_map(world->keep_fd, WORLD_FINGERPRINT, &world->keep), 0);
}

/* As after a death: the mapping goes, another one comes. */
static inline void world_map_again(struct world *world)
{
	keep_unmap(world->keep);
	assert_int_equal(keep_map(world->keep_fd, WORLD_FINGERPRINT, &world->keep), 0);
}

static inline void world_deinit(struct world *world)
{
	keep_unmap(world->keep);
	close(world->keep_fd);
}
