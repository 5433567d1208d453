/* SPDX-License-Identifier: MIT */
/*
 * What a picture of history costs, from samples in memory to SVG. `bench-plot DIR` writes the pictures there,
 * to be looked at.
 */
#include <limits.h>

#include "fs/plot/plot_metrics.h"
#include "tests/bench/bench.h"

enum { NOW = 1763712345, NODE = 0, PROCESS = 1 };
#define GIB (UINT64_C(1) << 30)
#define MIB (UINT64_C(1) << 20)

struct sample {
	const char *what, *title, *subtitle;
	int kind;
	int64_t span_s;
	unsigned step_s;
	int64_t from_s; /* the first sample, after the begin of the span */
	int64_t gap_s, gap_end_s;
	double drawn; /* where 0: nothing is there; -1: one sample, 1: all */
};

static const struct sample samples[] = {
	{ "process-10m", "postgres (4711)", "process of web-3", PROCESS, 600, 1, 0, 300, 340, 1 },
	{ "node-10m", "web-3", "node", NODE, 600, 1, 0, 0, 0, 1 },
	{ "node-1h", "web-3", "node", NODE, 3600, 1, 1200, 2400, 2410, 1 },
	{ "node-1d", "web-3", "node", NODE, 86400, 60, 0, 30000, 43000, 1 },
	{ "node-30d", "web-3", "node", NODE, 30 * 86400, 3600, 0, 1000000, 1400000, 1 },
	{ "process-1d", "java (123456)", "process of web-3", PROCESS, 86400, 60, 20000, 0, 0, 1 },
	{ "node-1d-seconds", "web-3", "node", NODE, 86400, 1, 0, 40000, 43000, 1 },
	{ "node-one", "web-3", "node", NODE, 600, 1, 300, 0, 0, -1 },
	{ "process-none", "a<b>&\x1b[31m\xff (1)", "process of web-3", PROCESS, 3600, 1, 0, 0, 0, 0 },
};
enum { N_SAMPLES = sizeof(samples) / sizeof(*samples) };

static double noise(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (double)(*state >> 33) / (double)(1u << 31);
}

/* -1 to 1 and back every `period`. */
static double wave(double at, double period)
{
	double phase = at / period - (double)(int64_t)(at / period);
	double x = phase < .5 ? 4 * phase - 1 : 3 - 4 * phase;
	return x * (1.5 - .5 * x * x);
}

/* A machine under a daily load, with a leak that is freed now and then. */
static int fill(struct plot_metrics *metrics, const struct sample *sample)
{
	uint64_t seed = 7, value[64] = { 0 }, peak[64], faults = 100, major = 0;
	int64_t from_s = NOW - sample->span_s;

	for (int64_t t = from_s + sample->from_s; t <= NOW && sample->drawn != 0; t += sample->step_s) {
		double day = wave((double)t, 86400), leak = (double)(t % 400000) / 400000,
		       ripple = wave((double)t, (double)sample->span_s / 6);
		bool spike = noise(&seed) > .998;
		if (t - from_s >= sample->gap_s && t - from_s < sample->gap_end_s)
			continue;
		if (sample->kind == NODE) {
			double used = 6 + 2 * day + .2 * ripple + .05 * noise(&seed) + (spike ? 3 : 0);
			double gib[] = { 15.6, 15.6 - used, used, 1, 4, 5, .1 + .02 * noise(&seed),
				4 - day + leak, .3, 2, 2 - leak, leak, .001 * noise(&seed), .7 + .1 * leak,
				used - 1.5 };
			for (unsigned i = 0; i < 15; i++)
				value[i] = (uint64_t)(gib[i] * (double)GIB);
		} else {
			faults += (uint64_t)(400 * noise(&seed) + (spike ? 9000 : 0)) * sample->step_s;
			major += noise(&seed) > .97;
			double mib[] = { 420 + 60 * leak + 4 * noise(&seed), 9000, 140 + 10 * ripple, 8,
				2000 + 60 * leak, 280 + 60 * leak, 0 };
			for (unsigned i = 0; i < 7; i++)
				value[i] = (uint64_t)(mib[i] * (double)MIB);
			value[7] = faults;
			value[8] = major;
		}
		for (unsigned i = 0; i < 64; i++)
			peak[i] =
				value[i] +
				(sample->step_s > 1 ? (uint64_t)((double)value[i] * .15 * noise(&seed)) : 0);
		int r = plot_metrics_add(metrics, t, ~UINT64_C(0), value, sample->step_s > 1 ? peak : NULL);
		if (r)
			return r;
		if (sample->drawn < 0)
			break;
	}
	return 0;
}

static int draw(const struct sample *sample, struct buf *out, double *ret_ms)
{
	struct plot plot = { .title = sample->title,
		.subtitle = sample->subtitle,
		.from_s = NOW - sample->span_s,
		.to_s = NOW,
		.step_s = sample->step_s };
	struct plot_metrics metrics;

	plot_metrics_init(&metrics, sample->kind == NODE ? &system_metrics : &process_metrics);
	int r = fill(&metrics, sample);
	int64_t begin = clock_ns(CLOCK_PROCESS_CPUTIME_ID); /* whatever else the machine does */
	plot_metrics_render(&metrics, plot, out);
	*ret_ms = (double)(clock_ns(CLOCK_PROCESS_CPUTIME_ID) - begin) / 1e6;
	plot_metrics_deinit(&metrics);
	return r ? r : buf_error(out);
}

int main(int argc, char **argv)
{
	for (unsigned i = 0; i < N_SAMPLES; i++) {
		double ms[BENCH_ROUNDS];
		size_t len = 0;

		for (unsigned round = 0; round < BENCH_ROUNDS; round++) {
			struct buf out = BUF_INIT;
			char path[PATH_MAX];
			if (draw(&samples[i], &out, &ms[round]))
				return EXIT_FAILURE;
			len = out.len;
			if (argc > 1 && !round) {
				snprintf(path, sizeof(path), "%s/%s.svg", argv[1], samples[i].what);
				FILE *file = fopen(path, "w");
				if (!file || fwrite(out.data, 1, out.len, file) != out.len || fclose(file)) {
					perror(path);
					return EXIT_FAILURE;
				}
			}
			buf_deinit(&out);
		}
		struct bench_stat stat = bench_stat(ms, BENCH_ROUNDS);
		printf("  %-20s %8.3f ms (%.3f..%.3f) %8zu bytes\n", samples[i].what, stat.median, stat.min,
			stat.max, len);
	}
	return EXIT_SUCCESS;
}
