/* SPDX-License-Identifier: MIT */
/*
 * What the shim costs the program that it is in: processor time of work with it, beside the same without,
 * with a preload that only passes on, and with heaptrack, valgrind and jemalloc's profiler (beside jemalloc
 * without it) where they are installed. All take turns within a
 * round; a ratio is to plain in the same round, and printed is the median with the interval that holds the
 * true one in 95 of 100 cases (order statistics). Instructions a pair are counted by callgrind, which no
 * neighbour disturbs.
 *
 *   bench-preload [--quick] [WORK...]
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ROUNDS = 31, ROUNDS_QUICK = 5, ROUNDS_PEER = 3, CONFIGS = 9, ARGS = 8, WRAPPER_WORDS = 3 };

struct bench {
	char dir[PATH_MAX]; /* of this program: the others are found from there */
	char scratch[32];
	bool quick;
};

/* How a program is run. */
struct config {
	const char *name, *library, *trace; /* below the build folder, of tests/; NULL: none */
	bool peer;                          /* it may be missing, and its library is the system's */
	const char *malloc_conf;            /* jemalloc's */
	const char *wrapper[WRAPPER_WORDS]; /* before the program */
};

static const struct config configs[CONFIGS] = {
	{ .name = "plain" },
	{ .name = "empty preload", .library = "libmemfs-empty.so" },
	{ .name = "dormant", .library = "../libmemfs-preload.so" },
	{ .name = "exact", .library = "../libmemfs-preload.so", .trace = "exact" },
	{ .name = "sampled 512 KiB", .library = "../libmemfs-preload.so", .trace = "sample" },
	{ .name = "heaptrack", .peer = true, .wrapper = { "heaptrack", "-o", "heaptrack-data" } },
	{ .name = "valgrind",
		.peer = true,
		.wrapper = { "valgrind", "--leak-check=full", "--log-file=/dev/null" } },
	{ .name = "jemalloc", .peer = true, .library = "libjemalloc.so.2" },
	{ .name = "jemalloc, 512 KiB",
		.peer = true,
		.library = "libjemalloc.so.2",
		.malloc_conf = "prof:true,lg_prof_sample:19" },
};

/* Reaches of configs[2] to [4]; the first of them is above the empty preload. */
struct work {
	const char *name;
	const char *argv[ARGS]; /* argv[0] without a slash and with `own`: of the build folder */
	bool own;               /* prints its nanoseconds itself */
	double dormant, exact, sampled;
};

static const char sql[] =
	"PRAGMA cache_size=4000; CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT, c TEXT);"
	"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50000)"
	"INSERT INTO t SELECT i, hex(i * 7919 % 10007), 'row ' || i FROM n;"
	"CREATE INDEX tb ON t(b); CREATE INDEX tc ON t(c); SELECT count(*) FROM (SELECT * FROM t ORDER BY b, c);";

static const char python[] =
	"import json\nfor r in range(1):\n"
	" d = [{'k%d' % i: [i, str(i)] for i in range(j, j + 10)} for j in range(3000)]\n"
	" s = json.dumps(d); e = json.loads(s); sorted(s.split(','))\n";

static const struct work works[] = {
	{ "malloc/free pairs", { "allocate", "pairs", "4000000" }, true, 0.02, 1.4, 1.15 },
	{ "random replacement, 10 k live", { "allocate", "replace", "2500000" }, true, 0.02, 1.3, 1.15 },
	{ "larson, two threads", { "allocate", "larson", "2000000" }, true, 0.02, 1.2, 1.15 },
	{ "300 k blocks made, then freed", { "allocate", "grow", "300000" }, true, 0.02, 1.3, 1.15 },
	{ "sqlite3 bulk insert", { "sqlite3", ":memory:", sql }, false, 0.02, 1.05, 1.03 },
	{ "python3, PYTHONMALLOC=malloc", { "/usr/bin/python3", "-c", python }, false, 0.02, 1.05, 1.03 },
	{ "cc1 -O2", { "cc1", "-quiet", "-O2", "source.i", "-o", "/dev/null" }, false, 0.02, 1.05, 1.03 },
};

struct stat_of {
	double median, low, high;
};

static int compare(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;
	return (left > right) - (left < right);
}

/* Median and its interval: between the ranks n/2 -+ 0.98 sqrt(n). */
static struct stat_of stat_of(const double *values, size_t n)
{
	double sorted[ROUNDS];
	size_t reach = (size_t)ceil(0.98 * sqrt((double)n)), low = n / 2 > reach ? n / 2 - reach : 0;

	memcpy(sorted, values, n * sizeof(*sorted));
	qsort(sorted, n, sizeof(*sorted), compare);
	return (struct stat_of) { sorted[n / 2], sorted[low], sorted[n - 1 - low] };
}

/* The loader would go on without what is not there. */
static bool is_installed(const char *library)
{
	char pattern[PATH_MAX];
	glob_t found;

	snprintf(pattern, sizeof(pattern), "/usr/lib/*/%s", library);
	if (glob(pattern, 0, NULL, &found))
		return false;
	globfree(&found);
	return true;
}

static void child_run(
	const struct bench *bench, const struct work *work, const struct config *config, int out)
{
	const char *argv[ARGS + WRAPPER_WORDS + 1];
	char program[PATH_MAX + 64], library[PATH_MAX + 64];
	size_t n = 0;

	for (; n < WRAPPER_WORDS && config->wrapper[n]; n++)
		argv[n] = config->wrapper[n];
	snprintf(program, sizeof(program), "%s%s%s", work->own ? bench->dir : "", work->own ? "/" : "",
		work->argv[0]);
	argv[n++] = program;
	for (size_t i = 1; work->argv[i]; i++)
		argv[n++] = work->argv[i];
	argv[n] = NULL;
	setenv("PYTHONMALLOC", "malloc", 1);
	unsetenv("MEMFS_TRACE");
	/* Nobody is to be told of these. */
	setenv("MEMFS_RUN", bench->scratch, 1);
	if (config->trace)
		setenv("MEMFS_TRACE", config->trace, 1);
	if (config->malloc_conf)
		setenv("MALLOC_CONF", config->malloc_conf, 1);
	if (config->library) {
		if (config->peer && !is_installed(config->library))
			_exit(127);
		snprintf(library, sizeof(library), "%s%s%s", config->peer ? "" : bench->dir,
			config->peer ? "" : "/", config->library);
		setenv("LD_PRELOAD", library, 1);
	}
	dup2(out, STDOUT_FILENO);
	if (chdir(bench->scratch) == 0)
		execvp(argv[0], (char *const *)argv);
	_exit(127);
}

/* Nanoseconds of processor time; below 0: it failed. A peer counts with all that it starts. */
static double run(const struct bench *bench, const struct work *work, const struct config *config)
{
	char text[4096] = "", *digits = text;
	struct rusage usage;
	int pipes[2], status;
	ssize_t len = 0, got;
	pid_t pid;

	if (pipe2(pipes, O_CLOEXEC))
		return -1;
	pid = fork();
	if (!pid)
		child_run(bench, work, config, pipes[1]);
	close(pipes[1]);
	while (pid > 0 && (got = read(pipes[0], text + len, sizeof(text) - 1 - (size_t)len)) > 0)
		len += got;
	close(pipes[0]);
	if (pid < 0 || wait4(pid, &status, 0, &usage) != pid || status)
		return -1;
	if (!work->own)
		return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1e9 +
		       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e3;
	/* Peers talk around it. */
	while (*digits && (*digits < '0' || *digits > '9' || (digits > text && digits[-1] != '\n')))
		digits++;
	return *digits ? strtod(digits, NULL) : -1;
}

static void verdict(double value, double reach)
{
	printf("  reach <= %.2f: %s", reach, value <= reach ? "kept" : "MISSED");
}

static int measure(const struct bench *bench, const struct work *work)
{
	static double ns[CONFIGS][ROUNDS], ratio[CONFIGS][ROUNDS], above[ROUNDS];
	unsigned rounds = bench->quick ? ROUNDS_QUICK : ROUNDS;
	double unit = work->own ? strtod(work->argv[2], NULL) : 1e6;

	for (unsigned round = 0; round < rounds; round++)
		for (unsigned i = 0; i < CONFIGS; i++) {
			unsigned c = (i + round) % CONFIGS;

			ns[c][round] =
				configs[c].peer && round >= ROUNDS_PEER ? -1 : run(bench, work, &configs[c]);
			if (ns[c][round] < 0 && !configs[c].peer) {
				fprintf(stderr, "%s with %s failed\n", work->name, configs[c].name);
				return 1;
			}
		}
	printf("%s, %s, %u rounds\n", work->name, work->own ? "ns an operation" : "ms", rounds);
	for (unsigned c = 0; c < CONFIGS; c++) {
		unsigned n = 0;
		struct stat_of time, to_plain;

		for (unsigned round = 0; round < rounds && ns[c][round] >= 0; round++, n++) {
			ratio[c][n] = ns[c][round] / ns[0][round];
			above[n] = (ns[c][round] - ns[1][round]) / ns[0][round];
		}
		if (!n)
			continue;
		to_plain = stat_of(ratio[c], n);
		time = stat_of(ns[c], n);
		printf("  %-17s %9.2f  %7.3fx (%.3f..%.3f)", configs[c].name, time.median / unit,
			to_plain.median, to_plain.low, to_plain.high);
		if (c == 2)
			verdict(stat_of(above, n).median, work->dormant);
		else if (c == 3 || c == 4)
			verdict(to_plain.median, c == 3 ? work->exact : work->sampled);
		printf("\n");
		fflush(stdout);
	}
	return 0;
}

/* Instructions of so many operations, or -1. */
static double instructions(
	const struct bench *bench, const char *work, const char *count, const struct config *config)
{
	char command[3 * PATH_MAX], line[256];
	double found = -1;
	FILE *out;

	snprintf(command, sizeof(command),
		"%s%s/%s MEMFS_RUN=%s %s%s valgrind --tool=callgrind --callgrind-out-file=/dev/null '%s/allocate' %s %s 2>&1",
		config->library ? "LD_PRELOAD=" : "PATH_IS=", bench->dir,
		config->library ? config->library : "", bench->scratch, config->trace ? "MEMFS_TRACE=" : "",
		config->trace ? config->trace : "", bench->dir, work, count);
	out = popen(command, "r");
	while (out && fgets(line, sizeof(line), out)) {
		const char *at = strstr(line, "Collected : ");
		if (at)
			found = strtod(at + 12, NULL);
	}
	if (out)
		pclose(out);
	return found;
}

static void count_instructions(const struct bench *bench)
{
	static const char *const kinds[] = { "pairs", "replace" };

	printf("instructions an operation, by callgrind\n");
	for (size_t kind = 0; kind < 2; kind++)
		for (unsigned c = 0; c < CONFIGS; c++) {
			double few, many;

			if (configs[c].peer)
				continue;
			few = instructions(bench, kinds[kind], "20000", &configs[c]);
			many = instructions(bench, kinds[kind], "120000", &configs[c]);
			if (few >= 0 && many >= 0)
				printf("  %-8s %-16s %8.1f\n", kinds[kind], configs[c].name,
					(many - few) / 100000);
		}
}

/* A source of 40 functions for the compiler, and its name: it is not in PATH. */
static int cc1_prepare(const struct bench *bench)
{
	char path[PATH_MAX];
	FILE *source;

	snprintf(path, sizeof(path), "%s/source.i", bench->scratch);
	source = fopen(path, "we");
	if (!source)
		return -errno;
	for (unsigned i = 0; i < 40; i++)
		fprintf(source,
			"int f%u(int *a, int n) { int s = %u; for (int i = 0; i < n; i++) { if (a[i] %% %u) s += a[i] * %u; "
			"else s ^= a[n - i - 1]; switch (s & 7) { case 1: s += 3; break; case 2: s *= 5; break; case 5: s -= %u; } } "
			"return s; }\n",
			i, i, i % 13 + 2, i % 7, i);
	fclose(source);
	snprintf(path, sizeof(path), "ln -s \"$(cc -print-prog-name=cc1)\" %s/cc1", bench->scratch);
	if (system(path))
		return -ENOENT;
	snprintf(path, sizeof(path), "%s:%s", bench->scratch, getenv("PATH"));
	setenv("PATH", path, 1);
	return 0;
}

static bool is_wanted(const char *name, int argc, char **argv)
{
	bool any = false;

	for (int i = 1; i < argc; i++) {
		if (argv[i][0] == '-')
			continue;
		any = true;
		if (!strncmp(name, argv[i], strlen(argv[i])))
			return true;
	}
	return !any;
}

int main(int argc, char **argv)
{
	struct bench bench = { .scratch = "/tmp/memfs-bench.XXXXXX" };
	char command[64];
	int failed = 0;
	ssize_t len = readlink("/proc/self/exe", bench.dir, sizeof(bench.dir) - 1);

	if (len < 0 || !mkdtemp(bench.scratch))
		return 1;
	bench.dir[len] = '\0';
	*strrchr(bench.dir, '/') = '\0';
	for (int i = 1; i < argc; i++)
		bench.quick |= !strcmp(argv[i], "--quick");
	if (cc1_prepare(&bench)) {
		fprintf(stderr, "no compiler\n");
		failed = 1;
	}
	for (size_t i = 0; i < sizeof(works) / sizeof(works[0]) && !failed; i++)
		if (is_wanted(works[i].name, argc, argv))
			failed = measure(&bench, &works[i]);
	if (!failed && is_wanted("instructions", argc, argv))
		count_instructions(&bench);
	snprintf(command, sizeof(command), "rm -rf %s", bench.scratch);
	return system(command) || failed;
}
