/* SPDX-License-Identifier: MIT */
/*
 * What history costs: the codecs on a synthetic machine of 1,000 processes (70 % idle, 30 % that change every
 * second, most in pages, as in the research), on one where all are busy, and the whole way through the
 * database. Medians of 21 rounds.
 */
#include "collector/history/history.h"
#include "schema/history/pack.h"
#include "tests/bench/machine.h"

enum { ROUNDS = 21, PROCESSES = 1000 };

static double median(double *values, size_t n)
{
	qsort(values, n, sizeof(*values), bench_compare);
	return values[n / 2];
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

static double cpu_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
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
	struct machine machine;
	int64_t t = BASE, end = BASE + minutes * 60 + 30;
	size_t n_ticks = 0, n_steps = 0;
	double *tick_us = calloc((size_t)(end - t), sizeof(double)),
	       *step_us = calloc(100000, sizeof(double));
	double cpu = 0;
	bool more;

	if (!tick_us || !step_us)
		abort();
	machine_init(&machine, "/tmp/memfs-bench-pack-XXXXXX", n, busy_percent);
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
	qsort(tick_us, n_ticks, sizeof(*tick_us), bench_compare);
	qsort(step_us, n_steps, sizeof(*step_us), bench_compare);
	printf("  a tick: %.0f us (largest %.0f); a step of packing: %.0f us (largest %.0f)\n",
		tick_us[n_ticks / 2], tick_us[n_ticks - 1], step_us[n_steps / 2], step_us[n_steps - 1]);
	printf("  %.1f M samples/s of processor time; %.2f %% of a processor at one tick a second\n",
		samples / cpu, cpu / (double)(end - BASE) / 1e4);
	printf("  %.2f bytes/sample on disk (%.2f without free pages and the WAL)\n", (double)bytes / samples,
		(double)used / samples);
	printf("  %zu bytes of memory for each process that lives\n",
		sizeof(struct live) + machine.writer.live.n_buckets * sizeof(uint32_t) / n);
	print_levels(machine.writer.store);
	machine_deinit(&machine);
	free(tick_us);
	free(step_us);
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
	return 0;
}
