/* SPDX-License-Identifier: MIT */
#include "fs/fuse/keep.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "schema/base/cleanup.h"

static const uint64_t keep_magic = UINT64_C(0x31706565736d656d);
enum { SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL };

int keep_create(void)
{
	CLEANUP_CLOSE int fd = memfd_create("memfs-keep", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, sizeof(struct keep)) || fcntl(fd, F_ADD_SEALS, SEALS))
		return -errno;
	return steal_fd(&fd);
}

bool keep_fits(int fd)
{
	struct stat st;

	return !fstat(fd, &st) && st.st_size == sizeof(struct keep) &&
	       (fcntl(fd, F_GET_SEALS) & SEALS) == SEALS;
}

int keep_map(int fd, uint64_t fingerprint, struct keep **ret_keep)
{
	struct keep *keep;
	int outcome = 0;

	if (!keep_fits(fd))
		return -EINVAL;
	keep = mmap(NULL, sizeof(*keep), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (keep == MAP_FAILED)
		return -errno;
	if (keep->magic && (keep->magic != keep_magic || keep->fingerprint != fingerprint)) {
		outcome = 1;
		if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, sizeof(*keep))) {
			outcome = -errno;
			keep_unmap(keep);
			return outcome;
		}
	}
	keep->magic = keep_magic;
	keep->fingerprint = fingerprint;
	*ret_keep = keep;
	return outcome;
}

void keep_unmap(struct keep *keep)
{
	if (keep)
		munmap(keep, sizeof(*keep));
}
