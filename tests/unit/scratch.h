/* SPDX-License-Identifier: MIT */
/* A directory of a test's own, gone when the test ends. */
#pragma once

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct scratch {
	char path[64];
};

static inline int scratch_unlink(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	return remove(path);
}

static inline int scratch_make(struct scratch *scratch)
{
	strcpy(scratch->path, "/tmp/memfs-test-XXXXXX");
	return mkdtemp(scratch->path) ? 0 : -1;
}

static inline void scratch_remove(struct scratch *scratch)
{
	nftw(scratch->path, scratch_unlink, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void scratch_join(const struct scratch *scratch, const char *name, char *ret_path, size_t cap)
{
	snprintf(ret_path, cap, "%s/%s", scratch->path, name);
}
