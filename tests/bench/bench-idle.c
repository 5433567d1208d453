/* SPDX-License-Identifier: MIT */
/*
 * What memfs costs where nothing happens: processor time and resident memory of supervisor, serve and
 * collector together, at a sweep a second among 10,000 sleeping processes over 60 s (--quick: 500, 5 s), with
 * each sweep. What rates still have to settle after so many births, and sweeps to find out who sleeps, is let
 * pass first. Births of others on the machine cost memfs as well; how many there were is said.
 */
#include "schema/base/clock.h"
#include "tests/bench/cost.h"
#include "tests/bench/place.h"

enum {
	PROCESSES = 10000,
	PROCESSES_QUICK = 500,
	SETTLE_S = 150,
	MEASURE_S = 60,
	SETTLE_QUICK_S = 2,
	MEASURE_QUICK_S = 5
};

/* Processes and threads born since boot. */
static uint64_t count_births(void)
{
	char line[256];
	uint64_t births = 0;

	CLEANUP_FCLOSE FILE *stat = fopen("/proc/stat", "re");
	while (stat && fgets(line, sizeof(line), stat))
		if (sscanf(line, "processes %" SCNu64, &births) == 1)
			break;
	return births;
}

static int measure(const struct place *place, const char *sweep)
{
	char option[32];
	struct cost before, after;

	snprintf(option, sizeof(option), "sweep=%s", sweep);
	if (place_mount(place, "memfs", option))
		return -1;
	place_pause_ms(1000 * (place->quick ? SETTLE_QUICK_S : SETTLE_S));
	if (!cost_of_memfs("memfs.run", &before))
		return -1;
	int64_t begin_ns = clock_monotonic_ns();
	uint64_t births = count_births();
	place_pause_ms(1000 * (place->quick ? MEASURE_QUICK_S : MEASURE_S));
	if (!cost_of_memfs("memfs.run", &after))
		return -1;
	double elapsed_s = (double)(clock_monotonic_ns() - begin_ns) / 1e9;
	births = count_births() - births;
	printf("  sweep=%-9s %6.2f %% of a processor, %5.1f MiB resident; %.1f births a second\n", sweep,
		(after.cpu_s - before.cpu_s) / elapsed_s * 100, (double)after.pss_bytes / (1 << 20),
		(double)births / elapsed_s);
	return place_umount(place, "memfs");
}

static int run(const struct place *place)
{
	size_t n = place->quick ? PROCESSES_QUICK : PROCESSES;
	if (place_sleepers(n, NULL))
		return 1;
	printf("%zu sleeping processes\n", n);
	return measure(place, "bpf") || measure(place, "portable") ? 1 : 0;
}

int main(int argc, char **argv)
{
	return place_main(argc, argv, run);
}
