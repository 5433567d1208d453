/* SPDX-License-Identifier: MIT */
#include "collector/leaks/region.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <linux/magic.h>
#include <unistd.h>

#include "schema/base/cleanup.h"
#include "schema/base/clock.h"

enum { MS_NS = 1000000 };

/*
 * That the file can neither be cut beneath the mapping nor be another's: a memfd is the only kind that has
 * these seals on. Of those on huge pages a hole cannot be told from zeros.
 */
static int check_file(struct region *region, struct err *err)
{
	struct stat st;
	struct statfs fs;
	int seals = fcntl(region->fd, F_GET_SEALS), flags = fcntl(region->fd, F_GETFL);

	if (fstat(region->fd, &st) || fstatfs(region->fd, &fs) || flags < 0)
		return err_set(err, errno, "it cannot be looked at: %s", strerror(errno));
	if (!S_ISREG(st.st_mode) || st.st_nlink || fs.f_type != TMPFS_MAGIC || seals < 0)
		return err_set(err, EBADMSG, "it is no memfd");
	if ((seals & SHADOW_SEALS) != SHADOW_SEALS)
		return err_set(err, EBADMSG, "its size is not sealed");
	if ((flags & O_ACCMODE) != O_RDWR)
		return err_set(err, EBADMSG, "it cannot be written");
	if ((uint64_t)st.st_size < SHADOW_SLOTS_AT || (uint64_t)st.st_size > SHADOW_FILE_BYTES)
		return err_set(err, EBADMSG, "it has a size that no region has");
	region->inode = st.st_ino;
	region->file_bytes = (uint64_t)st.st_size;
	return 0;
}

int region_open(int fd, struct region **ret_region, struct err *err)
{
	CLEANUP_CLOSE int owned = fd;
	CLEANUP_FREE struct region *region = calloc(1, sizeof(*region));

	if (!region)
		return err_set(err, ENOMEM, "no memory");
	region->fd = fd;
	int r = check_file(region, err);
	if (r)
		return r;
	void *header = mmap(NULL, sizeof(*region->shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (header == MAP_FAILED)
		return err_set(
			err, errno == EPERM ? EBADMSG : errno, "it cannot be mapped: %s", strerror(errno));
	region->shared = header;
	r = region_settle(region, err);
	if (r < 0) {
		munmap(header, sizeof(*region->shared));
		return r;
	}
	region->references = 1;
	steal_fd(&owned);
	*ret_region = steal_ptr(region);
	return 0;
}

int region_settle(struct region *region, struct err *err)
{
	struct shadow_header copy;

	if (region->ready)
		return REGION_OK;
	uint32_t state = atomic_load_explicit(&region->shared->state, memory_order_acquire);
	if (state == SHADOW_EMPTY || state == SHADOW_CLAIMED)
		return REGION_NOT_READY;
	memcpy(&copy, region->shared, sizeof(copy));
	const char *fault = shadow_header_fault(&copy, region->file_bytes);
	if (fault)
		return err_set(err, EBADMSG, "it is %s", fault);
	region->fixed = copy;
	region->ready = true;
	return REGION_OK;
}

struct region *region_ref(struct region *region)
{
	atomic_fetch_add_explicit(&region->references, 1, memory_order_relaxed);
	return region;
}

void region_unref(struct region *region)
{
	if (!region || atomic_fetch_sub_explicit(&region->references, 1, memory_order_acq_rel) > 1)
		return;
	munmap(region->shared, sizeof(*region->shared));
	close(region->fd);
	free(region);
}

uint64_t region_age_ms(const struct region *region, int64_t now_boot_ns)
{
	uint64_t now_ns = now_boot_ns > 0 ? (uint64_t)now_boot_ns : 0;

	return now_ns > region->fixed.created_boot_ns ? (now_ns - region->fixed.created_boot_ns) / MS_NS : 0;
}
