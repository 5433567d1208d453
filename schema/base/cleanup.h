/* SPDX-License-Identifier: MIT */
/*
 * Scope-bound cleanup: a function releases what it owns however it returns. A variable that gives its value
 * away does so with steal_fd() or steal_ptr(), which leave the empty value behind.
 */
#pragma once

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CLEANUP(fn) __attribute__((cleanup(fn)))

static inline void cleanup_free(void *p)
{
	free(*(void **)p);
}

/* Closes *fd unless negative; keeps errno. */
static inline void cleanup_close(int *fd)
{
	if (*fd >= 0) {
		int saved = errno;
		close(*fd);
		errno = saved;
	}
}

static inline void cleanup_fclose(FILE **file)
{
	if (*file)
		fclose(*file);
}

static inline void cleanup_closedir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

#define CLEANUP_FREE     CLEANUP(cleanup_free)
#define CLEANUP_CLOSE    CLEANUP(cleanup_close)
#define CLEANUP_FCLOSE   CLEANUP(cleanup_fclose)
#define CLEANUP_CLOSEDIR CLEANUP(cleanup_closedir)

static inline int steal_fd(int *fd)
{
	int stolen = *fd;
	*fd = -1;
	return stolen;
}

/* Closes *fd unless negative and leaves -1 behind. */
static inline void close_fd(int *fd)
{
	cleanup_close(fd);
	*fd = -1;
}

#define steal_ptr(p)                                                                                         \
	__extension__({                                                                                      \
		__typeof__(p) *pp_ = &(p);                                                                   \
		__typeof__(p) v_ = *pp_;                                                                     \
		*pp_ = NULL;                                                                                 \
		v_;                                                                                          \
	})
