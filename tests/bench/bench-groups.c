/* SPDX-License-Identifier: MIT */
/*
 * Groups among 10,000 processes (--quick: 500): reading the stat of one by name and by user, first in a fresh
 * mount, then warm, beside /proc/meminfo; and the longest such read over a tick, which makes the sums anew.
 */
#include "tests/bench/place.h"

enum {
	PROCESSES = 10000,
	PROCESSES_QUICK = 500,
	WARM_MS = 100,
	WARM_QUICK_MS = 10,
	WATCH_MS = 1500, /* a tick of the collector is in there */
	WATCH_QUICK_MS = 100,
};

enum what { BY_NAME, BY_USER, PROC, N_WHAT };
static const char *const path[N_WHAT] = { "memfs/nodes/bench/by-name/bench-groups/stat",
	"memfs/nodes/bench/by-user/0/stat", "/proc/meminfo" };

struct times {
	double cold[N_WHAT][BENCH_ROUNDS], warm[N_WHAT][BENCH_ROUNDS], longest[N_WHAT][BENCH_ROUNDS];
};

static int read_it(void *ctx)
{
	char text[4096];
	return place_read(ctx, text, sizeof(text));
}

static int time_one(const char *file, double *ret_us)
{
	char text[4096];
	int64_t begin = clock_monotonic_ns();
	int r = place_read(file, text, sizeof(text));

	*ret_us = (double)(clock_monotonic_ns() - begin) / 1000;
	if (r)
		fprintf(stderr, "%s: %s\n", file, strerror(-r));
	return r;
}

/* The longest of calls a millisecond apart, for long enough that one meets a new tick. */
static int time_longest(const struct place *place, const char *file, double *ret_us)
{
	const struct timespec pause = { 0, 1000000 };
	int64_t end = clock_monotonic_ns() + INT64_C(1000000) * (place->quick ? WATCH_QUICK_MS : WATCH_MS);

	*ret_us = 0;
	while (clock_monotonic_ns() < end) {
		double us;
		if (time_one(file, &us))
			return -1;
		if (us > *ret_us)
			*ret_us = us;
		nanosleep(&pause, NULL);
	}
	return 0;
}

static int one_round(const struct place *place, unsigned round, struct times *times)
{
	for (int what = 0; what < N_WHAT; what++) {
		double us = 0, calls = 0;
		if (place_mount_ready(place, "memfs", NULL) ||
			time_one(path[what], &times->cold[what][round]) ||
			bench_run(read_it, (void *)(uintptr_t)path[what],
				place->quick ? WARM_QUICK_MS : WARM_MS, &us, &calls) ||
			time_longest(place, path[what], &times->longest[what][round]) ||
			place_umount(place, "memfs"))
			return -1;
		times->warm[what][round] = us / calls;
	}
	return 0;
}

static int run(const struct place *place)
{
	size_t n = place->quick ? PROCESSES_QUICK : PROCESSES;
	struct times *times = calloc(1, sizeof(*times));
	CLEANUP_FREE struct times *owned = times;

	for (size_t i = 0; i < n; i++) {
		if (place_sleeper() < 0) {
			perror("fork");
			return 1;
		}
	}
	if (!times)
		return 1;
	for (unsigned round = 0; round < place->rounds; round++) {
		if (one_round(place, round, times))
			return 1;
	}
	printf("open+read+close among %zu processes:\n", n);
	for (int what = 0; what < N_WHAT; what++) {
		printf(" %s\n", path[what]);
		bench_print("first", bench_stat(times->cold[what], place->rounds));
		bench_print("warm", bench_stat(times->warm[what], place->rounds));
		bench_print("the longest over a tick", bench_stat(times->longest[what], place->rounds));
	}
	return bench_reach("warm by-name to /proc/meminfo",
		       bench_ratio(times->warm[BY_NAME], times->warm[PROC], place->rounds), true, 1) ||
			       place->quick
		       ? 0
		       : 1;
}

int main(int argc, char **argv)
{
	return place_main(argc, argv, run);
}
