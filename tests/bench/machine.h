/* SPDX-License-Identifier: MIT */
/*
 * A synthetic machine for benches of history: processes of which some are idle and the others change every
 * second, most in pages, recorded by the collector's writer without the collector.
 */
#pragma once

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/history/history_writer.h"
#include "schema/base/clock.h"
#include "schema/history/history.h"
#include "tests/bench/bench.h"

enum { COLUMNS = LIVE_COLUMNS, BASE = 1700000040 /* a minute begins */ };

static inline uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* One process: sizes wander by pages, faults grow by small numbers. */
struct walker {
	bool busy;
	uint64_t value[COLUMNS];
};

static inline void walker_init(struct walker *walker, uint64_t *seed, bool busy)
{
	walker->busy = busy;
	for (unsigned i = 0; i < COLUMNS; i++)
		walker->value[i] =
			i < COLUMNS - 2 ? (next_random(seed) % 100000) * 4096 : next_random(seed) % 1000000;
	walker->value[6] = 0; /* nothing swapped */
}

static inline void walker_step(struct walker *walker, uint64_t *seed)
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
static inline void walker_storm(struct walker *walker, uint64_t *seed)
{
	for (unsigned i = 0; i < COLUMNS; i++) {
		uint64_t step = next_random(seed) % 2048, sign = i < COLUMNS - 2 ? next_random(seed) & 1 : 0;
		walker->value[i] += (sign ? 0 - step : step) * (i < COLUMNS - 2 ? 4096 : 1);
	}
}

struct machine {
	char dir[64];
	struct writer writer;
	struct walker *walker;
	uint64_t seed;
	unsigned n;
};

static inline int unlink_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	return remove(path);
}

static inline void require(int r, const char *what)
{
	if (r) {
		fprintf(stderr, "%s: %d\n", what, r);
		exit(1);
	}
}

static inline struct history_tick *machine_tick(struct machine *machine, int64_t t)
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

/* The next second, with all packing that is due. */
static inline void machine_record(struct machine *machine, int64_t t)
{
	struct history_tick *tick = machine_tick(machine, t);
	bool more;

	require(writer_apply(&machine->writer, tick), "apply");
	require(writer_write(&machine->writer, tick->time_ns), "write");
	do {
		require(writer_step(&machine->writer, &more), "step");
	} while (more);
	free(tick);
}

/* dir: as mkdtemp(3) takes it */
static inline void machine_init(struct machine *machine, const char *dir, unsigned n, unsigned busy_percent)
{
	*machine = (struct machine) { .seed = 42, .n = n };
	snprintf(machine->dir, sizeof(machine->dir), "%s", dir);
	machine->walker = calloc(n, sizeof(*machine->walker));
	if (!machine->walker || !mkdtemp(machine->dir))
		abort();
	for (unsigned p = 0; p < n; p++)
		walker_init(&machine->walker[p], &machine->seed, p % 100 < busy_percent);
	writer_init(&machine->writer, machine->dir, "bench", BASE);
	require(writer_open(&machine->writer, NULL), "open");
}

static inline void machine_deinit(struct machine *machine)
{
	writer_deinit(&machine->writer);
	free(machine->walker);
	nftw(machine->dir, unlink_one, 8, FTW_DEPTH | FTW_PHYS);
}
