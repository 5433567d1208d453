/* SPDX-License-Identifier: MIT */
#include "collector/leaks/region_absence.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "collector/leaks/region_maps.h"
#include "schema/base/cleanup.h"
#include "schema/base/err.h"
#include "schema/proc/pid_auxv.h"
#include "schema/proc/pid_stat.h"

enum { PAGE_BYTES = 4096, BEACON_PAGES_MAX = 64, AUXV_BYTES = 2048 };

static const struct {
	const char *name, *sentence;
} absences[] = {
	[ABSENCE_UNKNOWN] = { "unknown", "it cannot be looked into" },
	[ABSENCE_NONE] = { "starting", "its records are being opened: ask again in a moment" },
	[ABSENCE_KERNEL_THREAD] = { "kernel", "it is a thread of the kernel" },
	[ABSENCE_NOT_PRELOADED] = { "not_preloaded",
		"it was started without " SHADOW_LIBRARY ": start it again with `memfs run`" },
	[ABSENCE_STATIC] = { "static", "its program is statically linked: nothing can be preloaded into it" },
	[ABSENCE_SECURE] = { "secure",
		"its program has rights that its starter had not (setuid, capabilities): nothing is preloaded into it" },
	[ABSENCE_SANITIZER] = { "sanitizer", "a sanitizer has its allocator, and can tell of leaks itself" },
	[ABSENCE_OTHER_MACHINE] = { "other_machine", "its program is of 32 bits" },
	[ABSENCE_SHIM] = { "shim", "the shim cannot record" },
	[ABSENCE_OTHER_VERSION] = { "other_version",
		"its " SHADOW_LIBRARY " is of another version of memfs: start it again" },
	[ABSENCE_UNREACHABLE] = { "unreachable",
		"it began before this memfs, which is no root's and cannot open its records: start it again" },
};

static const struct {
	const char *name, *sentence;
} reasons[N_SHADOW_REASONS] = {
	[SHADOW_FINE] = { "starting", "its records are being opened: ask again in a moment" },
	[SHADOW_NOT_STARTED] = { "not_started", "it has not allocated anything yet" },
	[SHADOW_SECURE] = { "secure",
		"its program has rights that its starter had not (setuid, capabilities): the shim keeps out of it" },
	[SHADOW_SANITIZER] = { "sanitizer", "a sanitizer has its allocator, and can tell of leaks itself" },
	[SHADOW_OWN] = { "own_allocator", "its program brings a malloc of its own, which comes before the shim's" },
	[SHADOW_SECCOMP] = { "seccomp",
		"it is under a filter of system calls: start it with `memfs run`, which makes its records beforehand" },
	[SHADOW_OVERCOMMIT] = { "overcommit",
		"vm.overcommit_memory is 2: a page that is refused would end the process" },
	[SHADOW_NO_MEMORY] = { "no_memory",
		"its limits leave no room for records (RLIMIT_AS, RLIMIT_FSIZE): raise them" },
	[SHADOW_NO_FILE] = { "no_file", "the shim could not make its file" },
	[SHADOW_UNFOLLOWED] = { "unfollowed",
		"whoever started it wanted none of the children: `memfs run --follow yes`" },
};

bool region_beacon_parse(const void *bytes, size_t len, struct region_absent *ret)
{
	struct shadow_beacon beacon;

	if (len < sizeof(beacon))
		return false;
	memcpy(&beacon, bytes, sizeof(beacon));
	if (beacon.magic != SHADOW_BEACON_MAGIC)
		return false;
	*ret = (struct region_absent) { .absence = ABSENCE_OTHER_VERSION };
	if (beacon.version != SHADOW_VERSION || beacon.reason >= N_SHADOW_REASONS)
		return true;
	ret->absence = beacon.reason == SHADOW_FINE ? ABSENCE_NONE : ABSENCE_SHIM;
	ret->reason = (enum shadow_reason)beacon.reason;
	ret->error = beacon.error <= INT16_MAX ? (int)beacon.error : 0;
	ret->inode = beacon.region_inode;
	return true;
}

/* Through the process's memory, page by page: what is not there is passed over. */
static bool find_beacon(int dir, const struct region_maps *maps, struct region_absent *ret)
{
	CLEANUP_CLOSE int memory = -1;
	struct shadow_beacon bytes;
	unsigned left = BEACON_PAGES_MAX;

	if (proc_open_file(dir, "mem", O_RDONLY, &memory) != PROC_OK)
		return false;
	for (unsigned i = 0; i < maps->n_data; i++) {
		for (uint64_t at = maps->data[i].start; at < maps->data[i].end && left; at += PAGE_BYTES, left--) {
			if (pread(memory, &bytes, sizeof(bytes), (off_t)at) == sizeof(bytes) &&
				region_beacon_parse(&bytes, sizeof(bytes), ret))
				return true;
		}
	}
	return false;
}

static bool is_kernel_thread(int dir)
{
	struct pid_stat stat;
	char text[1024];
	size_t len;

	return proc_read_short(dir, "stat", text, sizeof(text), &len) == PROC_OK &&
	       pid_stat_parse(&stat, text, len) && stat.flags & PID_STAT_KERNEL_THREAD;
}

static enum region_absence absence_without_shim(int dir, const struct region_maps *maps)
{
	struct pid_auxv auxv;
	char bytes[AUXV_BYTES];
	size_t len;

	if (!maps->any)
		return is_kernel_thread(dir) ? ABSENCE_KERNEL_THREAD : ABSENCE_UNKNOWN;
	if (proc_read_short(dir, "auxv", bytes, sizeof(bytes), &len) != PROC_OK ||
		!pid_auxv_parse(&auxv, bytes, len))
		return ABSENCE_UNKNOWN;
	if (!auxv.wide)
		return ABSENCE_OTHER_MACHINE;
	if (!auxv.interpreted)
		return ABSENCE_STATIC;
	if (auxv.secure)
		return ABSENCE_SECURE;
	return maps->sanitizer ? ABSENCE_SANITIZER : ABSENCE_NOT_PRELOADED;
}

int region_look_for_absence(int dir, struct region_absent *ret)
{
	struct region_absent absent = { .absence = ABSENCE_UNKNOWN };
	struct region_maps maps = { 0 };
	int r = region_maps_read(dir, &maps);

	if (r == PROC_GONE)
		return r;
	if (r == PROC_OK && !(maps.library && find_beacon(dir, &maps, &absent))) {
		if (maps.library)
			absent.absence = ABSENCE_OTHER_VERSION;
		else
			absent.absence = absence_without_shim(dir, &maps);
	}
	if (absent.absence == ABSENCE_NONE && maps.n_regions) {
		CLEANUP_CLOSE int fd = region_maps_open(dir, &maps, 0);
		if (fd == -EPERM || fd == -EACCES)
			absent.absence = ABSENCE_UNREACHABLE;
	}
	*ret = absent;
	return PROC_OK;
}

const char *region_absent_name(const struct region_absent *absent)
{
	return absent->absence == ABSENCE_SHIM ? reasons[absent->reason].name : absences[absent->absence].name;
}

void region_absent_put(struct buf *out, const struct region_absent *absent)
{
	bool shim = absent->absence == ABSENCE_SHIM;

	buf_puts(out, shim ? reasons[absent->reason].sentence : absences[absent->absence].sentence);
	if (shim && absent->error)
		buf_printf(out, " (%s)", err_name(absent->error));
}
