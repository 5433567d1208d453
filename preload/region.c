/* SPDX-License-Identifier: MIT */
#include "preload/region.h"

#include <elf.h>
#include <errno.h>
#include <sys/sysinfo.h>
#include <time.h>

#include "preload/module.h"
#include "preload/start.h"
#include "preload/sys.h"

enum {
	/* A leaf is little, and address space is free: several times the machine's memory, for what is spread
	   out. */
	COVERED_PER_MEMORY = 4,
};

#define DIRECTORY_BYTES ((SHADOW_REGION_LAST + 1) * 8)

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x8U
#endif

#if defined(__x86_64__)
enum { MACHINE = EM_X86_64 };
#elif defined(__aarch64__)
enum { MACHINE = EM_AARCH64 };
#endif

uint64_t region_leaves(
	uint32_t granule_shift, uint64_t memory_bytes, uint64_t address_bytes, uint64_t file_bytes)
{
	uint64_t leaf_bytes = shadow_leaf_bytes(granule_shift), fixed = SHADOW_KEEP_AT + DIRECTORY_BYTES,
		 leaves;

	leaves = (memory_bytes >> SHADOW_REGION_SHIFT) * COVERED_PER_MEMORY;
	if (leaves < 64)
		leaves = 64;
	if (leaves > SHADOW_LEAVES)
		leaves = SHADOW_LEAVES;
	if (address_bytes / REGION_SHARE_OF_ADDRESSES < fixed || file_bytes < SHADOW_SLOTS_AT)
		return 0;
	if (leaves > (address_bytes / REGION_SHARE_OF_ADDRESSES - fixed) / leaf_bytes)
		leaves = (address_bytes / REGION_SHARE_OF_ADDRESSES - fixed) / leaf_bytes;
	if (leaves > (file_bytes - SHADOW_SLOTS_AT) / leaf_bytes)
		leaves = (file_bytes - SHADOW_SLOTS_AT) / leaf_bytes;
	return leaves;
}

/* What is left of RLIMIT_AS; UINT64_MAX: there is no limit. */
static uint64_t addresses_left(void)
{
	uint64_t limit = sys_limit(RLIMIT_AS), used;

	if (limit == (uint64_t)RLIM_INFINITY)
		return UINT64_MAX;
	used = sys_own_pages() * 4096;
	return limit > used ? limit - used : 0;
}

static int file_make(uint64_t bytes)
{
	int fd = (int)syscall(
		SYS_memfd_create, SHADOW_NAME, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);

	if (fd < 0 && errno == EINVAL) /* before Linux 6.3 */
		fd = (int)syscall(SYS_memfd_create, SHADOW_NAME, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -1;
	if (syscall(SYS_ftruncate, fd, bytes) || sys_fcntl(fd, F_ADD_SEALS, SHADOW_SEALS)) {
		int error = errno;
		sys_close(fd);
		errno = error;
		return -1;
	}
	return fd;
}

static bool file_stat(int fd, struct stat *ret_stat)
{
	return !syscall(SYS_fstat, fd, ret_stat);
}

bool region_is_handed(int fd, uint64_t inode)
{
	struct stat stat;
	int seals;

	if (fd < 0 || !file_stat(fd, &stat) || !S_ISREG(stat.st_mode) || stat.st_nlink ||
		stat.st_ino != inode || (uint64_t)stat.st_size < SHADOW_SLOTS_AT)
		return false;
	/* Under a filter the call may be one too many; who handed it over has sealed it. */
	if (shim.sandboxed)
		return true;
	seals = sys_fcntl(fd, F_GET_SEALS, 0);
	return seals >= 0 && (seals & SHADOW_SEALS) == SHADOW_SEALS;
}

/* `at`: over what is there; NULL: anywhere. */
static void *map(void *at, int fd, uint64_t offset, size_t bytes)
{
	return sys_mmap(at, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE | (at ? MAP_FIXED : 0),
		fd, offset);
}

static void unmap_all(uint64_t leaves)
{
	if (shim.base)
		sys_munmap(shim.base, SHADOW_KEEP_AT);
	if (shim.leaves)
		sys_munmap(shim.leaves, leaves * shim.leaf_bytes);
	shim.base = shim.leaves = NULL;
}

/* Cores are no larger for it, and one slot written is one page, whatever the machine does about huge pages.
 */
static void advise(uint64_t leaves)
{
	sys_madvise(shim.base, SHADOW_KEEP_AT, MADV_DONTDUMP);
	sys_madvise(shim.base, SHADOW_KEEP_AT, MADV_NOHUGEPAGE);
	sys_madvise(shim.leaves, leaves * shim.leaf_bytes, MADV_DONTDUMP);
	sys_madvise(shim.leaves, leaves * shim.leaf_bytes, MADV_NOHUGEPAGE);
}

/* The directory is kept over fork, where the kernel, or region_leave, empties it. */
static bool directory_make(void)
{
	void *directory;

	if (shim.directory)
		return true;
	directory = sys_mmap(NULL, DIRECTORY_BYTES, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (directory == MAP_FAILED)
		return false;
	if (!shim.sandboxed) {
		sys_madvise(directory, DIRECTORY_BYTES, MADV_NOHUGEPAGE);
		shim.wiped = !sys_madvise(directory, DIRECTORY_BYTES, MADV_WIPEONFORK) &&
			     !sys_madvise(&shim_wiped, sizeof(shim_wiped), MADV_WIPEONFORK);
		sys_madvise(directory, DIRECTORY_BYTES, MADV_DONTDUMP);
	}
	shim.directory = directory;
	return true;
}

static uint64_t now_ns(clockid_t clock)
{
	struct timespec now = { 0 };

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void header_write(struct shadow_header *header, enum shadow_origin origin, uint64_t leaves)
{
	header->magic = SHADOW_MAGIC;
	header->version = SHADOW_VERSION;
	header->granule_shift = shim.granule_shift;
	header->machine = MACHINE;
	header->origin = origin;
	header->leaves = leaves;
	header->mapped_bytes = SHADOW_KEEP_AT + leaves * shim.leaf_bytes + DIRECTORY_BYTES;
	header->created_boot_ns = now_ns(CLOCK_BOOTTIME);
	header->created_real_ns = now_ns(CLOCK_REALTIME);
	header->pid = sys_own_pid();
}

/* SHADOW_EMPTY to SHADOW_CLAIMED: nobody else has it. */
static bool header_claim(struct shadow_header *header)
{
	uint32_t empty = SHADOW_EMPTY;

	return atomic_compare_exchange_strong_explicit(
		&header->state, &empty, SHADOW_CLAIMED, memory_order_acquire, memory_order_relaxed);
}

/* Maps as many leaves as can be had, at least one; over the parent's there are as many as it has. */
static uint64_t leaves_map(int fd, uint64_t leaves)
{
	for (; leaves; leaves /= 2) {
		void *mapped = map(shim.leaves, fd, SHADOW_SLOTS_AT, leaves * shim.leaf_bytes);
		if (mapped != MAP_FAILED) {
			shim.leaves = mapped;
			return leaves;
		}
	}
	return 0;
}

static enum shadow_reason region_map(int fd, enum shadow_origin origin, uint64_t leaves, int *ret_error)
{
	struct shadow_header *header;
	void *base = map(shim.base, fd, 0, SHADOW_KEEP_AT);

	if (base == MAP_FAILED) {
		*ret_error = errno;
		return SHADOW_NO_MEMORY;
	}
	shim.base = base;
	leaves = leaves_map(fd, leaves);
	if (!leaves || !directory_make()) {
		*ret_error = errno;
		unmap_all(leaves);
		return SHADOW_NO_MEMORY;
	}
	if (!shim.sandboxed)
		advise(leaves);
	header = base;
	if (!header_claim(header)) {
		*ret_error = EBUSY;
		unmap_all(leaves);
		return SHADOW_NO_FILE;
	}
	header_write(header, origin, leaves);
	shim.sites = (struct shadow_site *)(shim.base + SHADOW_SITES_AT);
	atomic_store_explicit(&shim.leaves_mapped, leaves, memory_order_relaxed);
	return SHADOW_FINE;
}

static uint64_t memory_bytes(void)
{
	struct sysinfo info;

	return shim.sandboxed || syscall(SYS_sysinfo, &info) ? UINT64_C(16) << 30
							     : (uint64_t)info.totalram * info.mem_unit;
}

enum shadow_reason region_make(int fd, enum shadow_origin origin, int *ret_fd, int *ret_error)
{
	bool handed = fd >= 0;
	enum shadow_reason reason;
	struct stat stat;
	uint64_t leaves, file_bytes = SHADOW_FILE_BYTES,
			 limit = shim.sandboxed ? UINT64_MAX : sys_limit(RLIMIT_FSIZE);

	if (handed && file_stat(fd, &stat))
		file_bytes = (uint64_t)stat.st_size;
	else if (limit < file_bytes) /* ftruncate beyond it would kill */
		file_bytes = limit;
	shim.leaf_bytes = shadow_leaf_bytes(shim.granule_shift);
	if (shim.leaves) /* the parent's */
		leaves = atomic_load_explicit(&shim.leaves_mapped, memory_order_relaxed);
	else
		leaves = region_leaves(shim.granule_shift, memory_bytes(),
			shim.sandboxed ? UINT64_MAX : addresses_left(), file_bytes);
	*ret_error = 0;
	if (!leaves)
		return SHADOW_NO_MEMORY;
	if (!handed)
		fd = file_make(file_bytes);
	if (fd < 0) {
		*ret_error = errno;
		return SHADOW_NO_FILE;
	}
	reason = region_map(fd, origin, leaves, ret_error);
	if (handed || reason != SHADOW_FINE) {
		sys_close(fd);
		fd = -1;
	}
	if (reason == SHADOW_FINE)
		*ret_fd = fd;
	return reason;
}

void region_leave(void)
{
	if (!shim.base)
		return;
	if (!shim.wiped) {
		sys_munmap(shim.directory, DIRECTORY_BYTES);
		shim.directory = NULL;
		__builtin_memset(&shim_wiped, 0, sizeof(shim_wiped));
	}
	atomic_store_explicit(&shim.samples_free, 0, memory_order_relaxed);
	atomic_store_explicit(&shim.samples_used, 0, memory_order_relaxed);
	__builtin_memset(shim.site_of_module, 0, sizeof(shim.site_of_module));
}

/* The mark is lowered before it is looked at what was taken: whoever takes one meanwhile looks at the mark
 * again. */
void region_shrink(uint64_t bytes)
{
	uint64_t had = atomic_load_explicit(&shim.leaves_mapped, memory_order_relaxed), wanted, used;

	if (!shim.base)
		return;
	wanted = bytes / shim.leaf_bytes;
	if (wanted >= had)
		return;
	atomic_store(&shim.leaves_mapped, wanted);
	used = atomic_load(&shim.header->leaves_used);
	if (wanted < used) {
		wanted = used < had ? used : had;
		atomic_store(&shim.leaves_mapped, wanted);
	}
	sys_munmap(shim.leaves + wanted * shim.leaf_bytes, (had - wanted) * shim.leaf_bytes);
}

static bool overlaps(const void *from, uint64_t bytes, uintptr_t start, uintptr_t end)
{
	return from && start < (uintptr_t)from + bytes && end > (uintptr_t)from;
}

bool region_overlaps(uintptr_t start, uintptr_t end)
{
	uint64_t leaves = atomic_load_explicit(&shim.leaves_mapped, memory_order_relaxed);

	return overlaps(shim.base, SHADOW_KEEP_AT, start, end) ||
	       overlaps(shim.leaves, leaves * shim.leaf_bytes, start, end) ||
	       overlaps((const void *)shim.directory, DIRECTORY_BYTES, start, end);
}

uint64_t region_bytes(void)
{
	return SHADOW_KEEP_AT + DIRECTORY_BYTES +
	       atomic_load_explicit(&shim.leaves_mapped, memory_order_relaxed) * shim.leaf_bytes;
}
