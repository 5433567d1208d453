/* SPDX-License-Identifier: MIT */
/*
 * A place for a bench to mount in: a private directory, which is the working directory of the bench, so that
 * the path `memfs/local/...` costs what `/memfs/local/...` costs elsewhere. The bench runs in a child; its
 * parent unmounts and removes everything whenever and however the child ends, and ends it when told to end.
 */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "schema/base/cleanup.h"
#include "tests/bench/bench.h"

struct place {
	char dir[32];      /* the working directory */
	const char *memfs; /* the program */
	const char *only;  /* --only TEXT: what is named so, and nothing else; NULL: all */
	bool quick;
	unsigned rounds;
	unsigned rounds_asked; /* --rounds N; 0: not */
};

/* The rounds of a bench that cannot have as many as others. */
static inline unsigned place_rounds(const struct place *place, unsigned own, unsigned own_quick)
{
	return place->rounds_asked ? place->rounds_asked : place->quick ? own_quick : own;
}

static inline void place_pause_ms(unsigned ms)
{
	const struct timespec pause = { ms / 1000, (long)(ms % 1000) * 1000000 };
	nanosleep(&pause, NULL);
}

/* Runs a program to its end. Its exit status, or -1. */
static inline int place_run(const char *const *argv)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		execvp(argv[0], (char *const *)(uintptr_t)argv);
		fprintf(stderr, "%s: %s\n", argv[0], strerror(errno));
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

/* Mounts a memfs of its own on ./NAME, with more options if any. 0, or -1 with a message. */
static inline int place_mount(const struct place *place, const char *name, const char *more)
{
	char options[PATH_MAX], dir[64];

	snprintf(dir, sizeof(dir), "%s/%s", place->dir, name);
	snprintf(options, sizeof(options), "run=%s.run,state=%s.state,node=bench%s%s", dir, dir,
		more ? "," : "", more ? more : "");
	if (mkdir(dir, 0755) && errno != EEXIST) {
		perror(dir);
		return -1;
	}
	const char *const argv[] = { place->memfs, "mount", "-o", options, dir, NULL };
	return place_run(argv) ? -1 : 0;
}

/* Reads a file from its beginning; NUL-terminated, cut where it does not fit. 0 or -errno. */
static inline int place_read(const char *path, char *text, size_t cap)
{
	CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, cap - 1);

	text[n > 0 ? n : 0] = 0;
	return n < 0 ? -errno : 0;
}

/* The same as place_mount, and waits until the collector has had its first look: cold is the kernel's cache
 * then, not the collector. */
static inline int place_mount_ready(const struct place *place, const char *name, const char *more)
{
	char path[64], text[4096];

	if (place_mount(place, name, more))
		return -1;
	snprintf(path, sizeof(path), "%s/status", name);
	for (int tries = 0; tries < 500; tries++) {
		unsigned long processes = 0;
		place_read(path, text, sizeof(text));
		const char *line = strstr(text, "\nprocesses ");
		if (line && sscanf(line, " processes %lu", &processes) == 1 && processes)
			return 0;
		place_pause_ms(10);
	}
	fprintf(stderr, "the collector does not publish\n");
	return -1;
}

static inline int place_umount(const struct place *place, const char *name)
{
	char dir[64];

	snprintf(dir, sizeof(dir), "%s/%s", place->dir, name);
	const char *const argv[] = { place->memfs, "umount", dir, NULL };
	return place_run(argv) ? -1 : 0;
}

/* A tmpfs on ./NAME. 0 or -1. */
static inline int place_tmpfs(const char *name)
{
	if ((mkdir(name, 0755) && errno != EEXIST) || mount("tmpfs", name, "tmpfs", 0, "nr_inodes=0")) {
		perror(name);
		return -1;
	}
	return 0;
}

/* Children that do nothing and die with the bench. */
static inline pid_t place_sleeper(void)
{
	pid_t parent = getpid(), pid = fork();

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		while (getppid() == parent)
			pause();
		_exit(0);
	}
	return pid;
}

/* So many of them; their pids, if wanted. 0, or -1 with a message. */
static inline int place_sleepers(size_t n, pid_t *ret_pids)
{
	for (size_t i = 0; i < n; i++) {
		pid_t pid = place_sleeper();
		if (pid < 0) {
			perror("fork");
			return -1;
		}
		if (ret_pids)
			ret_pids[i] = pid;
	}
	return 0;
}

static inline void place_end(pid_t pid)
{
	if (pid > 0) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
}

/* Unmounts what is below the directory: memfs by itself, so that its processes end, then whatever is left. */
static inline void place_unmount_all(const struct place *place, bool memfs_only)
{
	enum { MOUNTS = 64 };
	char found[MOUNTS][128], line[4096], dir[128], type[64];
	size_t n = 0, len = strlen(place->dir);
	FILE *mounts = fopen("/proc/self/mounts", "re");

	while (mounts && n < MOUNTS && fgets(line, sizeof(line), mounts)) {
		if (sscanf(line, "%*s %127s %63s", dir, type) != 2 || strncmp(dir, place->dir, len) != 0 ||
			dir[len] != '/')
			continue;
		if (!memfs_only || (!strcmp(type, "fuse.memfs") && !strchr(dir + len + 1, '/')))
			strcpy(found[n++], dir);
	}
	if (mounts)
		fclose(mounts);
	while (n--) {
		const char *const argv[] = { place->memfs, "umount", found[n], NULL };
		if (!memfs_only || place_run(argv))
			umount2(found[n], MNT_DETACH | UMOUNT_NOFOLLOW);
	}
}

static inline int place_remove(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	remove(path);
	return 0;
}

/* Waits for the bench; a signal to end ends it. Its exit status. */
static inline int place_guard(pid_t bench, const sigset_t *signals)
{
	int status, signal = 0;

	while (waitpid(bench, &status, WNOHANG) != bench) {
		if (sigwait(signals, &signal) || signal != SIGCHLD)
			kill(bench, SIGKILL);
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static inline bool place_read_arguments(struct place *place, int argc, char **argv)
{
	place->rounds = BENCH_ROUNDS;
	for (int i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : "";
		if (!strcmp(argv[i], "--quick")) {
			place->quick = true;
			place->rounds = BENCH_ROUNDS_QUICK;
		} else if (!strcmp(argv[i], "--only") && *value) {
			place->only = value;
			i++;
		} else if (!strcmp(argv[i], "--rounds") && atoi(value) > 0 && atoi(value) <= BENCH_ROUNDS) {
			place->rounds = place->rounds_asked = (unsigned)atoi(value);
			i++;
		} else {
			return false;
		}
	}
	return true;
}

/* The main of a bench: `run` returns 0 where everything held. */
static inline int place_main(int argc, char **argv, int (*run)(const struct place *place))
{
	struct place place = { .dir = "/tmp/memfs-bench-XXXXXX", .memfs = getenv("MEMFS") };
	struct rlimit limit;
	sigset_t signals, before;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!place_read_arguments(&place, argc, argv)) {
		fprintf(stderr, "usage: %s [--quick] [--only TEXT] [--rounds 1..%d]\n", argv[0],
			BENCH_ROUNDS);
		return 2;
	}
	if (!place.memfs) {
		fprintf(stderr, "MEMFS must name the memfs program\n");
		return 1;
	}
	if (!mkdtemp(place.dir) || chdir(place.dir) || chmod(place.dir, 0755)) {
		perror(place.dir);
		return 1;
	}
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGCHLD);
	sigprocmask(SIG_BLOCK, &signals, &before);
	pid_t guard = getpid(), pid = fork();
	if (!pid) {
		sigprocmask(SIG_SETMASK, &before, NULL);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		/* What is measured is memfs, not who else computes: it and its peers go first, if allowed. */
		setpriority(PRIO_PROCESS, 0, -20);
		_exit(getppid() == guard ? run(&place) : 1);
	}
	int status = pid > 0 ? place_guard(pid, &signals) : 1;
	place_unmount_all(&place, true);
	place_unmount_all(&place, false);
	nftw(place.dir, place_remove, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
	return status;
}
