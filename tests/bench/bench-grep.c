/* SPDX-License-Identifier: MIT */
/*
 * grep, cat, find and ls over the directories of 10,000 processes (--quick: 200), beside the same over /proc.
 * --only TEXT: what is named so.
 *
 * `grep -r` over all of /proc/PID would read other things (mem, pagemap, every thread again), so what is read
 * there is named, and there are two fair choices:
 *   - the files that both have by the same name: comm, statm, cgroup, oom_score; and cmdline, a table;
 *   - all numbers of the mounted directory, which is what `grep -r` reads there (tables are links, and are
 *     not followed), beside the six files of /proc that they are taken from.
 *
 * find and ls -R walk either as it is, so that is also given by entry. In each round the two take turns.
 */
#include <dirent.h>

#include "tests/bench/cost.h"
#include "tests/bench/place.h"

enum {
	PROCESSES = 10000,
	PROCESSES_QUICK = 200,
	TABLES_OF = 200, /* `cat *` asks the collector for pss and its like, one after the other */
	TABLES_OF_QUICK = 10,
	ROUNDS = 3,
	ROUNDS_QUICK = 1,
	NAMES = 96,
};

static const char *const same[] = { "comm", "statm", "cgroup", "oom_score", NULL };
static const char *const table[] = { "cmdline", NULL };
static const char *const source[] = { "comm", "statm", "cgroup", "oom_score", "status", "stat", NULL };
static const char *const source_all[] = { "comm", "statm", "cgroup", "oom_score", "status", "stat", "cmdline",
	"smaps_rollup", "smaps", "numa_maps", NULL };
static const char *const whole[] = { "", NULL };

/* The names in the directory of a process. */
struct names {
	char text[NAMES][256];
	const char *name[NAMES + 1]; /* NULL after the last */
	size_t n;
};

enum side { MEMFS, PROC, N_SIDE };
static const char *const directory[N_SIDE] = { "memfs/nodes/bench", "/proc" };

struct subject {
	const char *what;
	const char *const *name[N_SIDE]; /* of files below each process, NULL after the last */
	const char *command[N_SIDE];     /* gets their paths */
	double reach;                    /* at most so many times as long; 0: none */
	size_t files_below;              /* of each directory of the mount that it gets; 0: it gets files */
	bool few;                        /* only of some processes */
	bool counts_lines;               /* a thing is a line it writes, not a file it reads */
};

struct result {
	double first_ms; /* of the mount, before the round that counts first */
	double ms[N_SIDE][BENCH_ROUNDS], cpu_ms[N_SIDE][BENCH_ROUNDS];
	size_t things[N_SIDE];
};

/* Regular files alone, or all but directories. */
static int read_names(pid_t pid, bool regular, struct names *names)
{
	char path[64];
	struct dirent *entry;

	snprintf(path, sizeof(path), "%s/%d", directory[MEMFS], (int)pid);
	CLEANUP_CLOSEDIR DIR *dir = opendir(path);
	while (dir && (entry = readdir(dir)) && names->n < NAMES) {
		if (entry->d_type != DT_REG && (regular || entry->d_type != DT_LNK))
			continue;
		snprintf(names->text[names->n], sizeof(names->text[0]), "%s", entry->d_name);
		names->name[names->n] = names->text[names->n];
		names->n++;
	}
	if (names->n)
		return 0;
	fprintf(stderr, "%s: no files\n", path);
	return -1;
}

/* The paths for xargs in ./NAME; how many. 0 where that fails. */
static size_t write_paths(
	const char *list, const char *dir, const char *const *name, const pid_t *pid, size_t n_pids)
{
	CLEANUP_FCLOSE FILE *file = fopen(list, "we");
	size_t n = 0;

	for (size_t i = 0; file && i < n_pids; i++)
		for (const char *const *each = name; *each; each++, n++)
			fprintf(file, "%s/%d%s%s%c", dir, (int)pid[i], **each ? "/" : "", *each, 0);
	return file && !fflush(file) ? n : 0;
}

static double cpu_ms(void)
{
	struct rusage used;

	getrusage(RUSAGE_CHILDREN, &used);
	return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e3 +
	       (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e3 +
	       cost_cpu_s(cost_memfs_pid("memfs.run", "serve")) * 1e3 +
	       cost_cpu_s(cost_memfs_pid("memfs.run", "collector")) * 1e3;
}

/* Runs the command over the list. What it writes goes to a file: grep is quicker where it knows that nobody
 * reads. */
static int time_one(const char *list, const char *command, double *ret_ms, double *ret_cpu_ms)
{
	char line[256];
	double before_ms = cpu_ms();
	int64_t begin = clock_monotonic_ns();

	snprintf(line, sizeof(line), "xargs -0 -s 1000000 %s <%s >written", command, list);
	const char *const argv[] = { "sh", "-c", line, NULL };
	if (place_run(argv)) {
		fprintf(stderr, "%s: failed\n", line);
		return -1;
	}
	*ret_ms = (double)(clock_monotonic_ns() - begin) / 1e6;
	*ret_cpu_ms = cpu_ms() - before_ms;
	return 0;
}

static size_t count_lines(const char *path)
{
	CLEANUP_FCLOSE FILE *file = fopen(path, "re");
	size_t n = 0;

	for (int c; file && (c = getc_unlocked(file)) != EOF;)
		n += c == '\n';
	return n;
}

static int measure(const struct place *place, const struct subject *subject, const pid_t *pid, size_t n_pids,
	struct result *result)
{
	static const char *const list[N_SIDE] = { "list.memfs", "list.proc" };
	int rounds = (int)place_rounds(place, ROUNDS, ROUNDS_QUICK);

	for (enum side side = MEMFS; side < N_SIDE; side++) {
		result->things[side] =
			write_paths(list[side], directory[side], subject->name[side], pid, n_pids);
		if (!result->things[side])
			return -1;
		if (side == MEMFS && subject->files_below)
			result->things[side] *= subject->files_below;
	}
	for (int round = -1; round < rounds; round++) {
		for (enum side side = MEMFS; side < N_SIDE; side++) {
			double ms, cpu;
			if (time_one(list[side], subject->command[side], &ms, &cpu))
				return -1;
			if (round >= 0) {
				result->ms[side][round] = ms;
				result->cpu_ms[side][round] = cpu;
			} else if (side == MEMFS) {
				result->first_ms = ms;
			}
			if (subject->counts_lines)
				result->things[side] = count_lines("written");
		}
	}
	return 0;
}

static bool report(const struct place *place, const struct subject *subject, const struct result *result)
{
	size_t rounds = place_rounds(place, ROUNDS, ROUNDS_QUICK);
	double ratio_of_each[N_SIDE][BENCH_ROUNDS];

	printf("%s\n", subject->what);
	for (enum side side = MEMFS; side < N_SIDE; side++) {
		struct bench_stat ms = bench_stat(result->ms[side], rounds);
		double n = (double)result->things[side];
		printf("  %-6s %9.1f ms (%.1f..%.1f), %.0f ms of a processor; %zu %s, %.2f us each\n",
			side == MEMFS ? "memfs" : "/proc", ms.median, ms.min, ms.max,
			bench_stat(result->cpu_ms[side], rounds).median, result->things[side],
			subject->counts_lines ? "lines" : "files", ms.median * 1e3 / n);
		for (size_t i = 0; i < rounds; i++)
			ratio_of_each[side][i] = result->ms[side][i] / n;
	}
	printf("    first of the mount %.1f ms\n", result->first_ms);
	bench_print_ratio("of a processor", bench_ratio(result->cpu_ms[MEMFS], result->cpu_ms[PROC], rounds));
	bench_print_ratio("by each", bench_ratio(ratio_of_each[MEMFS], ratio_of_each[PROC], rounds));
	struct bench_stat ratio = bench_ratio(result->ms[MEMFS], result->ms[PROC], rounds);
	if (subject->reach > 0)
		return bench_reach("together", ratio, true, subject->reach);
	bench_print_ratio("together", ratio);
	return true;
}

static bool measure_all(const struct place *place, const pid_t *pid, size_t n_pids)
{
	struct names numbers = { 0 }, all = { 0 };
	size_t n_few = place->quick ? TABLES_OF_QUICK : TABLES_OF;
	bool fine = true;

	if (place_mount_ready(place, "memfs", NULL) || read_names(pid[0], true, &numbers) ||
		read_names(pid[0], false, &all) || place_umount(place, "memfs"))
		return false;
	const struct subject subject[] = {
		{ "grep PATTERN */{comm,statm,cgroup,oom_score}", { same, same },
			{ "grep -a bench", "grep -a bench" }, .reach = 1.3 },
		{ "grep PATTERN */cmdline", { table, table }, { "grep -a bench", "grep -a bench" } },
		{ "grep -r PATTERN, /proc: its six files", { whole, source },
			{ "grep -ar bench", "grep -a bench" }, .reach = 1.3, .files_below = numbers.n },
		{ "cat of every number, /proc: its six files", { numbers.name, source }, { "cat", "cat" } },
		{ "cat * of some, tables too, /proc: its ten files", { all.name, source_all },
			{ "cat", "cat" }, .few = true },
		{ "find", { whole, whole }, { "find", "find" }, .counts_lines = true },
		{ "ls -R", { whole, whole }, { "ls -R", "ls -R" }, .counts_lines = true },
	};
	for (size_t i = 0; i < sizeof(subject) / sizeof(*subject); i++) {
		struct result result = { 0 };
		if (place->only && !strstr(subject[i].what, place->only))
			continue;
		if (place_mount_ready(place, "memfs", NULL) ||
			measure(place, &subject[i], pid, subject[i].few ? n_few : n_pids, &result) ||
			place_umount(place, "memfs"))
			return false;
		fine &= report(place, &subject[i], &result);
	}
	return fine || place->quick;
}

static int run(const struct place *place)
{
	size_t n = place->quick ? PROCESSES_QUICK : PROCESSES;
	CLEANUP_FREE pid_t *pid = calloc(n, sizeof(*pid));

	if (!pid || place_sleepers(n, pid))
		return 1;
	printf("%zu sleeping processes\n", n);
	return measure_all(place, pid, n) ? 0 : 1;
}

int main(int argc, char **argv)
{
	return place_main(argc, argv, run);
}
