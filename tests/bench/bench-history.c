/* SPDX-License-Identifier: MIT */
/*
 * Reading history (--quick: fewer processes and rounds): ten minutes of one process, everything at an
 * instant, and the files of history/ through a mount whose database holds thirty days. Beside what memfs
 * makes of rows stands the plain walk over the same rows, which is what the database alone costs.
 */
#include "tests/bench/machine.h"
#include "tests/bench/place.h"

enum { TEN_MINUTES_S = 600, CALLS = 100, MINUTES = 12, SUBJECTS = 20 };

/* Time by the clock and of the processor: where others compute, the first says more of the queue than of
 * memfs. */
struct times {
	double us[BENCH_ROUNDS], cpu_us[BENCH_ROUNDS];
	int64_t begin_ns, begin_cpu_ns;
};

static void times_begin(struct times *times)
{
	times->begin_cpu_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	times->begin_ns = clock_monotonic_ns();
}

static void times_end(struct times *times, unsigned round, unsigned calls)
{
	times->us[round] = (double)(clock_monotonic_ns() - times->begin_ns) / 1000 / calls;
	times->cpu_us[round] =
		(double)(clock_ns(CLOCK_THREAD_CPUTIME_ID) - times->begin_cpu_ns) / 1000 / calls;
}

static void times_print(const char *what, const struct times *times, unsigned rounds)
{
	struct bench_stat us = bench_stat(times->us, rounds), cpu = bench_stat(times->cpu_us, rounds);

	printf("  %-40s %10.1f us (%.1f..%.1f), of a processor %10.1f (%.1f..%.1f)\n", what, us.median,
		us.min, us.max, cpu.median, cpu.min, cpu.max);
}

static int on_point(void *ctx, const struct history_point *point)
{
	++*(unsigned *)ctx;
	return 0;
}

static int pass_tick(void *ctx, int64_t seq, int64_t time_ns, const void *blob, size_t len)
{
	return 0;
}

static int pass_minute(void *ctx, int64_t minute, const void *blob, size_t len)
{
	return 0;
}

static int pass_subject(void *ctx, int64_t subject, int64_t unit)
{
	return 0;
}

/* --- ten minutes of one process --- */

struct reading {
	struct store *store;
	int64_t subject[SUBJECTS], last;
	unsigned next;
};

static int64_t next_subject(struct reading *reading)
{
	return reading->subject[reading->next++ % SUBJECTS];
}

static int read_series(void *ctx)
{
	struct reading *reading = ctx;
	unsigned n = 0;
	int r = history_each(reading->store, next_subject(reading), LEVEL_SECONDS,
		reading->last - TEN_MINUTES_S + 1, reading->last, on_point, &n);

	return r ? r : n == TEN_MINUTES_S ? 0 : -ENODATA;
}

static int walk_rows(void *ctx)
{
	struct reading *reading = ctx;
	int64_t to = reading->last / 60, from = (reading->last - TEN_MINUTES_S + 1) / 60;
	int r = store_snapshot_begin(reading->store);

	if (!r)
		r = store_each_journal(reading->store, from, to, INT64_MAX, pass_tick, NULL);
	if (!r)
		r = store_each_minute(reading->store, next_subject(reading), from, to, pass_minute, NULL);
	store_snapshot_end(reading->store);
	return r;
}

/* As a reader is who asks once a tick: the recorder has committed, so nothing read before counts. */
static void read_after_commits(struct machine *machine, struct reading *reading, unsigned rounds)
{
	struct times times;

	for (unsigned round = 0; round < rounds; round++) {
		require(store_begin(machine->writer.store), "begin");
		require(store_put_setting(machine->writer.store, "bench", round % 2 ? "1" : "2"), "put");
		require(store_commit(machine->writer.store), "commit");
		times_begin(&times);
		require(read_series(reading), "read");
		times_end(&times, round, 1);
	}
	times_print("the same, first after a commit", &times, rounds);
}

static void read_machine(struct machine *machine, int64_t last, unsigned rounds)
{
	struct reading reading = { .last = last };
	struct times read, walk;

	require(store_open_reader(machine->dir, &reading.store, NULL), "reader");
	for (unsigned i = 0; i < SUBJECTS; i++)
		require(store_find_subject(
				reading.store, i * machine->n / SUBJECTS + 1, 7, &reading.subject[i]),
			"subject");
	for (unsigned round = 0; round < rounds; round++) {
		times_begin(&read);
		for (unsigned i = 0; i < CALLS; i++)
			require(read_series(&reading), "read");
		times_end(&read, round, CALLS);
		times_begin(&walk);
		for (unsigned i = 0; i < CALLS; i++)
			require(walk_rows(&reading), "walk");
		times_end(&walk, round, CALLS);
	}
	printf("  open minute of %d ticks\n", (int)(last % 60) + 1);
	times_print("ten minutes of one process", &read, rounds);
	times_print("the rows they are in", &walk, rounds);
	read_after_commits(machine, &reading, rounds);
	store_close(reading.store);
}

static void bench_one_process(unsigned n, unsigned busy_percent, unsigned rounds)
{
	struct machine machine;
	int64_t t = BASE, half = BASE + MINUTES * 60 + 30, whole = half + 30;

	machine_init(&machine, "machine-XXXXXX", n, busy_percent);
	printf("%u processes, %u %% busy\n", n, busy_percent);
	for (; t < half; t++)
		machine_record(&machine, t);
	read_machine(&machine, t - 1, rounds);
	for (; t < whole; t++)
		machine_record(&machine, t);
	read_machine(&machine, t - 1, rounds);
	machine_deinit(&machine);
}

/* --- everything at an instant --- */

static int pass_of_minute(void *ctx, int64_t subject, const void *blob, size_t len)
{
	return 0;
}

static int read_tick(struct store *store, int64_t time_s, struct history_moment *ret)
{
	return history_at(store, time_s, ret);
}

static int read_unit(struct store *store, int64_t time_s, struct history_moment *ret)
{
	return history_at_unit(store, LEVEL_MINUTES, level_unit(LEVEL_MINUTES, time_s), ret);
}

static int walk_ticks(struct store *store, int64_t time_s)
{
	return store_each_journal(store, time_s / 60, time_s / 60, INT64_MAX, pass_tick, NULL);
}

static int walk_packed(struct store *store, int64_t time_s)
{
	return store_each_of_minute(store, time_s / 60, pass_of_minute, NULL);
}

static int walk_units(struct store *store, int64_t time_s)
{
	return store_each_level_subject(store, LEVEL_MINUTES, 0, time_s / 60, pass_subject, NULL);
}

static const struct instant {
	const char *what, *rows;
	int64_t before_s;
	int (*read)(struct store *store, int64_t time_s, struct history_moment *ret);
	int (*walk)(struct store *store, int64_t time_s);
} instants[] = {
	{ "at a second of the open minute", "its ticks", 0, read_tick, walk_ticks },
	{ "at a packed second", "its packed minutes", 90, read_tick, walk_packed },
	{ "at a minute that has a row", "who has a row up to it", 90, read_unit, walk_units },
};

static void bench_instant(
	struct store *store, const struct instant *instant, int64_t time_s, size_t n, unsigned rounds)
{
	struct times read, walk;

	for (unsigned round = 0; round < rounds; round++) {
		struct history_moment moment = { 0 };

		require(store_snapshot_begin(store), "snapshot");
		times_begin(&read);
		require(instant->read(store, time_s, &moment), instant->what);
		times_end(&read, round, 1);
		require(moment.n != n, "processes at an instant");
		history_moment_deinit(&moment);
		times_begin(&walk);
		require(instant->walk(store, time_s), instant->rows);
		times_end(&walk, round, 1);
		store_snapshot_end(store);
	}
	times_print(instant->what, &read, rounds);
	times_print(instant->rows, &walk, rounds);
}

static void bench_at(unsigned n, unsigned busy_percent, unsigned rounds)
{
	struct machine machine;
	struct store *store;
	int64_t t = BASE, end = BASE + MINUTES * 60 + 30;

	machine_init(&machine, "machine-XXXXXX", n, busy_percent);
	for (; t < end; t++)
		machine_record(&machine, t);
	printf("everything at an instant: %u processes, %u %% busy\n", n, busy_percent);
	require(store_open_reader(machine.dir, &store, NULL), "reader");
	for (size_t i = 0; i < sizeof(instants) / sizeof(*instants); i++)
		bench_instant(store, &instants[i], end - 1 - instants[i].before_s, n, rounds);
	store_close(store);
	machine_deinit(&machine);
}

/* --- files --- */

struct past {
	struct store *store;
	int64_t subject; /* of the process that is shown */
	struct walker walker;
	uint64_t seed;
};

static void fill_row(struct past *past, const struct metric_list *list, struct level_row *row)
{
	struct level_columns columns;

	level_columns_init(&columns, list);
	*row = (struct level_row) { .samples = 60, .present = (UINT64_C(1) << columns.n) - 1 };
	for (unsigned c = 0; c < columns.n; c++) {
		row->value[c] = (UINT64_C(1) << 30) + past->walker.value[c % COLUMNS];
		row->max[c] = row->value[c] + (columns.counters >> c & 1 ? 0 : 4096 * c);
	}
}

/* Rows as the recorder would have written them. */
static void put_units(struct past *past, enum level level, int64_t from, int64_t to)
{
	for (int64_t unit = from; unit <= to; unit++) {
		struct store_unit row = { .unit = unit, .since = from };

		walker_storm(&past->walker, &past->seed);
		fill_row(past, &system_metrics, &row.row);
		require(store_put_level(past->store, level, HISTORY_NODE, &row), "row of the node");
		fill_row(past, &process_metrics, &row.row);
		require(store_put_level(past->store, level, past->subject, &row), "row of a process");
	}
}

static void put_minutes(struct past *past, int64_t from, int64_t to)
{
	const struct metric_list *list[] = { &system_metrics, &process_metrics };
	static struct pack_minute minute[2];

	for (int64_t number = from; number <= to; number++) {
		for (unsigned i = 0; i < 2; i++)
			pack_minute_init(&minute[i], history_columns(list[i]));
		for (unsigned s = 0; s < 60; s++) {
			struct level_row row;

			walker_step(&past->walker, &past->seed);
			for (unsigned i = 0; i < 2; i++) {
				fill_row(past, list[i], &row);
				pack_minute_set(&minute[i], s, row.present, row.value);
			}
		}
		for (unsigned i = 0; i < 2; i++) {
			CLEANUP_BUF struct buf blob = BUF_INIT;

			pack_minute_encode(&blob, &minute[i]);
			require(store_put_minute(past->store, i ? past->subject : HISTORY_NODE, number,
					blob.data, blob.len),
				"packed minute");
		}
	}
}

static int on_subject(void *ctx, const struct store_subject *subject)
{
	struct past *past = ctx;

	past->subject = subject->id;
	return 0;
}

/* Behind a recorder that has ended: what it would have if it had run for thirty days. */
static int put_past(const char *state, uint32_t pid)
{
	enum { DAY_S = 86400 };
	const struct timespec pause = { 0, 10000000 };
	struct past past = { .seed = 42 };
	int64_t now_s = clock_realtime_ns() / 1000000000, minute = now_s / 60;
	int r = STORE_BUSY;

	for (int tries = 0; r == STORE_BUSY && tries < 500; tries++) {
		r = store_open_writer(state, &past.store, NULL);
		if (r == STORE_BUSY)
			nanosleep(&pause, NULL);
	}
	require(r, "history");
	require(store_each_subject(past.store, pid, NULL, INT64_MIN, on_subject, &past), "process");
	require(!past.subject, "no history of the process");
	walker_init(&past.walker, &past.seed, true);
	require(store_begin(past.store), "begin");
	put_units(&past, LEVEL_HOURS, (now_s - 30 * DAY_S) / 3600 + 1, now_s / 3600 - 1);
	put_units(&past, LEVEL_MINUTES, minute - DAY_S / 60, minute - 2);
	put_minutes(&past, minute - DAY_S / 60, minute - 2);
	require(store_commit(past.store), "commit");
	store_close(past.store);
	return 0;
}

/* Reads it to its end. The number of bytes, or -errno. */
static ssize_t read_all(const char *path)
{
	static char bytes[1 << 20];
	CLEANUP_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t all = 0, n = fd < 0 ? -1 : 1;

	while (n > 0) {
		n = read(fd, bytes, sizeof(bytes));
		all += n > 0 ? n : 0;
	}
	return n < 0 ? -errno : all;
}

static int bench_file(const char *dir, const char *file, unsigned rounds)
{
	double us[BENCH_ROUNDS];
	char path[PATH_MAX], what[192];
	ssize_t n = 0;

	snprintf(path, sizeof(path), "%s/history/%s", dir, file);
	for (unsigned round = 0; round < rounds; round++) {
		int64_t begin_ns = clock_monotonic_ns();

		n = read_all(path);
		us[round] = (double)(clock_monotonic_ns() - begin_ns) / 1000;
		if (n < 0) {
			fprintf(stderr, "%s: %s\n", path, strerror((int)-n));
			return 1;
		}
	}
	snprintf(what, sizeof(what), "%s/history/%s, %zd bytes",
		strchr(dir + sizeof("m/nodes/"), '/') ? "PID" : "node", file, n);
	bench_print(what, bench_stat(us, rounds));
	return 0;
}

/* Waits until the recorder has told something of it. */
static int wait_recorded(const char *path)
{
	const struct timespec pause = { 0, 50000000 };
	char text[65536];

	for (int tries = 0; tries < 400; tries++) {
		if (!place_read(path, text, sizeof(text)) && strchr(text, '\n') && strchr(text, '\n')[1])
			return 0;
		nanosleep(&pause, NULL);
	}
	fprintf(stderr, "%s: nothing is recorded\n", path);
	return 1;
}

static int bench_files(const struct place *place, pid_t pid)
{
	static const char *const files[] = { "10m", "10m.svg", "1h", "1h.svg", "1d", "1d.svg", "30d",
		"30d.svg" };
	char dirs[2][64] = { "m/nodes/bench" }, path[PATH_MAX];

	snprintf(dirs[1], sizeof(dirs[1]), "%s/%d", dirs[0], pid);
	snprintf(path, sizeof(path), "%s/history/10m", dirs[1]);
	if (place_mount_ready(place, "m", NULL) || wait_recorded(path) || place_umount(place, "m") ||
		put_past("m.state", (uint32_t)pid) || place_mount_ready(place, "m", NULL) ||
		wait_recorded(path))
		return 1;
	printf("files, from open to close\n");
	for (unsigned d = 0; d < 2; d++) {
		for (unsigned i = 0; i < sizeof(files) / sizeof(*files); i++) {
			if (bench_file(dirs[d], files[i], place->rounds))
				return 1;
		}
	}
	return place_umount(place, "m") ? 1 : 0;
}

static int run(const struct place *place)
{
	unsigned n = place->quick ? 100 : 1000;
	pid_t pid = place_sleeper();

	bench_one_process(n, 30, place->rounds);
	bench_one_process(n, 100, place->rounds);
	bench_at(10 * n, 30, place->rounds);
	bench_at(10 * n, 100, place->rounds);
	int r = pid < 0 || bench_files(place, pid);
	place_end(pid);
	return r;
}

int main(int argc, char **argv)
{
	return place_main(argc, argv, run);
}
