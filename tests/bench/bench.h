/* SPDX-License-Identifier: MIT */
/*
 * Statistics of benches that compare. Everything compared is measured in turn in each round, so that what
 * else the machine does meets all alike; a ratio is taken within a round, and what is printed is the median
 * of the rounds with the smallest and the largest.
 */
#pragma once

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "schema/base/clock.h"

enum { BENCH_ROUNDS = 21, BENCH_ROUNDS_QUICK = 3, BENCH_CALLS = 16, BENCH_TURN_MS = 5, BENCH_SUBJECTS = 16 };

struct bench_stat {
	double median, min, max;
};

/* One thing measured: `call` is timed over and over, in batches of BENCH_CALLS. */
struct bench_subject {
	const char *what;
	int (*call)(void *ctx); /* 0 or -errno */
	void *ctx;
	double us[BENCH_ROUNDS]; /* a call, in each round */
};

static inline int bench_compare(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;
	return (left > right) - (left < right);
}

static inline struct bench_stat bench_stat(const double *values, size_t n)
{
	double sorted[BENCH_ROUNDS];

	memcpy(sorted, values, n * sizeof(*values));
	qsort(sorted, n, sizeof(*sorted), bench_compare);
	return (struct bench_stat) { sorted[n / 2], sorted[0], sorted[n - 1] };
}

/* Of `above` to `below`, round by round. */
static inline struct bench_stat bench_ratio(const double *above, const double *below, size_t n)
{
	double ratio[BENCH_ROUNDS];

	for (size_t i = 0; i < n; i++)
		ratio[i] = above[i] / below[i];
	return bench_stat(ratio, n);
}

/* Calls it for `ms` and adds to the time and the number of calls. 0 or what the call failed with. */
static inline int bench_run(int (*call)(void *ctx), void *ctx, unsigned ms, double *us, double *calls)
{
	int64_t begin = clock_monotonic_ns(), end = begin + (int64_t)ms * 1000000, now;

	do {
		for (int i = 0; i < BENCH_CALLS; i++) {
			int r = call(ctx);
			if (r)
				return r;
		}
		*calls += BENCH_CALLS;
		now = clock_monotonic_ns();
	} while (now < end);
	*us += (double)(now - begin) / 1000;
	return 0;
}

/*
 * `rounds` times `ms` for each subject, after one round that does not count. Within a round they take turns
 * of BENCH_TURN_MS, so that a disturbance meets neighbours alike. 0 or -errno with a message.
 */
static inline int bench_rounds(struct bench_subject *subject, size_t n, unsigned rounds, unsigned ms)
{
	for (unsigned round = 0; round <= rounds; round++) {
		double us[BENCH_SUBJECTS] = { 0 }, calls[BENCH_SUBJECTS] = { 0 };

		for (unsigned done = 0; done < ms; done += BENCH_TURN_MS) {
			for (size_t i = 0; i < n; i++) {
				int r = bench_run(
					subject[i].call, subject[i].ctx, BENCH_TURN_MS, &us[i], &calls[i]);
				if (r) {
					fprintf(stderr, "%s: %s\n", subject[i].what, strerror(-r));
					return r;
				}
			}
		}
		for (size_t i = 0; round && i < n; i++)
			subject[i].us[round - 1] = us[i] / calls[i];
	}
	return 0;
}

static inline void bench_print(const char *what, struct bench_stat us)
{
	printf("  %-50s %10.2f us (%.2f..%.2f)\n", what, us.median, us.min, us.max);
}

/* A reach: no more than (`at_most`) or no less than that. Prints the verdict; false where it is missed. */
static inline bool bench_reach(const char *what, struct bench_stat ratio, bool at_most, double reach)
{
	bool fine = at_most ? ratio.median <= reach : ratio.median >= reach;

	printf("    %-48s %10.2fx   (%.2f..%.2f)  reach %s %.1fx: %s\n", what, ratio.median, ratio.min,
		ratio.max, at_most ? "<=" : ">=", reach, fine ? "kept" : "MISSED");
	return fine;
}

static inline void bench_print_ratio(const char *what, struct bench_stat ratio)
{
	printf("    %-48s %10.2fx   (%.2f..%.2f)\n", what, ratio.median, ratio.min, ratio.max);
}
