/* SPDX-License-Identifier: MIT */
/*
 * What memfs costs where nothing happens: processor time and resident memory of supervisor, serve and
 * collector together, at a sweep a second among 10,000 sleeping processes over 60 s (--quick: 500, 5 s), with
 * each sweep. What rates still have to settle after so many births is let pass first.
 */
#include <inttypes.h>

#include "schema/base/clock.h"
#include "tests/bench/place.h"

enum {
	PROCESSES = 10000,
	PROCESSES_QUICK = 500,
	SETTLE_S = 75,
	MEASURE_S = 60,
	SETTLE_QUICK_S = 2,
	MEASURE_QUICK_S = 5
};

static void pause_s(unsigned seconds)
{
	const struct timespec pause = { seconds, 0 };
	nanosleep(&pause, NULL);
}

/* Adds utime and stime of a process, in seconds, and its Pss, in bytes: what is shared counts once. */
static void add_process(int pid, double *cpu_s, uint64_t *pss_bytes)
{
	char path[64], line[1024];
	unsigned long user = 0, kernel = 0;
	uint64_t kb = 0;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	CLEANUP_FCLOSE FILE *stat = fopen(path, "re");
	if (stat && fgets(line, sizeof(line), stat) && strrchr(line, ')'))
		sscanf(strrchr(line, ')'), ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
			&kernel);
	*cpu_s += (double)(user + kernel) / (double)sysconf(_SC_CLK_TCK);
	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", pid);
	CLEANUP_FCLOSE FILE *rollup = fopen(path, "re");
	while (rollup && fgets(line, sizeof(line), rollup))
		if (sscanf(line, "Pss: %" SCNu64, &kb) == 1)
			*pss_bytes += kb * 1024;
}

/* Of the three whom RUN/state names. False where it cannot be read. */
static bool add_all(double *ret_cpu_s, uint64_t *ret_pss_bytes)
{
	char line[256], name[32];
	int pid, n = 0;

	*ret_cpu_s = 0;
	*ret_pss_bytes = 0;
	CLEANUP_FCLOSE FILE *state = fopen("memfs.run/state", "re");
	while (state && fgets(line, sizeof(line), state))
		if (sscanf(line, "%31s %d", name, &pid) == 2 &&
			(!strcmp(name, "supervisor") || !strcmp(name, "serve") ||
				!strcmp(name, "collector"))) {
			add_process(pid, ret_cpu_s, ret_pss_bytes);
			n++;
		}
	return n == 3;
}

static int measure(const struct place *place, const char *sweep)
{
	char option[32];
	double before_s, after_s;
	uint64_t pss_bytes;

	snprintf(option, sizeof(option), "sweep=%s", sweep);
	if (place_mount(place, "memfs", option))
		return -1;
	pause_s(place->quick ? SETTLE_QUICK_S : SETTLE_S);
	if (!add_all(&before_s, &pss_bytes))
		return -1;
	int64_t begin_ns = clock_monotonic_ns();
	pause_s(place->quick ? MEASURE_QUICK_S : MEASURE_S);
	if (!add_all(&after_s, &pss_bytes))
		return -1;
	double elapsed_s = (double)(clock_monotonic_ns() - begin_ns) / 1e9;
	printf("  sweep=%-9s %6.2f %% of a processor, %5.1f MiB resident\n", sweep,
		(after_s - before_s) / elapsed_s * 100, (double)pss_bytes / (1 << 20));
	return place_umount(place, "memfs");
}

static int run(const struct place *place)
{
	size_t n = place->quick ? PROCESSES_QUICK : PROCESSES;
	for (size_t i = 0; i < n; i++)
		if (place_sleeper() < 0) {
			perror("fork");
			return 1;
		}
	printf("%zu sleeping processes\n", n);
	return measure(place, "bpf") || measure(place, "portable") ? 1 : 0;
}

int main(int argc, char **argv)
{
	return place_main(argc, argv, run);
}
