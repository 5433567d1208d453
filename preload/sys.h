/* SPDX-License-Identifier: MIT */
/*
 * System calls of the start, by syscall(2): the C library's own functions for them are points of
 * cancellation, and other libraries that are preloaded may have taken their names. Each returns what the
 * kernel gave, errno with -1.
 */
#pragma once

#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "preload/shim.h"

static inline int sys_open(const char *path, int flags)
{
	return (int)syscall(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC, 0);
}

static inline void sys_close(int fd)
{
	syscall(SYS_close, fd);
}

static inline ssize_t sys_read(int fd, void *bytes, size_t len)
{
	return syscall(SYS_read, fd, bytes, len);
}

static inline ssize_t sys_readlink(const char *path, char *bytes, size_t len)
{
	return syscall(SYS_readlinkat, AT_FDCWD, path, bytes, len);
}

static inline int sys_fcntl(int fd, int command, long argument)
{
	return (int)syscall(SYS_fcntl, fd, command, argument);
}

static inline void *sys_mmap(void *addr, size_t len, int protection, int flags, int fd, uint64_t offset)
{
	return (void *)syscall(SYS_mmap, addr, len, protection, flags, fd, offset);
}

static inline void sys_munmap(void *addr, size_t len)
{
	syscall(SYS_munmap, addr, len);
}

static inline int sys_madvise(void *addr, size_t len, int advice)
{
	return (int)syscall(SYS_madvise, addr, len, advice);
}

/* The soft limit; RLIM_INFINITY also where it cannot be had. */
static inline uint64_t sys_limit(int resource)
{
	struct {
		uint64_t soft, hard;
	} limit;

	return syscall(SYS_prlimit64, 0, resource, NULL, &limit) ? (uint64_t)RLIM_INFINITY : limit.soft;
}

/* How many pages of addresses the process has; 0 where it cannot be told. */
static inline uint64_t sys_own_pages(void)
{
	char text[128];
	int fd = sys_open("/proc/self/statm", O_RDONLY);
	ssize_t len = fd >= 0 ? sys_read(fd, text, sizeof(text)) : 0;
	uint64_t pages = 0;

	if (fd >= 0)
		sys_close(fd);
	for (ssize_t i = 0; i < len && text[i] >= '0' && text[i] <= '9'; i++)
		pages = pages * 10 + (uint64_t)(text[i] - '0');
	return pages;
}

/* 0 where a filter may not let the call pass. */
static inline uint32_t sys_own_pid(void)
{
	return shim.sandboxed ? 0 : (uint32_t)syscall(SYS_getpid);
}
