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

static int on_sample(void *ctx, const struct history_point *point)
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
		require(history_each(store, subject, LEVEL_SECONDS, last - 599, last, on_sample, &samples),
			"read");
		us[round] = (double)(clock_monotonic_ns() - begin_ns) / 1000;
	}
	printf("  ten minutes of one process: %.0f us (%u samples, open minute of %d ticks)\n",
		median(us, ROUNDS * 10), samples, (int)(last % 60) + 1);
	store_close(store);
}

static void bench_at(struct machine *machine, int64_t last)
{
	/* In the open minute, in a packed one, and as a minute's row says. */
	const int64_t second[] = { last, last - 90 };
	struct history_moment moment;
	struct store *store;
	double ms[3];

	require(store_open_reader(machine->dir, &store, NULL), "reader");
	for (int i = 0; i < 3; i++) {
		double rounds[ROUNDS];

		for (unsigned round = 0; round < ROUNDS; round++) {
			int64_t begin_ns = clock_monotonic_ns();

			if (i < 2)
				require(history_at(store, second[i], &moment), "at");
			else
				require(history_at_unit(store, LEVEL_MINUTES, (last - 90) / 60, &moment),
					"at a minute");
			rounds[round] = (double)(clock_monotonic_ns() - begin_ns) / 1e6;
			if (moment.n != machine->n)
				abort();
			history_moment_deinit(&moment);
		}
		ms[i] = median(rounds, ROUNDS);
	}
	printf("  everything at an instant: open minute %.1f ms, packed second %.1f ms, minute %.1f ms\n",
		ms[0], ms[1], ms[2]);
	store_close(store);
}

static void print_levels(struct store *store)
{
	int64_t bytes[N_LEVELS];

	require(store_level_bytes(store, bytes), "levels");
	printf("  seconds %.1f MB, minutes %.1f MB, hours %.1f MB by estimate; %.1f MB used\n",
		(double)bytes[LEVEL_SECONDS] / 1e6, (double)bytes[LEVEL_MINUTES] / 1e6,
		(double)bytes[LEVEL_HOURS] / 1e6, (double)store_used_bytes(store) / 1e6);
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
	print_levels(machine.writer.store);
	if (minutes >= 10)
		bench_reader(&machine, end - 1);
	if (n >= 10000)
		bench_at(&machine, end - 1);
	writer_deinit(&machine.writer);
	free(machine.walker);
	free(tick_us);
	free(step_us);
	nftw(machine.dir, unlink_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* --- thirty days --- */

static double series_ms(struct machine *machine, int64_t subject, enum level level, int64_t from, int64_t to,
	unsigned *ret_points)
{
	struct store *store;
	double ms[ROUNDS];

	require(store_open_reader(machine->dir, &store, NULL), "reader");
	for (unsigned round = 0; round < ROUNDS; round++) {
		int64_t begin_ns = clock_monotonic_ns();

		*ret_points = 0;
		require(history_each(store, subject, level, from, to, on_sample, ret_points), "series");
		ms[round] = (double)(clock_monotonic_ns() - begin_ns) / 1e6;
	}
	store_close(store);
	return median(ms, ROUNDS);
}

/* A tick every half minute for thirty days: what the rows of minutes and hours are does not depend on it. */
static void bench_month(void)
{
	enum { DAYS = 30, STEP_S = 30, N = 20 };
	struct machine machine = { .dir = "/tmp/memfs-bench-pack-XXXXXX", .seed = 42, .n = N };
	int64_t t = BASE, end = BASE + DAYS * INT64_C(86400), subject;
	unsigned points;
	bool more;

	machine.walker = calloc(N, sizeof(*machine.walker));
	if (!machine.walker || !mkdtemp(machine.dir))
		abort();
	for (unsigned p = 0; p < N; p++)
		walker_init(&machine.walker[p], &machine.seed, p < N / 3);
	writer_init(&machine.writer, machine.dir, "bench", BASE);
	machine.writer.settings.value[SETTING_HISTORY_SECONDS_DAYS] = 1;
	require(writer_open(&machine.writer, NULL), "open");
	for (; t < end; t += STEP_S) {
		struct history_tick *tick = machine_tick(&machine, t);

		require(writer_apply(&machine.writer, tick), "apply");
		require(writer_write(&machine.writer, tick->time_ns), "write");
		do {
			require(writer_step(&machine.writer, &more), "step");
		} while (more);
		free(tick);
	}
	printf("thirty days, %d processes, a third of them busy\n", N);
	print_levels(machine.writer.store);
	double ms = series_ms(&machine, 0, LEVEL_HOURS, end - DAYS * INT64_C(86400), end, &points);
	printf("  30 days of the node: %.2f ms (%u hours)", ms, points);
	ms = series_ms(&machine, 0, LEVEL_MINUTES, end - 86400, end, &points);
	printf("; a day: %.2f ms (%u minutes)\n", ms, points);
	for (unsigned pid = 1; pid <= N; pid += N - 1) {
		struct store *store = machine.writer.store;

		require(store_find_subject(store, pid, 7, &subject), "subject");
		ms = series_ms(&machine, subject, LEVEL_HOURS, end - DAYS * INT64_C(86400), end, &points);
		printf("  30 days of a process that is %s: %.2f ms", pid == 1 ? "busy" : "idle", ms);
		ms = series_ms(&machine, subject, LEVEL_MINUTES, end - 86400, end, &points);
		printf("; a day: %.2f ms (%u minutes)\n", ms, points);
	}
	writer_deinit(&machine.writer);
	free(machine.walker);
	nftw(machine.dir, unlink_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* --- what a real machine recorded --- */

struct recorded {
	struct store *store;
	int64_t subject, minutes;
	double bytes, samples;
	struct pack_minute minute;
};

static int on_recorded_minute(void *ctx, int64_t number, const void *blob, size_t len)
{
	struct recorded *recorded = ctx;

	if (!pack_minute_decode(&recorded->minute, blob, len))
		return STORE_DAMAGED;
	recorded->bytes += (double)len;
	for (unsigned m = 0; m < recorded->minute.n_metrics; m++)
		recorded->samples += __builtin_popcountll(recorded->minute.present[m]);
	return 0;
}

static int on_recorded(void *ctx, int64_t subject, int64_t minute)
{
	struct recorded *recorded = ctx;

	recorded->minutes++;
	return store_each_minute(recorded->store, subject, minute, minute, on_recorded_minute, recorded);
}

static void copy_file(const char *from_dir, const char *to_dir, const char *name)
{
	char path[4096], bytes[1 << 16];
	size_t n;

	snprintf(path, sizeof(path), "%s/%s", from_dir, name);
	FILE *from = fopen(path, "re");
	snprintf(path, sizeof(path), "%s/%s", to_dir, name);
	FILE *to = fopen(path, "we");
	while (from && to && (n = fread(bytes, 1, sizeof(bytes), from)) > 0)
		require(fwrite(bytes, 1, n, to) != n, "copy");
	if (from)
		fclose(from);
	if (to)
		require(fclose(to), "copy");
}

/* Of a copy: what records goes on meanwhile. */
static void bench_recorded(const char *state_dir)
{
	char dir[] = "/tmp/memfs-bench-pack-XXXXXX";
	struct recorded recorded = { 0 };
	int64_t node_minutes = 0;

	if (!mkdtemp(dir))
		abort();
	copy_file(state_dir, dir, STORE_FILE);
	copy_file(state_dir, dir, STORE_FILE "-wal");
	require(store_open_writer(dir, &recorded.store, NULL), "recorded history");
	require(store_each_level_subject(
			recorded.store, LEVEL_SECONDS, INT64_MIN, INT64_MAX, on_recorded, &recorded),
		"minutes");
	int64_t newest, oldest;
	if (!store_newest_unit(recorded.store, LEVEL_SECONDS, &newest) &&
		!store_oldest_unit(recorded.store, LEVEL_SECONDS, &oldest))
		node_minutes = newest - oldest + 1;
	printf("recorded: %d minutes of the node, %.0f of processes a minute, %.1f M samples\n",
		(int)node_minutes, (double)recorded.minutes / (double)(node_minutes ? node_minutes : 1) - 1,
		recorded.samples / 1e6);
	printf("  %.2f bytes/sample packed; %.2f on disk with everything else\n",
		recorded.bytes / recorded.samples,
		(double)store_used_bytes(recorded.store) / recorded.samples);
	print_levels(recorded.store);
	store_close(recorded.store);
	nftw(dir, unlink_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* A state directory as argument or in MEMFS_BENCH_STATE is measured alone. */
int main(int argc, char **argv)
{
	const char *state_dir = argc > 1 && *argv[1] != '-' ? argv[1] : getenv("MEMFS_BENCH_STATE");

	if (state_dir) {
		bench_recorded(state_dir);
		return 0;
	}
	bench_codec("1,000 processes, 30 % busy", 30, false);
	bench_codec("1,000 processes, all busy", 100, false);
	bench_codec("every column changes every second", 100, true);
	bench_machine(1000, 30, 12);
	bench_machine(1000, 100, 12);
	bench_machine(2000, 100, 12);
	bench_machine(10000, 0, 3);
	bench_machine(10000, 30, 3);
	bench_month();
	return 0;
}
