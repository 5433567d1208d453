/* SPDX-License-Identifier: MIT */
#include "preload/start.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>
#include <sys/auxv.h>

#include "preload/boot.h"
#include "preload/module.h"
#include "preload/offer.h"
#include "preload/refuse.h"
#include "preload/region.h"
#include "preload/sample.h"
#include "preload/settings.h"
#include "preload/stack.h"
#include "preload/sys.h"

/* free and realloc, once boot memory was given out: what is of it never reaches the allocator. */
static void checked_free(void *block)
{
	if (!boot_has(block))
		shim.below.free(block);
}

static void *boot_move(void *block, size_t size, void *(*allocate)(size_t size))
{
	size_t had = boot_size(block);
	void *moved = allocate(size);

	if (moved)
		memcpy(moved, block, had < size ? had : size);
	return moved;
}

static void *checked_realloc(void *block, size_t size)
{
	return boot_has(block) ? boot_move(block, size, shim.below.malloc) : shim.below.realloc(block, size);
}

static void real_check_boot(void)
{
	shim.real.free = checked_free;
	shim.real.realloc = checked_realloc;
}

/* In one order with real_set: one of the two sees the other. */
static void *boot_give(size_t alignment, size_t size)
{
	void *block = boot_allocate(alignment, size);

	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(&shim.stage, memory_order_relaxed) >= STAGE_RESOLVED)
		real_check_boot();
	return block;
}

static void *boot_malloc(size_t size)
{
	return boot_give(1, size);
}

void *start_malloc(size_t size)
{
	return start_resolve() ? shim.real.malloc(size) : boot_malloc(size);
}

void start_free(void *block)
{
	/* What another thread gives back while the allocator is not known stays. */
	if (block && !boot_has(block) && start_resolve())
		shim.real.free(block);
}

void *start_calloc(size_t n, size_t size)
{
	size_t bytes;

	if (start_resolve())
		return shim.real.calloc(n, size);
	if (__builtin_mul_overflow(n, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	return boot_malloc(bytes);
}

void *start_realloc(void *block, size_t size)
{
	if (start_resolve())
		return shim.real.realloc(block, size);
	if (!block)
		return boot_malloc(size);
	if (boot_has(block))
		return boot_move(block, size, boot_malloc);
	errno = ENOMEM;
	return NULL;
}

void *start_memalign(size_t alignment, size_t size)
{
	return start_resolve() ? shim.real.memalign(alignment, size) : boot_give(alignment, size);
}

int start_posix_memalign(void **ret_block, size_t alignment, size_t size)
{
	int error = errno;
	void *block;

	if (start_resolve())
		return shim.real.posix_memalign(ret_block, alignment, size);
	if (!alignment || alignment % sizeof(void *) || (alignment & (alignment - 1)))
		return EINVAL;
	block = boot_give(alignment, size);
	errno = error;
	if (!block)
		return ENOMEM;
	*ret_block = block;
	return 0;
}

void *start_valloc(size_t size)
{
	return start_resolve() ? shim.real.valloc(size) : boot_give(4096, size);
}

void *start_pvalloc(size_t size)
{
	return start_resolve() ? shim.real.pvalloc(size) : boot_give(4096, (size + 4095) & ~(size_t)4095);
}

static void *module_of(const void *addr)
{
	Dl_info info;

	return addr && dladdr(addr, &info) ? info.dli_fbase : NULL;
}

/* The C library's chunks are 32 bytes apart at least; of any other allocator, the least it ever gives. */
static uint32_t granule_shift(const struct real_allocator *real)
{
	void *module = module_of((const void *)real->malloc), *block;
	size_t usable = 0;

	if (module && module == module_of(dlsym(RTLD_DEFAULT, "gnu_get_libc_version")))
		return 5;
	if (!real->malloc_usable_size || module_of((const void *)real->malloc_usable_size) != module)
		return SHADOW_GRANULE_SHIFT_MIN;
	block = real->malloc(1);
	if (block)
		usable = real->malloc_usable_size(block);
	real->free(block);
	return usable >= 16 ? 4 : SHADOW_GRANULE_SHIFT_MIN;
}

static void real_find(struct real_allocator *ret_real)
{
	*ret_real = (struct real_allocator) {
		.malloc = dlsym(RTLD_NEXT, "malloc"),
		.free = dlsym(RTLD_NEXT, "free"),
		.calloc = dlsym(RTLD_NEXT, "calloc"),
		.realloc = dlsym(RTLD_NEXT, "realloc"),
		.memalign = dlsym(RTLD_NEXT, "memalign"),
		.aligned_alloc = dlsym(RTLD_NEXT, "aligned_alloc"),
		.posix_memalign = dlsym(RTLD_NEXT, "posix_memalign"),
		.valloc = dlsym(RTLD_NEXT, "valloc"),
		.pvalloc = dlsym(RTLD_NEXT, "pvalloc"),
		.malloc_usable_size = dlsym(RTLD_NEXT, "malloc_usable_size"),
	};
}

static void real_set(const struct real_allocator *real)
{
	shim.granule_shift = granule_shift(real);
	shim.fast_control = shim.granule_shift == SHADOW_GRANULE_SHIFT_MAX ? SHADOW_EXACT : SHADOW_OFF;
	shim.below = shim.real = *real;
	atomic_store(&shim.stage, STAGE_RESOLVED);
	if (boot_was_used())
		real_check_boot();
}

bool start_resolve(void)
{
	uint32_t stage = STAGE_NEW;
	struct real_allocator real;
	int error = errno;

	if (!atomic_compare_exchange_strong(&shim.stage, &stage, STAGE_RESOLVING))
		return stage >= STAGE_RESOLVED;
	real_find(&real);
	real_set(&real);
	errno = error;
	return true;
}

static void beacon_set(enum shadow_reason reason, int error, uint64_t inode)
{
	atomic_store_explicit(&memfs_beacon.pid, sys_own_pid(), memory_order_relaxed);
	atomic_store_explicit(&memfs_beacon.error, (uint32_t)error, memory_order_relaxed);
	atomic_store_explicit(&memfs_beacon.region_addr, (uintptr_t)shim.base, memory_order_relaxed);
	atomic_store_explicit(&memfs_beacon.region_inode, inode, memory_order_relaxed);
	atomic_store_explicit(&memfs_beacon.reason, reason, memory_order_release);
}

/* A region that was handed over may be driven already. */
static void control_begin(struct shadow_header *header)
{
	uint64_t off = 0;

	if (shim.first_control && atomic_compare_exchange_strong_explicit(&header->control, &off,
					  shim.first_control, memory_order_relaxed, memory_order_relaxed))
		atomic_store_explicit(&header->driver, shim.first_driver, memory_order_relaxed);
}

static void region_publish(struct shadow_header *header)
{
	uintptr_t random = getauxval(AT_RANDOM);

	if (random)
		memcpy(&shim.seed, (const void *)random, sizeof(shim.seed));
	shim.seed ^= header->created_real_ns;
	atomic_store_explicit(&shim_wiped.alive, 1, memory_order_relaxed);
	if (shim.fork_stack_high)
		stack_learn(shim.fork_stack_low, shim.fork_stack_high);
	else if (!shim.sandboxed)
		stack_learn_first();
	shim.header = header;
	/* The program, whose path is asked of the kernel, and the shim, in which the copied stacks begin. */
	module_find(getauxval(AT_ENTRY));
	module_find((uintptr_t)start);
	header->allocator = module_find((uintptr_t)shim.real.malloc);
	control_begin(header);
	atomic_store_explicit(&header->state, SHADOW_READY, memory_order_release);
}

/* Everything is passed on from here until the header is the region's. */
static void region_start(void)
{
	enum shadow_origin origin = shim.forked ? SHADOW_OF_FORK : SHADOW_OF_START;
	enum shadow_reason reason;
	uint64_t inode = 0;
	int fd = -1, error = 0;
	struct stat stat;
	bool handed = false;

	if (!shim.configured && !getauxval(AT_SECURE)) {
		const char *text = settings_variable(environ, SHADOW_FD_VARIABLE);

		shim.sandboxed = refuse_is_sandboxed();
		settings_read(environ);
		handed = text && settings_handed_parse(text, &fd, &inode) && region_is_handed(fd, inode);
	}
	shim.configured = true;
	if (shim.forked)
		region_leave();
	reason = refuse_reason(handed);
	if (reason == SHADOW_FINE)
		reason = region_make(handed ? fd : -1, origin, &fd, &error);
	if (reason != SHADOW_FINE) {
		shim.header = &shim_idle;
		beacon_set(reason, error, 0);
		return;
	}
	region_publish((struct shadow_header *)shim.base);
	if (fd >= 0) {
		if (!syscall(SYS_fstat, fd, &stat))
			inode = stat.st_ino;
		offer_send(fd, origin);
		sys_close(fd);
	}
	beacon_set(SHADOW_FINE, 0, inode);
}

void start(void)
{
	uint32_t resolved = STAGE_RESOLVED;
	int error = errno;

	/* Before the C library's own constructor there is no environment. */
	if (start_resolve() && environ &&
		atomic_compare_exchange_strong(&shim.stage, &resolved, STAGE_STARTING)) {
		region_start();
		atomic_store(&shim.stage, STAGE_STARTED);
	}
	errno = error;
}

void start_before_fork(void)
{
	uintptr_t thread = sample_self();
	const struct sampler *sampler = sample_thread(thread);
	bool own = atomic_load_explicit(&sampler->thread, memory_order_relaxed) == thread;

	shim.fork_stack_low = own ? sampler->stack_low : 0;
	shim.fork_stack_high = own ? sampler->stack_high : 0;
}

/*
 * No more than needs be: most children run another program next. The first call starts the shim anew; the
 * region and its mode are the parent's until then, and untouched.
 */
void start_in_child(void)
{
	if (shim.header == &shim_idle)
		return;
	if (shim.header != &shim_pending) {
		shim.first_control = atomic_load_explicit(&shim.header->control, memory_order_relaxed);
		shim.first_driver = atomic_load_explicit(&shim.header->driver, memory_order_relaxed);
		shim.forked = true;
	}
	shim.header = &shim_pending;
	if (atomic_load(&shim.stage) > STAGE_RESOLVED)
		atomic_store(&shim.stage, STAGE_RESOLVED);
}
