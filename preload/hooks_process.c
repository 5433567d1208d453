/* SPDX-License-Identifier: MIT */
/*
 * Calls that would meet the shim's own memory, or that change what it may do. Each does what the C library's
 * does, for a process that had no region.
 */
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <sys/prctl.h>

#include "preload/control.h"
#include "preload/maps.h"
#include "preload/region.h"
#include "preload/site.h"
#include "preload/stack.h"
#include "preload/sys.h"

/* --- mlockall: the region is sparse, and locking would allocate it whole
 * ------------------------------------------- */

struct lock_walk {
	uint64_t foreign_bytes; /* of all mappings that are not the shim's */
	bool locks;
};

static void lock_mapping(void *ctx, uintptr_t start, uintptr_t end)
{
	struct lock_walk *walk = ctx;

	if (region_overlaps(start, end))
		return;
	walk->foreign_bytes += end - start;
	if (walk->locks)
		syscall(SYS_mlock, start,
			end - start); /* what cannot be locked is passed over by mlockall too */
}

/* Locks what is there now: all on fault, which allocates nothing, then what is not the shim's in earnest. */
static int lock_current(bool on_fault)
{
	struct lock_walk walk = { 0 };

	if (!syscall(SYS_mlockall, MCL_CURRENT | MCL_ONFAULT)) {
		walk.locks = !on_fault;
		maps_walk(lock_mapping, &walk);
		return 0;
	}
	if (errno != ENOMEM || on_fault)
		return -1;
	/* It may have been the shim's addresses that were too many. */
	maps_walk(lock_mapping, &walk);
	if (walk.foreign_bytes > sys_limit(RLIMIT_MEMLOCK)) {
		errno = ENOMEM;
		return -1;
	}
	walk.locks = true;
	maps_walk(lock_mapping, &walk);
	return 0;
}

int mlockall(int flags) exported;
int mlockall(int flags)
{
	int error = errno;

	if (!shim.base || !(flags & MCL_CURRENT) || flags & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT))
		return (int)syscall(SYS_mlockall, flags);
	if (lock_current(flags & MCL_ONFAULT))
		return -1;
	errno = error;
	return flags & MCL_FUTURE ? (int)syscall(SYS_mlockall, flags & ~MCL_CURRENT) : 0;
}

/* --- RLIMIT_AS: what is reserved and not used would count
 * --------------------------------------------------------- */

static void limit_addresses(pid_t pid, unsigned resource, const struct rlimit *limit)
{
	uint64_t pages, others;
	int error = errno;

	if (resource != RLIMIT_AS || !limit || !shim.base || limit->rlim_cur == RLIM_INFINITY ||
		(pid && pid != syscall(SYS_getpid)))
		return;
	pages = sys_own_pages();
	others = pages * 4096 > region_bytes() ? pages * 4096 - region_bytes() : 0;
	region_shrink(limit->rlim_cur > others ? (limit->rlim_cur - others) / REGION_SHARE_OF_ADDRESSES : 0);
	errno = error;
}

static int limit_set(pid_t pid, unsigned resource, const struct rlimit *limit, struct rlimit *ret_old)
{
	limit_addresses(pid, resource, limit);
	return (int)syscall(SYS_prlimit64, pid, resource, limit, ret_old);
}

/* By their names for the linker: for the compiler those of 64 bits may be the others already. */
#define PRLIMIT(name, symbol)                                                                                \
	extern int name(pid_t, unsigned, const struct rlimit *, struct rlimit *) __asm__(symbol) exported;   \
	int name(pid_t pid, unsigned resource, const struct rlimit *limit, struct rlimit *ret_old)           \
	{                                                                                                    \
		return limit_set(pid, resource, limit, ret_old);                                             \
	}
#define SETRLIMIT(name, symbol)                                                                              \
	extern int name(unsigned, const struct rlimit *) __asm__(symbol) exported;                           \
	int name(unsigned resource, const struct rlimit *limit)                                              \
	{                                                                                                    \
		return limit_set(0, resource, limit, NULL);                                                  \
	}

PRLIMIT(limit_prlimit, "prlimit")
PRLIMIT(limit_prlimit64, "prlimit64")
SETRLIMIT(limit_setrlimit, "setrlimit")
SETRLIMIT(limit_setrlimit64, "setrlimit64")

/* --- prctl: after a filter of system calls children must not begin with some of their own
 * -------------------------- */

int prctl(int option, ...) exported;
int prctl(int option, ...)
{
	unsigned long argument[4];
	va_list list;

	va_start(list, option);
	for (unsigned i = 0; i < 4; i++)
		argument[i] = va_arg(list, unsigned long);
	va_end(list);
	/* Without rights the latter comes before any filter; with them, filters come by this call or by
	 * seccomp(2). */
	if (option == PR_SET_SECCOMP || option == PR_SET_NO_NEW_PRIVS)
		shim.sandboxed = true;
	return (int)syscall(SYS_prctl, option, argument[0], argument[1], argument[2], argument[3]);
}

/* --- dlclose: what comes to the same addresses is somebody else
 * ----------------------------------------------------- */

int dlclose(void *handle) exported;
int dlclose(void *handle)
{
	static _Atomic(void *) found;
	int (*real)(void *) = atomic_load_explicit(&found, memory_order_relaxed);
	int r;

	if (!real) {
		real = dlsym(RTLD_NEXT, "dlclose");
		atomic_store_explicit(&found, (void *)real, memory_order_relaxed);
	}
	r = real(handle);
	if (shim.base && shim.header == (struct shadow_header *)shim.base)
		site_drop_gone();
	return r;
}

/* --- pthread_create: where a thread's stack ends
 * -------------------------------------------------------------------- */

struct thread_start {
	void *(*run)(void *);
	void *arg;
	size_t stack_bytes;
};

/* What is above this frame is the thread's own and mapped; how far down it goes, not quite to the last page.
 */
static void *thread_run(void *arg)
{
	struct thread_start start = *(struct thread_start *)arg;
	uintptr_t high = (uintptr_t)__builtin_frame_address(0);
	void *result;

	shim.real.free(arg);
	if (high > start.stack_bytes)
		stack_learn(high - start.stack_bytes / 8 * 7, high);
	result = start.run(start.arg);
	stack_learn(0, 0);
	return result;
}

static size_t stack_bytes_of(const pthread_attr_t *attributes)
{
	pthread_attr_t defaults;
	size_t bytes = 0;

	if (attributes) {
		pthread_attr_getstacksize(attributes, &bytes);
	} else if (!pthread_getattr_default_np(&defaults)) {
		pthread_attr_getstacksize(&defaults, &bytes);
		pthread_attr_destroy(&defaults);
	}
	return bytes;
}

typedef int pthread_create_fn(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

int pthread_create(
	pthread_t *ret_thread, const pthread_attr_t *attributes, void *(*run)(void *), void *arg) exported;
int pthread_create(pthread_t *ret_thread, const pthread_attr_t *attributes, void *(*run)(void *), void *arg)
{
	static _Atomic(void *) found;
	pthread_create_fn *real = atomic_load_explicit(&found, memory_order_relaxed);
	struct thread_start *start;
	int r;

	if (!real) {
		real = dlsym(RTLD_NEXT, "pthread_create");
		atomic_store_explicit(&found, (void *)real, memory_order_relaxed);
	}
	if (!shim.base || !(start = shim.real.malloc(sizeof(*start))))
		return real(ret_thread, attributes, run, arg);
	*start = (struct thread_start) { run, arg, stack_bytes_of(attributes) };
	r = real(ret_thread, attributes, thread_run, start);
	if (r)
		shim.real.free(start);
	return r;
}
