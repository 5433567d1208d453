/* SPDX-License-Identifier: MIT */
/*
 * guest WHAT: does what a shim in the process has to stand. Each prints what it found, the same with a shim
 * and without, and ends with 0 if that is as it should be.
 *
 *   api               return values, errno, alignment, usable sizes of the malloc family
 *   double-free       frees twice: the C library aborts
 *   forks COUNT       COUNT forks while four threads allocate; the children allocate too
 *   closed            closes all descriptors, then allocates far more than was touched before
 *   locked            mlockall, then RssShmem in kB
 *   limited BYTES     sets RLIMIT_AS to BYTES more than the process has, allocates half of that
 *   cloned            a child by clone(2), past the handlers of fork, allocates and frees
 *   filtered          forbids most system calls on pain of death; allocates, forks, allocates again
 *   behind-filter CMD runs CMD under a filter that allows everything
 *   told              does what lines of stdin say (told, below), and answers each with a line
 */
#include <errno.h>
#include <inttypes.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void *touch(void *block)
{
	__asm__ volatile("" : "+r"(block) : : "memory");
	return block;
}

static void tell(const char *what, void *block, size_t alignment)
{
	printf("%s: %s, errno %s, usable %zu, aligned %d\n", what, block ? "block" : "null",
		strerrorname_np(errno), block ? malloc_usable_size(block) : 0,
		(uintptr_t)block % alignment == 0);
	free(touch(block));
	errno = 0;
}

/* Sizes that cannot be, kept from the compiler, which knows that. */
static volatile size_t half = SIZE_MAX / 2, all = SIZE_MAX;

static int api(void)
{
	void *block = (void *)1;

	setvbuf(stdout, NULL, _IONBF, 0);
	errno = 0;
	for (size_t size = 0; size < 5000; size = size * 3 / 2 + 1)
		tell("malloc", touch(malloc(size)), 16);
	errno = EXDEV;
	tell("malloc keeps errno", touch(malloc(1)), 16);
	errno = EXDEV;
	free(touch(malloc(1)));
	printf("free keeps errno %s\n", strerrorname_np(errno));
	errno = 0;
	tell("malloc refuses", touch(malloc(half)), 16);
	tell("calloc", touch(calloc(3, 100)), 16);
	tell("calloc of nothing", touch(calloc(0, 100)), 16);
	tell("calloc refuses", touch(calloc(half, 3)), 16);
	tell("realloc of nothing", touch(realloc(NULL, 100)), 16);
	tell("realloc", touch(realloc(malloc(10), 100)), 16);
	tell("realloc to nothing", touch(realloc(malloc(10), 0)), 16);
	tell("realloc refuses", touch(realloc(NULL, half)), 16);
	tell("reallocarray", touch(reallocarray(NULL, 3, 5)), 16);
	tell("reallocarray refuses", touch(reallocarray(NULL, all, 5)), 16);
	tell("memalign", touch(memalign(256, 5)), 256);
	/* How much is usable depends on where the heap is. */
	block = touch(memalign(24, 5));
	printf("memalign odd: aligned %d, errno %s\n", (uintptr_t)block % 32 == 0, strerrorname_np(errno));
	free(block);
	block = (void *)1;
	tell("memalign refuses", touch(memalign(half + 2, 5)), 16);
	tell("aligned_alloc", touch(aligned_alloc(64, 128)), 64);
	tell("valloc", touch(valloc(5)), 4096);
	tell("pvalloc", touch(pvalloc(5)), 4096);
	printf("posix_memalign %d", posix_memalign(&block, 64, 100));
	tell("", block, 64);
	block = (void *)1;
	printf("posix_memalign refuses %d %d, errno %d\n", posix_memalign(&block, 3, 100), block == (void *)1,
		errno);
	printf("posix_memalign refuses %d %d, errno %d\n", posix_memalign(&block, 64, half),
		block == (void *)1, errno);
	return 0;
}

static int double_free(void)
{
	void *block = malloc(1000);

	free(touch(block));
	free(touch(block));
	return 0;
}

static _Atomic int stop;

static void *allocate(void *arg)
{
	void *blocks[50] = { 0 };

	while (!stop)
		for (unsigned i = 0; i < 50; i++) {
			free(blocks[i]);
			blocks[i] = touch(malloc(10 + i * 7));
		}
	for (unsigned i = 0; i < 50; i++)
		free(blocks[i]);
	return arg;
}

static int forks(int count)
{
	pthread_t thread[4];
	int failed = 0, status;

	for (unsigned i = 0; i < 4; i++)
		pthread_create(&thread[i], NULL, allocate, NULL);
	while (count-- && !failed) {
		pid_t pid = fork();

		if (!pid) {
			for (unsigned i = 0; i < 100; i++)
				free(touch(malloc(i * 10)));
			_exit(touch(malloc(100)) ? 0 : 1);
		}
		failed = pid < 0 || waitpid(pid, &status, 0) != pid || status;
	}
	stop = 1;
	for (unsigned i = 0; i < 4; i++)
		pthread_join(thread[i], NULL);
	printf("forks %s\n", failed ? "failed" : "done");
	return failed;
}

static int closed(void)
{
	enum { BLOCKS = 4000 };
	static void *blocks[BLOCKS];

	/* 3 on: as daemons do. */
	close_range(3, ~0U, 0);
	for (unsigned i = 0; i < BLOCKS; i++)
		blocks[i] = touch(malloc(100000)); /* 400 MB of addresses */
	for (unsigned i = 0; i < BLOCKS; i += 2)
		free(blocks[i]);
	return 0;
}

static int locked(void)
{
	char line[128];
	FILE *status;

	if (mlockall(MCL_CURRENT | MCL_FUTURE)) {
		printf("mlockall %s\n", strerrorname_np(errno));
		return 1;
	}
	free(touch(malloc(1000)));
	status = fopen("/proc/self/status", "r");
	while (status && fgets(line, sizeof(line), status))
		if (!strncmp(line, "RssShmem:", 9) || !strncmp(line, "VmLck:", 6))
			printf("%s", line);
	return 0;
}

static int limited(uint64_t bytes)
{
	uint64_t pages = 0;
	struct rlimit limit;
	FILE *statm = fopen("/proc/self/statm", "r");
	void *block;

	if (!statm || fscanf(statm, "%" SCNu64, &pages) != 1)
		return 2;
	/* A shim's reservation is not the program's. */
	if (pages * 4096 > UINT64_C(1) << 30)
		pages = 0;
	limit.rlim_cur = limit.rlim_max = pages * 4096 + bytes;
	if (setrlimit(RLIMIT_AS, &limit))
		return 2;
	block = touch(malloc(bytes / 2));
	printf("half of it %s\n", block ? "is there" : "is not there");
	return !block;
}

static int cloned(void)
{
	void *before = touch(malloc(777));
	int status;
	pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);

	if (!pid) {
		free(before);
		for (unsigned i = 0; i < 1000; i++)
			if (!touch(malloc(778)))
				_exit(1);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	printf("child %d\n", status);
	return status;
}

/* All but these end the process. */
static int filter(const int *allowed, size_t n)
{
	struct sock_filter code[64] = { BPF_STMT(
		BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)) };
	struct sock_fprog program = { .filter = code };
	size_t len = 1;

	for (size_t i = 0; i < n; i++) {
		code[len++] =
			(struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)allowed[i], 0, 1);
		code[len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	}
	code[len++] = (struct sock_filter)BPF_STMT(
		BPF_RET | BPF_K, n ? SECCOMP_RET_KILL_PROCESS : SECCOMP_RET_ALLOW);
	program.len = (unsigned short)len;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static int filtered(void)
{
	/* What the C library needs for malloc, fork and the rest of this function, and no more. */
	static const int allowed[] = { SYS_write, SYS_brk, SYS_mmap, SYS_munmap, SYS_mprotect, SYS_mremap,
		SYS_clone, SYS_wait4, SYS_exit_group, SYS_set_robust_list, SYS_newfstatat, SYS_fstat,
		SYS_rseq, SYS_gettid, SYS_getrandom };
	int status;
	pid_t pid;

	if (filter(allowed, sizeof(allowed) / sizeof(allowed[0])))
		return 2;
	for (size_t size = 1; size < 64 << 20; size *= 2)
		free(touch(malloc(size)));
	pid = fork();
	if (!pid) {
		for (size_t size = 1; size < 64 << 20; size *= 2)
			free(touch(malloc(size)));
		_exit(0);
	}
	waitpid(pid, &status, 0);
	printf("child %d\n", status);
	return status;
}

static void *one_block(void *arg)
{
	return touch(malloc((size_t)(uintptr_t)arg));
}

static void in_threads(unsigned count, size_t size)
{
	pthread_t thread;

	while (count--) {
		pthread_create(&thread, NULL, one_block, (void *)(uintptr_t)size);
		pthread_join(thread, NULL);
	}
}

/*
 * alloc COUNT SIZE; free COUNT and resize COUNT SIZE, of the oldest; threads COUNT SIZE: a block in each;
 * fork: the child goes on.
 */
static int told(void)
{
	enum { BLOCKS = 1 << 20 };
	void **blocks = mmap(
		NULL, BLOCKS * sizeof(*blocks), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	static char line[64], out[64];
	size_t made = 0, freed = 0;
	unsigned count, size;

	setvbuf(stdout, out, _IOLBF, sizeof(out));
	setvbuf(stdin, NULL, _IONBF, 0);
	puts("ready");
	while (fgets(line, sizeof(line), stdin)) {
		if (sscanf(line, "alloc %u %u", &count, &size) == 2)
			while (count-- && made < BLOCKS)
				blocks[made++] = touch(malloc(size));
		else if (sscanf(line, "free %u", &count) == 1)
			while (count-- && freed < made)
				free(blocks[freed++]);
		else if (sscanf(line, "resize %u %u", &count, &size) == 2)
			for (size_t i = freed; i < made && count--; i++)
				blocks[i] = touch(realloc(blocks[i], size));
		else if (sscanf(line, "threads %u %u", &count, &size) == 2)
			in_threads(count, size);
		else if (!strcmp(line, "fork\n") && fork())
			return wait(NULL) < 0;
		printf("%d done\n", getpid());
	}
	return 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (!strcmp(what, "api"))
		return api();
	if (!strcmp(what, "double-free"))
		return double_free();
	if (!strcmp(what, "forks") && argc == 3)
		return forks(atoi(argv[2]));
	if (!strcmp(what, "closed"))
		return closed();
	if (!strcmp(what, "locked"))
		return locked();
	if (!strcmp(what, "limited") && argc == 3)
		return limited(strtoull(argv[2], NULL, 10));
	if (!strcmp(what, "cloned"))
		return cloned();
	if (!strcmp(what, "filtered"))
		return filtered();
	if (!strcmp(what, "told"))
		return told();
	if (!strcmp(what, "behind-filter") && argc > 2 && !filter(NULL, 0))
		execvp(argv[2], argv + 2);
	return 2;
}
