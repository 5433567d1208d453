/* SPDX-License-Identifier: MIT */
/* Sealed memfds for long answers on the control channel. */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "schema/base/cleanup.h"
#include "schema/control.h"
#include "schema/control_segment.h"

#ifndef MFD_NOEXEC_SEAL /* kernel 6.3, younger than the headers we may be built with */
#define MFD_NOEXEC_SEAL 8U
#endif

static int memfd_make(void)
{
	int fd = memfd_create("memfs-control", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
	if (fd < 0 && errno == EINVAL)
		fd = memfd_create("memfs-control", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	return fd < 0 ? -errno : fd;
}

int control_segment_make(struct control_segment *ret_segment)
{
	CLEANUP_CLOSE int fd = memfd_make();
	if (fd < 0)
		return fd;
	if (ftruncate(fd, CONTROL_SEGMENT) < 0)
		return -errno;
	void *bytes = mmap(NULL, CONTROL_SEGMENT, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (bytes == MAP_FAILED)
		return -errno;
	/* FUTURE_WRITE leaves our own mapping writable: it must come after mmap. */
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) < 0) {
		int r = -errno;
		munmap(bytes, CONTROL_SEGMENT);
		return r;
	}
	*ret_segment = (struct control_segment) { .bytes = bytes, .fd = steal_fd(&fd) };
	return 0;
}

void control_segment_deinit(struct control_segment *segment)
{
	if (segment->bytes) {
		munmap(segment->bytes, CONTROL_SEGMENT);
		close_fd(&segment->fd);
	}
	segment->bytes = NULL;
}

int control_segment_map(int fd, const void **ret_bytes)
{
	const int wanted = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
	int seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0)
		return -EINVAL;
	if ((seals & wanted) != wanted)
		return -EPERM;
	struct stat st;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (st.st_size != CONTROL_SEGMENT)
		return -EINVAL;
	const void *bytes = mmap(NULL, CONTROL_SEGMENT, PROT_READ, MAP_SHARED, fd, 0);
	if (bytes == MAP_FAILED)
		return -errno;
	*ret_bytes = bytes;
	return 0;
}

void control_segment_unmap(const void *bytes)
{
	if (bytes)
		munmap((void *)bytes, CONTROL_SEGMENT);
}
