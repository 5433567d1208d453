/* SPDX-License-Identifier: MIT */
/*
 * Groups among 10,000 processes (--quick: 500): reading the stat of one by name and by user, and listing all
 * of a kind, first in a fresh mount, then warm, beside /proc/meminfo and the listing of /proc; and the
 * longest such call over a tick, which makes the sums anew. Then the pss of all, beside reading each
 * process's smaps_rollup.
 */
#include <dirent.h>
#include <inttypes.h>

#include "tests/bench/place.h"

enum {
	PROCESSES = 10000,
	PROCESSES_QUICK = 500,
	WARM_MS = 100,
	WARM_QUICK_MS = 10,
	WATCH_MS = 1500, /* a tick of the collector is in there */
	WATCH_QUICK_MS = 100,
	PSS_ROUNDS = 5,
	PSS_ROUNDS_QUICK = 1,
};

static int read_it(void *ctx)
{
	char text[4096];
	return place_read(ctx, text, sizeof(text));
}

static int list_it(void *ctx)
{
	CLEANUP_CLOSEDIR DIR *dir = opendir(ctx);
	size_t n = 0;

	while (dir && readdir(dir))
		n++;
	return n ? 0 : -errno;
}

enum what {
	STAT_BY_NAME,
	STAT_BY_USER,
	MEMINFO,
	LIST_BY_NAME,
	LIST_BY_USER,
	LIST_BY_UNIT,
	LIST_PROC,
	N_WHAT
};
static const struct {
	const char *path;
	int (*call)(void *ctx);
} what_of[N_WHAT] = {
	[STAT_BY_NAME] = { "memfs/nodes/bench/by-name/bench-groups/stat", read_it },
	[STAT_BY_USER] = { "memfs/nodes/bench/by-user/0/stat", read_it },
	[MEMINFO] = { "/proc/meminfo", read_it },
	[LIST_BY_NAME] = { "memfs/nodes/bench/by-name", list_it },
	[LIST_BY_USER] = { "memfs/nodes/bench/by-user", list_it },
	[LIST_BY_UNIT] = { "memfs/nodes/bench/by-unit", list_it },
	[LIST_PROC] = { "/proc", list_it },
};

struct times {
	double cold[N_WHAT][BENCH_ROUNDS], warm[N_WHAT][BENCH_ROUNDS], longest[N_WHAT][BENCH_ROUNDS];
	double pss_ms[BENCH_ROUNDS], rollup_ms[BENCH_ROUNDS];
};

static int time_one(enum what what, double *ret_us)
{
	int64_t begin = clock_monotonic_ns();
	int r = what_of[what].call((void *)(uintptr_t)what_of[what].path);

	*ret_us = (double)(clock_monotonic_ns() - begin) / 1000;
	if (r)
		fprintf(stderr, "%s: %s\n", what_of[what].path, strerror(-r));
	return r;
}

/* The longest of calls a millisecond apart, for long enough that one meets a new tick. */
static int time_longest(const struct place *place, enum what what, double *ret_us)
{
	int64_t end = clock_monotonic_ns() + INT64_C(1000000) * (place->quick ? WATCH_QUICK_MS : WATCH_MS);

	*ret_us = 0;
	while (clock_monotonic_ns() < end) {
		double us;
		if (time_one(what, &us))
			return -1;
		if (us > *ret_us)
			*ret_us = us;
		place_pause_ms(1);
	}
	return 0;
}

static int one_round(const struct place *place, unsigned round, struct times *times)
{
	for (enum what what = 0; what < N_WHAT; what++) {
		double us = 0, calls = 0;
		if (place_mount_ready(place, "memfs", NULL) || time_one(what, &times->cold[what][round]) ||
			bench_run(what_of[what].call, (void *)(uintptr_t)what_of[what].path,
				place->quick ? WARM_QUICK_MS : WARM_MS, &us, &calls) ||
			time_longest(place, what, &times->longest[what][round]) ||
			place_umount(place, "memfs"))
			return -1;
		times->warm[what][round] = us / calls;
	}
	return 0;
}

/* The sum of what each says itself, as who has no groups would take it. */
static uint64_t add_rollups(const pid_t *pid, size_t n)
{
	char path[64], text[4096];
	uint64_t sum_kb = 0, kb;

	for (size_t i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid[i]);
		const char *at = place_read(path, text, sizeof(text)) ? NULL : strstr(text, "\nPss:");
		if (at && sscanf(at, " Pss: %" SCNu64, &kb) == 1)
			sum_kb += kb;
	}
	return sum_kb * 1024;
}

static int time_pss(
	const struct place *place, const pid_t *pid, size_t n, unsigned rounds, struct times *times)
{
	static const char path[] = "memfs/nodes/bench/by-name/bench-groups/pss";
	char text[64];
	uint64_t pss_bytes = 0, rollup_bytes = 0;

	if (place_mount_ready(place, "memfs", NULL))
		return -1;
	for (unsigned round = 0; round < rounds; round++) {
		int64_t begin = clock_monotonic_ns();
		int r = place_read(path, text, sizeof(text));
		int64_t between = clock_monotonic_ns();
		if (r || sscanf(text, "%" SCNu64, &pss_bytes) != 1) {
			fprintf(stderr, "%s: %s\n", path, strerror(-r));
			return -1;
		}
		rollup_bytes = add_rollups(pid, n);
		times->pss_ms[round] = (double)(between - begin) / 1e6;
		times->rollup_ms[round] = (double)(clock_monotonic_ns() - between) / 1e6;
	}
	printf("pss of %zu: %" PRIu64 " bytes, their smaps_rollup %" PRIu64 "\n", n, pss_bytes, rollup_bytes);
	return place_umount(place, "memfs");
}

static void print_ms(const char *what, struct bench_stat ms)
{
	printf("  %-50s %10.2f ms (%.2f..%.2f)\n", what, ms.median, ms.min, ms.max);
}

static bool report(const struct place *place, const struct times *times)
{
	for (enum what what = 0; what < N_WHAT; what++) {
		printf(" %s%s\n", what_of[what].call == list_it ? "list " : "", what_of[what].path);
		bench_print("first", bench_stat(times->cold[what], place->rounds));
		bench_print("warm", bench_stat(times->warm[what], place->rounds));
		bench_print("the longest over a tick", bench_stat(times->longest[what], place->rounds));
	}
	return bench_reach("warm by-name to /proc/meminfo",
		bench_ratio(times->warm[STAT_BY_NAME], times->warm[MEMINFO], place->rounds), true, 1);
}

static void report_pss(unsigned rounds, const struct times *times)
{
	print_ms("by-name/bench-groups/pss", bench_stat(times->pss_ms, rounds));
	print_ms("smaps_rollup of each", bench_stat(times->rollup_ms, rounds));
	bench_print_ratio("pss to these", bench_ratio(times->pss_ms, times->rollup_ms, rounds));
}

static int run(const struct place *place)
{
	size_t n = place->quick ? PROCESSES_QUICK : PROCESSES;
	unsigned pss_rounds = place_rounds(place, PSS_ROUNDS, PSS_ROUNDS_QUICK);
	CLEANUP_FREE pid_t *pid = calloc(n, sizeof(*pid));
	CLEANUP_FREE struct times *times = calloc(1, sizeof(*times));

	if (!pid || !times || place_sleepers(n, pid))
		return 1;
	for (unsigned round = 0; round < place->rounds; round++) {
		if (one_round(place, round, times))
			return 1;
	}
	printf("among %zu processes:\n", n);
	bool fine = report(place, times);
	if (time_pss(place, pid, n, pss_rounds, times))
		return 1;
	report_pss(pss_rounds, times);
	return fine || place->quick ? 0 : 1;
}

int main(int argc, char **argv)
{
	return place_main(argc, argv, run);
}
