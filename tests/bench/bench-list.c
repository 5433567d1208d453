/* SPDX-License-Identifier: MIT */
/*
 * `ls -l` of the directory of 10,000 processes (--quick: 500), and of a tmpfs directory of as many entries of
 * each kind: by the calls that ls makes, and by ls. Cold is the first listing of a fresh mount; a tmpfs,
 * which is made in memory, is never cold.
 */
#include <dirent.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

#include "tests/bench/place.h"

enum { PROCESSES = 10000, PROCESSES_QUICK = 500, DIRENT_BYTES = 32768 };

struct names {
	char *bytes; /* NUL-terminated, one after the other */
	size_t len, cap, n;
};

/* glibc does not declare what getdents64 fills. */
struct dirent_on_wire {
	uint64_t ino;
	int64_t offset;
	uint16_t len;
	uint8_t type;
	char name[];
};

static int put_name(struct names *names, const char *name)
{
	size_t len = strlen(name) + 1;

	if (names->cap - names->len < len) {
		size_t cap = 2 * names->cap + 65536;
		char *bytes = realloc(names->bytes, cap);
		if (!bytes)
			return -ENOMEM;
		names->bytes = bytes;
		names->cap = cap;
	}
	memcpy(names->bytes + names->len, name, len);
	names->len += len;
	names->n++;
	return 0;
}

typedef int entry_fn(const char *dir, const char *name, void *ctx);

static int each_entry(const char *dir, entry_fn *fn, void *ctx)
{
	CLEANUP_CLOSE int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NONBLOCK);
	CLEANUP_FREE char *bytes = malloc(DIRENT_BYTES);
	long n;

	if (fd < 0 || !bytes)
		return -errno;
	while ((n = syscall(SYS_getdents64, fd, bytes, DIRENT_BYTES)) > 0) {
		for (long at = 0; at < n;) {
			const struct dirent_on_wire *entry = (const void *)(bytes + at);
			int r = *entry->name == '.' ? 0 : fn(dir, entry->name, ctx);
			if (r)
				return r;
			at += entry->len;
		}
	}
	return n < 0 ? -errno : 0;
}

static int keep_name(const char *dir, const char *name, void *ctx)
{
	return put_name(ctx, name);
}

/* What strace shows of `ls -l` for a name it got: statx without following, then the access lists of what is
 * no link (a directory has two), the target of what is one. */
static int look_at(const char *dir, const char *name, void *ctx)
{
	char path[PATH_MAX], target[PATH_MAX];
	struct statx st;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	/* A process may have ended since. */
	if (statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT,
		    STATX_MODE | STATX_NLINK | STATX_UID | STATX_GID | STATX_MTIME | STATX_SIZE, &st))
		return errno == ENOENT ? 0 : -errno;
	if (S_ISLNK(st.stx_mode))
		return readlink(path, target, sizeof(target)) < 0 ? -errno : 0;
	getxattr(path, "system.posix_acl_access", NULL, 0);
	if (S_ISDIR(st.stx_mode))
		getxattr(path, "system.posix_acl_default", NULL, 0);
	return 0;
}

static int run_ls(const char *dir)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		int null = open("/dev/null", O_WRONLY);
		dup2(null, STDOUT_FILENO);
		/* What ended between listing and looking is told there. */
		dup2(null, STDERR_FILENO);
		execlp("ls", "ls", "-l", dir, (char *)NULL);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return WIFEXITED(status) && WEXITSTATUS(status) < 127 ? 0 : -1;
}

/* Entries of the same names and kinds in a tmpfs. */
static int copy_directory(const char *from, const char *to, struct names *names)
{
	const char *name;

	if (each_entry(from, keep_name, names) || mkdir("tmpfs/nodes", 0755) || mkdir(to, 0755))
		return -1;
	name = names->bytes;
	for (size_t i = 0; i < names->n; i++, name += strlen(name) + 1) {
		char path[PATH_MAX], copy[PATH_MAX], target[PATH_MAX] = "";
		struct stat st;
		int r;
		snprintf(path, sizeof(path), "%s/%s", from, name);
		snprintf(copy, sizeof(copy), "%s/%s", to, name);
		if (lstat(path, &st))
			continue;
		if (S_ISDIR(st.st_mode))
			r = mkdir(copy, 0555);
		else if (S_ISLNK(st.st_mode))
			r = readlink(path, target, sizeof(target) - 1) < 0 || symlink(target, copy);
		else
			r = mknod(copy, S_IFREG | 0444, 0);
		if (r) {
			perror(copy);
			return -1;
		}
	}
	return 0;
}

enum what { CALLS, LS, N_WHAT };
struct times {
	double memfs_cold[N_WHAT][BENCH_ROUNDS], memfs_warm[N_WHAT][BENCH_ROUNDS],
		tmpfs[N_WHAT][BENCH_ROUNDS];
};

static int time_list(enum what what, const char *dir, double *ret_ms)
{
	int64_t begin = clock_monotonic_ns();
	int r = what == CALLS ? each_entry(dir, look_at, NULL) : run_ls(dir);

	*ret_ms = (double)(clock_monotonic_ns() - begin) / 1e6;
	if (r)
		fprintf(stderr, "%s: cannot be listed: %s\n", dir, strerror(-r));
	return r;
}

static int one_round(const struct place *place, unsigned round, struct times *times)
{
	static const char dir[] = "memfs/nodes/bench", copy[] = "tmpfs/nodes/bench";

	for (enum what what = CALLS; what < N_WHAT; what++) {
		double again;
		if (place_mount_ready(place, "memfs", NULL) ||
			time_list(what, dir, &times->memfs_cold[what][round]) ||
			time_list(what, dir, &again) ||
			time_list(what, dir, &times->memfs_warm[what][round]) ||
			time_list(what, copy, &again) || time_list(what, copy, &times->tmpfs[what][round]) ||
			place_umount(place, "memfs"))
			return -1;
	}
	return 0;
}

static bool report(const struct place *place, enum what what, const struct times *times)
{
	const double *const row[] = { times->memfs_cold[what], times->memfs_warm[what], times->tmpfs[what] };
	static const char *const name[] = { "memfs, first of a fresh mount", "memfs, warm", "tmpfs" };
	bool fine = true;

	printf("%s:\n", what == CALLS ? "the calls of ls -l" : "ls -l >/dev/null");
	for (int i = 0; i < 3; i++) {
		struct bench_stat ms = bench_stat(row[i], place->rounds);
		printf("  %-50s %10.2f ms (%.2f..%.2f)\n", name[i], ms.median, ms.min, ms.max);
	}
	fine &= bench_reach("warm to tmpfs", bench_ratio(row[1], row[2], place->rounds), true, 1.1);
	fine &= bench_reach(
		"cold to tmpfs, which never is", bench_ratio(row[0], row[2], place->rounds), true, 2);
	return fine;
}

static int run(const struct place *place)
{
	size_t n = place->quick ? PROCESSES_QUICK : PROCESSES;
	struct names names = { 0 };
	struct times *times = calloc(1, sizeof(*times));
	CLEANUP_FREE struct times *owned = times;
	bool fine = true;

	if (!times || place_sleepers(n, NULL) || place_tmpfs("tmpfs") ||
		place_mount_ready(place, "memfs", NULL) ||
		copy_directory("memfs/nodes/bench", "tmpfs/nodes/bench", &names) ||
		place_umount(place, "memfs"))
		return 1;
	printf("%zu entries\n", names.n);
	if (names.n < n) {
		fprintf(stderr, "there are %zu entries, fewer than the %zu processes\n", names.n, n);
		return 1;
	}
	for (unsigned round = 0; round < place->rounds; round++) {
		if (one_round(place, round, times))
			return 1;
	}
	for (enum what what = CALLS; what < N_WHAT; what++)
		fine &= report(place, what, times);
	free(names.bytes);
	return fine || place->quick ? 0 : 1;
}

int main(int argc, char **argv)
{
	return place_main(argc, argv, run);
}
