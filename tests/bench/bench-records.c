/* SPDX-License-Identifier: MIT */
/*
 * What a reader of the mount waits for: leak records of a program with a million live blocks, and what was
 * made of them; beside the read of a file of the same length in a tmpfs.
 */
#include <stdint.h>

#include "tests/bench/place.h"

enum { BLOCKS = 1000000, PIECE_BYTES = 128 << 10, FIRST_MS = 60, ALL_MS = 300 };

/* --- the program that is looked at --- */

static void *held[BLOCKS];

static int hold(void)
{
	for (size_t i = 0; i < BLOCKS; i++) {
		held[i] = malloc(16 + i * 7919 % 497);
		if (!held[i])
			return 1;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	puts("held");
	fflush(stdout);
	for (;;)
		pause();
}

/* Its pid when all blocks are there; -1. */
static pid_t start_holding(const struct place *place)
{
	char run[64], self[PATH_MAX], byte;
	int pipe_fd[2];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n < 0 || pipe(pipe_fd))
		return -1;
	self[n] = 0;
	snprintf(run, sizeof(run), "run=%s/mnt.run", place->dir);
	pid_t pid = fork();
	if (!pid) {
		dup2(pipe_fd[1], STDOUT_FILENO);
		close(pipe_fd[0]);
		close(pipe_fd[1]);
		execl(place->memfs, "memfs", "run", "-o", run, "--require", "--", self, "--hold", NULL);
		_exit(127);
	}
	close(pipe_fd[1]);
	bool held_all = pid > 0 && read(pipe_fd[0], &byte, 1) == 1;
	close(pipe_fd[0]);
	if (held_all)
		return pid;
	fprintf(stderr, "the program with the blocks does not run\n");
	place_end(pid);
	return -1;
}

static int write_text(const char *path, const char *text)
{
	CLEANUP_CLOSE int fd = open(path, O_WRONLY | O_CLOEXEC | O_TRUNC);
	return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -1;
}

/* --- reading --- */

struct reading {
	const char *what;
	char path[96];
	double first_ms[BENCH_ROUNDS], all_ms[BENCH_ROUNDS];
	uint64_t bytes;
};

static int read_all(struct reading *reading, unsigned round, char *piece)
{
	int64_t begin_ns = clock_monotonic_ns();
	CLEANUP_CLOSE int fd = open(reading->path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, piece, PIECE_BYTES);
	double first_ms = (double)(clock_monotonic_ns() - begin_ns) / 1e6;

	for (reading->bytes = 0; n > 0; n = read(fd, piece, PIECE_BYTES))
		reading->bytes += (uint64_t)n;
	if (n < 0) {
		perror(reading->path);
		return -1;
	}
	if (round) {
		reading->first_ms[round - 1] = first_ms;
		reading->all_ms[round - 1] = (double)(clock_monotonic_ns() - begin_ns) / 1e6;
	}
	return 0;
}

static int copy(const char *from, const char *to, char *piece)
{
	CLEANUP_CLOSE int in = open(from, O_RDONLY | O_CLOEXEC);
	CLEANUP_CLOSE int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	ssize_t n = in < 0 || out < 0 ? -1 : read(in, piece, PIECE_BYTES);

	for (; n > 0; n = read(in, piece, PIECE_BYTES))
		if (write(out, piece, (size_t)n) != n)
			return -1;
	return n ? -1 : 0;
}

static void say(const struct reading *reading, unsigned rounds)
{
	struct bench_stat first = bench_stat(reading->first_ms, rounds);
	struct bench_stat all = bench_stat(reading->all_ms, rounds);

	printf("  %-28s %10llu bytes  first byte %7.1f ms (%.1f..%.1f)  all %7.1f ms (%.1f..%.1f)\n",
		reading->what, (unsigned long long)reading->bytes, first.median, first.min, first.max,
		all.median, all.min, all.max);
}

static int compare(struct reading *reading, size_t n, unsigned rounds)
{
	CLEANUP_FREE char *piece = malloc(PIECE_BYTES);

	if (!piece || copy(reading[0].path, reading[n - 1].path, piece))
		return 1;
	for (unsigned round = 0; round <= rounds; round++)
		for (size_t i = 0; i < n; i++)
			if (read_all(&reading[i], round, piece))
				return 1;
	for (size_t i = 0; i < n; i++)
		say(&reading[i], rounds);
	double first = bench_stat(reading[0].first_ms, rounds).median;
	double all = bench_stat(reading[0].all_ms, rounds).median;
	printf("    records: first byte, reach <= %d ms: %s; all, reach <= %d ms: %s\n", FIRST_MS,
		first <= FIRST_MS ? "kept" : "MISSED", ALL_MS, all <= ALL_MS ? "kept" : "MISSED");
	bench_print_ratio("records, all, to the file in tmpfs",
		bench_ratio(reading[0].all_ms, reading[n - 1].all_ms, rounds));
	return 0;
}

static int run(const struct place *place)
{
	struct reading reading[] = { { .what = "leaks/records" }, { .what = "leaks/callers" },
		{ .what = "leaks/folded" }, { .what = "a file in tmpfs", .path = "tmpfs/records" } };
	const size_t n = sizeof(reading) / sizeof(*reading);
	char min_age[96];

	if (place_mount_ready(place, "mnt", NULL) || place_tmpfs("tmpfs"))
		return 1;
	pid_t pid = start_holding(place);
	if (pid < 0)
		return 1;
	for (size_t i = 0; i + 1 < n; i++)
		snprintf(reading[i].path, sizeof(reading[i].path), "mnt/local/%d/%s", pid, reading[i].what);
	snprintf(min_age, sizeof(min_age), "mnt/local/%d/leaks/min_age", pid);
	for (int tries = 0; tries < 500 && write_text(min_age, "0\n"); tries++)
		place_pause_ms(10);
	int r = compare(reading, n, place->rounds);
	place_end(pid);
	return r;
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "--hold"))
		return hold();
	return place_main(argc, argv, run);
}
