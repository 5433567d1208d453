/* SPDX-License-Identifier: MIT */
#include "collector/symbols/child/sandbox.h"

#include <errno.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "collector/symbols/wire.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define WATCHED 1 /* by a sanitizer, whose shadow memory and system calls would not pass */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define WATCHED 1
#endif
#endif
#ifndef WATCHED
#define WATCHED 0
#endif

/* Debug information of a large program is some gigabytes, mapped; what is made of it is on the heap. */
#define ADDRESSES_BYTES (UINT64_C(32) << 30)
#define HEAP_BYTES      (UINT64_C(2) << 30)
enum { CPU_S = 300, FILES = 8192 };

static int limit(int what, uint64_t most)
{
	struct rlimit now;

	if (getrlimit(what, &now))
		return -errno;
	if (now.rlim_max == RLIM_INFINITY || now.rlim_max > most || geteuid() == 0)
		now.rlim_max = most;
	now.rlim_cur = now.rlim_max;
	return setrlimit(what, &now) ? -errno : 0;
}

static int set_limits(void)
{
	static const struct {
		int what;
		uint64_t most;
		bool watched; /* sanitizers can live with it */
	} limits[] = {
		{ RLIMIT_CPU, CPU_S, true }, { RLIMIT_CORE, 0, true }, { RLIMIT_AS, ADDRESSES_BYTES, false },
		{ RLIMIT_DATA, HEAP_BYTES, false },
		{ RLIMIT_FSIZE, 0, false }, /* of a file only the log is open */
	};
	int r = 0;

	for (size_t i = 0; !r && i < sizeof(limits) / sizeof(*limits); i++)
		if (limits[i].watched || !WATCHED)
			r = limit(limits[i].what, limits[i].most);
	return r;
}

/* All but standard input, output and error, and the socket. */
static int close_others(void)
{
	if (syscall(SYS_close_range, WIRE_SOCKET + 1, ~0U, 0) == 0)
		return 0;
	if (errno != ENOSYS)
		return -errno;
	/* Linux before 5.9. */
	for (int fd = WIRE_SOCKET + 1; fd < FILES; fd++)
		close(fd);
	return 0;
}

static int drop_rights(uid_t uid, gid_t gid)
{
	cap_t none = cap_init();
	int r = none ? 0 : -ENOMEM;

	if (!r && geteuid() == 0) {
		if (setgroups(0, NULL) || setresgid(gid, gid, gid) || setresuid(uid, uid, uid))
			r = -errno;
		else if (uid == 0)
			r = -EPERM; /* who starts it as root says as whom it is to run */
	}
	if (!r && cap_set_proc(none))
		r = -errno;
	if (none)
		cap_free(none);
	if (!r && (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)))
		r = -errno;
	return r;
}

#if defined(__x86_64__)
#define MACHINE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define MACHINE AUDIT_ARCH_AARCH64
#endif

#ifdef MACHINE
/* What libelf, libdw and the C library do when they read files, and the conversation. */
static const int allowed[] = {
	SYS_recvmsg,
	SYS_sendmsg,
	SYS_pread64,
	SYS_read,
	SYS_lseek,
	SYS_mmap,
	SYS_munmap,
	SYS_mremap,
	SYS_mprotect,
	SYS_madvise,
	SYS_brk,
	SYS_close,
	SYS_fcntl,
	SYS_fstat,
	SYS_newfstatat,
	SYS_openat,
	SYS_openat2,
	SYS_readlinkat,
	SYS_futex,
	SYS_getrandom,
	SYS_clock_gettime,
	SYS_exit_group,
	SYS_exit,
	SYS_rt_sigreturn,
	SYS_rt_sigprocmask,
	SYS_getpid,
	SYS_gettid,
	SYS_tgkill,
	SYS_write,
	SYS_writev,
#ifdef SYS_readlink
	SYS_readlink,
#endif
};
enum { N_ALLOWED = sizeof(allowed) / sizeof(*allowed) };

/* Other calls fail with EPERM: nothing is done, and what asks by habit goes on. */
static int filter_calls(void)
{
	struct sock_filter code[4 + 2 * N_ALLOWED + 1];
	unsigned short n = 0;

	code[n++] =
		(struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
	code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MACHINE, 1, 0);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	for (int i = 0; i < N_ALLOWED; i++) {
		code[n++] =
			(struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)allowed[i], 0, 1);
		code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	}
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
	const struct sock_fprog program = { n, code };
	/* A kernel without it: the rest holds. */
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) && errno != EINVAL)
		return -errno;
	return 0;
}
#else
static int filter_calls(void)
{
	return 0;
}
#endif

int sandbox_enter(uid_t uid, gid_t gid)
{
	int r = close_others();

	/* Root's to raise, so before its rights go. */
	if (!r)
		r = limit(RLIMIT_NOFILE, FILES);
	if (!r)
		r = drop_rights(uid, gid);
	/* Who hangs does not see that nobody is there to answer any more. A change of ids would take it away.
	 */
	if (!r && prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0))
		r = -errno;
	/* A message too many is not worth dying for. */
	if (!r && signal(SIGXFSZ, SIG_IGN) == SIG_ERR)
		r = -errno;
	if (!r)
		r = set_limits();
	if (!r && !WATCHED)
		r = filter_calls();
	return r;
}
