/* SPDX-License-Identifier: MIT */
/*
 * Why a process has no region: what its maps, its auxiliary vector and the shim's beacon in its memory say.
 * Looked at when somebody asks, never by sweeping: it takes the process's mmap lock, so in a worker.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schema/base/buf.h"
#include "schema/proc/root.h"
#include "schema/shadow.h"

enum region_absence {
	ABSENCE_UNKNOWN,       /* the process cannot be looked into */
	ABSENCE_NONE,          /* it has a region: ask again in a moment */
	ABSENCE_KERNEL_THREAD,
	ABSENCE_NOT_PRELOADED, /* a dynamic program without the shim */
	ABSENCE_STATIC,        /* nothing can be preloaded into it */
	ABSENCE_SECURE,        /* it has rights that its starter had not: the loader refused */
	ABSENCE_SANITIZER,     /* a sanitizer's allocator is in it */
	ABSENCE_OTHER_MACHINE, /* of 32 bits */
	ABSENCE_SHIM,          /* the shim is there and says why: reason */
	ABSENCE_OTHER_VERSION, /* the shim is there, and of another version */
	ABSENCE_UNREACHABLE,   /* it has one that we may not open: it began before an ordinary user's memfs */
};

struct region_absent {
	enum region_absence absence;
	enum shadow_reason reason; /* of ABSENCE_SHIM */
	int error;                 /* errno of SHADOW_NO_FILE, or 0 */
	uint64_t inode;            /* of ABSENCE_NONE */
};

/* Whether bytes from the beginning of a page are a beacon, and what it says. Pure; survives any bytes. */
bool region_beacon_parse(const void *bytes, size_t len, struct region_absent *ret);

/*
 * `dir` is a process's directory (proc_open_pid). PROC_OK, PROC_GONE, or -errno. Blocks for as long as the
 * process keeps its mmap lock.
 */
int region_look_for_absence(int dir, struct region_absent *ret);

/* One sentence for a person, with the cure where there is one; no newline. */
void region_absent_put(struct buf *out, const struct region_absent *absent);

/* The word for leaks/stat and its like: "static", "secure", "seccomp", ... */
const char *region_absent_name(const struct region_absent *absent);
