/* SPDX-License-Identifier: MIT */
/*
 * What history costs: the codecs on a synthetic machine of 1,000 processes (70 % idle, 30 % that change every
 * second, most in pages, as in the research), on one where all are busy, and the whole way through the
 * database. Medians of 21 rounds.
 */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/history.h"
#include "collector/history_writer.h"
#include "schema/base/clock.h"
#include "schema/history.h"
#include "schema/pack.h"

enum { ROUNDS = 21, PROCESSES = 1000, COLUMNS = LIVE_COLUMNS, BASE = 1700000040 /* a minute begins */ };

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static int compare(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;
	return (left > right) - (left < right);
}

static double median(double *values, size_t n)
{
	qsort(values, n, sizeof(*values), compare);
	return values[n / 2];
}

/* One process: sizes wander by pages, faults grow by small numbers. */
struct walker {
	bool busy;
	uint64_t value[COLUMNS];
};

static void walker_init(struct walker *walker, uint64_t *seed, bool busy)
{
	walker->busy = busy;
	for (unsigned i = 0; i < COLUMNS; i++)
		walker->value[i] =
			i < COLUMNS - 2 ? (next_random(seed) % 100000) * 4096 : next_random(seed) % 1000000;
	walker->value[6] = 0; /* nothing swapped */
}

static void walker_step(struct walker *walker, uint64_t *seed)
{
	uint64_t pages = next_random(seed) % 64, sign = next_random(seed) & 1;
	uint64_t step = (sign ? 0 - pages : pages) * 4096;

	if (!walker->busy)
		return;
	walker->value[0] += step;         /* rss */
	if (next_random(seed) % 4 == 0) { /* vms and data move together, now and then */
		walker->value[1] += step;
		walker->value[4] += step;
	}
	walker->value[5] += step;                           /* anon */
	walker->value[7] += pages + next_random(seed) % 32; /* minor faults */
}

/* Every column changes every second, each by a step of its own. */
static void walker_storm(struct walker *walker, uint64_t *seed)
{
	for (unsigned i = 0; i < COLUMNS; i++) {
		uint64_t step = next_random(seed) % 2048, sign = i < COLUMNS - 2 ? next_random(seed) & 1 : 0;
		walker->value[i] += (sign ? 0 - step : step) * (i < COLUMNS - 2 ? 4096 : 1);
	}
}

static void bench_codec(const char *what, unsigned busy_percent, bool storm)
{
	static struct pack_minute minute[PROCESSES], back;
	double encode[ROUNDS], decode[ROUNDS];
	uint64_t seed = 88172645463325252u;
	static size_t at[PROCESSES + 1];
	struct buf buf = BUF_INIT;
	double samples = (double)PROCESSES * 60 * COLUMNS;

	for (unsigned p = 0; p < PROCESSES; p++) {
		struct walker walker;

		walker_init(&walker, &seed, p % 100 < busy_percent);
		pack_minute_init(&minute[p], COLUMNS);
		for (unsigned s = 0; s < 60; s++) {
			pack_minute_set(&minute[p], s, (1 << COLUMNS) - 1, walker.value);
			if (storm)
				walker_storm(&walker, &seed);
			else
				walker_step(&walker, &seed);
		}
	}
	for (int round = 0; round < ROUNDS; round++) {
		int64_t begin_ns = clock_monotonic_ns();

		buf_clear(&buf);
		for (unsigned p = 0; p < PROCESSES; p++) {
			at[p] = buf.len;
			pack_minute_encode(&buf, &minute[p]);
		}
		at[PROCESSES] = buf.len;
		encode[round] = (double)(clock_monotonic_ns() - begin_ns);
		begin_ns = clock_monotonic_ns();
		for (unsigned p = 0; p < PROCESSES; p++) {
			if (!pack_minute_decode(&back, buf.data + at[p], at[p + 1] - at[p]))
				abort();
		}
		decode[round] = (double)(clock_monotonic_ns() - begin_ns);
	}
	printf("%-34s %8.1f M samples/s packed %8.1f M samples/s unpacked %7.2f bytes/sample\n", what,
		samples / median(encode, ROUNDS) * 1000, samples / median(decode, ROUNDS) * 1000,
		(double)buf.len / samples);
	buf_deinit(&buf);
}

/* --- through the database --- */

struct machine {
	char dir[64];
	struct writer writer;
	struct walker *walker;
	uint64_t seed;
	unsigned n;
};

static int unlink_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	return remove(path);
}

static void require(int r, const char *what)
{
	if (r) {
		fprintf(stderr, "%s: %d\n", what, r);
		exit(1);
	}
}

static struct history_tick *machine_tick(struct machine *machine, int64_t t)
{
	struct history_tick *tick = history_tick_new(machine->n);
	size_t n = 0;

	if (!tick)
		abort();
	tick->time_ns = t * 1000000000;
	for (unsigned m = 0; m < N_SYSTEM_METRICS; m++)
		system_values_set(&tick->system, m, (uint64_t)t * (m + 1) * 4096);
	for (unsigned p = 0; p < machine->n; p++) {
		struct walker *walker = &machine->walker[p];

		if (t > BASE && !walker->busy)
			continue;
		walker_step(walker, &machine->seed);
		struct history_entry *entry = &tick->entry[n++];
		*entry = (struct history_entry) {
			.pid = p + 1, .start_ticks = 7, .start_s = BASE, .comm = "walker"
		};
		entry->born = t == BASE;
		for (unsigned i = 0; i < COLUMNS; i++)
			process_values_set(
				&entry->values, machine->writer.process_metric[i], walker->value[i]);
	}
	tick->n = n;
	return tick;
}

static int on_sample(void *ctx, int64_t time_s, uint64_t present, const uint64_t *value)
{
	++*(unsigned *)ctx;
	return 0;
}

static double cpu_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static void bench_reader(struct machine *machine, int64_t last)
{
	struct store *store;
	double us[ROUNDS * 10];
	unsigned samples = 0;

	require(store_open_reader(machine->dir, &store, NULL), "reader");
	for (unsigned round = 0; round < ROUNDS * 10; round++) {
		int64_t subject, begin_ns;

		/* Busy ones, each ten times in a row: warm. */
		require(store_find_subject(store, (round / 10 * 100) % machine->n + 1, 7, &subject),
			"subject");
		samples = 0;
		begin_ns = clock_monotonic_ns();
		require(history_each(store, subject, last - 599, last, on_sample, &samples), "read");
		us[round] = (double)(clock_monotonic_ns() - begin_ns) / 1000;
	}
	printf("  ten minutes of one process: %.0f us (%u samples, open minute of %d ticks)\n",
		median(us, ROUNDS * 10), samples, (int)(last % 60) + 1);
	store_close(store);
}

static void bench_machine(unsigned n, unsigned busy_percent, int minutes)
{
	struct machine machine = { .dir = "/tmp/memfs-bench-pack-XXXXXX", .seed = 42, .n = n };
	int64_t t = BASE, end = BASE + minutes * 60 + 30;
	size_t n_ticks = 0, n_steps = 0;
	double *tick_us = calloc((size_t)(end - t), sizeof(double)),
	       *step_us = calloc(100000, sizeof(double));
	double cpu = 0;
	bool more;

	machine.walker = calloc(n, sizeof(*machine.walker));
	if (!tick_us || !step_us || !machine.walker || !mkdtemp(machine.dir))
		abort();
	for (unsigned p = 0; p < n; p++)
		walker_init(&machine.walker[p], &machine.seed, p % 100 < busy_percent);
	writer_init(&machine.writer, machine.dir, "bench", BASE);
	require(writer_open(&machine.writer, NULL), "open");
	for (; t < end; t++) {
		struct history_tick *tick = machine_tick(&machine, t);
		double begin_cpu = cpu_us();
		int64_t begin_ns = clock_monotonic_ns();

		require(writer_apply(&machine.writer, tick), "apply");
		require(writer_write(&machine.writer, tick->time_ns), "write");
		tick_us[n_ticks++] = (double)(clock_monotonic_ns() - begin_ns) / 1000;
		do {
			begin_ns = clock_monotonic_ns();
			require(writer_step(&machine.writer, &more), "step");
			if (more && n_steps < 100000)
				step_us[n_steps++] = (double)(clock_monotonic_ns() - begin_ns) / 1000;
		} while (more);
		cpu += cpu_us() - begin_cpu;
		free(tick);
	}
	double samples = (double)n * COLUMNS * (double)(end - BASE);
	int64_t bytes = store_bytes(machine.writer.store), used = store_used_bytes(machine.writer.store);
	printf("%u processes, %u %% busy, %d minutes through the database\n", n, busy_percent, minutes);
	qsort(tick_us, n_ticks, sizeof(*tick_us), compare);
	qsort(step_us, n_steps, sizeof(*step_us), compare);
	printf("  a tick: %.0f us (largest %.0f); a step of packing: %.0f us (largest %.0f)\n",
		tick_us[n_ticks / 2], tick_us[n_ticks - 1], step_us[n_steps / 2], step_us[n_steps - 1]);
	printf("  %.1f M samples/s of processor time; %.2f %% of a processor at one tick a second\n",
		samples / cpu, cpu / (double)(end - BASE) / 1e4);
	printf("  %.2f bytes/sample on disk (%.2f without free pages and the WAL)\n", (double)bytes / samples,
		(double)used / samples);
	printf("  %zu bytes of memory for each process that lives\n",
		sizeof(struct live) + machine.writer.live.n_buckets * sizeof(uint32_t) / n);
	if (minutes >= 10)
		bench_reader(&machine, end - 1);
	writer_deinit(&machine.writer);
	free(machine.walker);
	free(tick_us);
	free(step_us);
	nftw(machine.dir, unlink_one, 8, FTW_DEPTH | FTW_PHYS);
}

int main(void)
{
	bench_codec("1,000 processes, 30 % busy", 30, false);
	bench_codec("1,000 processes, all busy", 100, false);
	bench_codec("every column changes every second", 100, true);
	bench_machine(1000, 30, 12);
	bench_machine(1000, 100, 12);
	bench_machine(10000, 0, 3);
	bench_machine(10000, 30, 3);
	return 0;
}
