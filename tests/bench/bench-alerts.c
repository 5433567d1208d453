/* SPDX-License-Identifier: MIT */
/*
 * What alerts and growth cost a tick: 10,000 processes of 100 names and 50 rules, a fifth of them about the
 * node, the others about the sum or about each of one name. Warm, and after 64 MiB of other things went
 * through the caches, as between two ticks. --quick: few rounds.
 */
#include <unistd.h>

#include "collector/alerts/alerts.h"
#include "collector/alerts/growth_watch.h"
#include "tests/bench/bench.h"

enum { PROCESSES = 10000, NAMES = 100, RULES = 50, EVICT_BYTES = 64 << 20 };

struct world {
	struct process_table table;
	struct board_system system;
	struct alerts alerts;
	struct growth_watch growth;
	struct settings settings;
	struct board *board;
	char *evict;
	int64_t now_ns;
	unsigned long told;
};

static void on_tell(void *ctx, const struct alert_rule *rule, uint32_t pid, const char *text)
{
	struct world *world = ctx;
	world->told++;
}

static void fill(struct world *world)
{
	struct note_text note = { 0 };
	struct buf text = { .data = note.text, .cap = NOTE_MAX, .fixed = true };

	for (uint32_t pid = 1; pid <= PROCESSES; pid++) {
		struct process *process = process_add(&world->table, pid);
		if (!process)
			exit(1);
		process->shown.pid = pid;
		process->shown.start_ticks = pid;
		snprintf(process->shown.comm, BOARD_COMM, "process-%u", pid % NAMES);
		process_values_set(&process->shown.values, PROCESS_RSS, pid * UINT64_C(4096));
		process_values_set(&process->shown.values, PROCESS_ANON, UINT64_C(32) << 20);
	}
	system_values_set(&world->system.values, SYSTEM_USED, 1 << 30);
	for (int i = 0; i < RULES; i++) {
		if (i % 5 == 0)
			buf_printf(&text, "r%d node used > 1T\n", i);
		else
			buf_printf(&text, "r%d %s/process-%d rss > %s\n", i, i % 2 ? "each" : "by-name", i,
				i % 10 == 1 ? "30M" : "1T");
	}
	note.len = text.len;
	alerts_set(&world->alerts, &note, on_tell, world);
	if (world->alerts.n != RULES)
		exit(1);
}

static void judge_alerts(struct world *world)
{
	alerts_tick(&world->alerts, &world->system, &world->table, world->now_ns, on_tell, world);
}

static void sample_growth(struct world *world)
{
	world->growth.due_ns = world->now_ns;
	growth_watch_tick(&world->growth, &world->table, &world->settings, world->now_ns, world->board);
}

static void measure(
	struct world *world, const char *what, void (*call)(struct world *world), bool evict, unsigned rounds)
{
	double us[BENCH_ROUNDS];

	for (unsigned round = 0; round < rounds; round++) {
		if (evict)
			memset(world->evict, (int)round, EVICT_BYTES);
		world->now_ns += 1000000000;
		int64_t begin_ns = clock_monotonic_ns();
		call(world);
		us[round] = (double)(clock_monotonic_ns() - begin_ns) / 1e3;
	}
	struct bench_stat stat = bench_stat(us, rounds);
	printf("%-40s %8.0f us (%.0f..%.0f)\n", what, stat.median, stat.min, stat.max);
}

int main(int argc, char **argv)
{
	unsigned rounds = argc > 1 && !strcmp(argv[1], "--quick") ? BENCH_ROUNDS_QUICK : BENCH_ROUNDS;
	struct world *world = calloc(1, sizeof(*world));
	int fd = board_create();

	if (!world || fd < 0 || board_map(fd, true, &world->board) < 0 || process_table_init(&world->table))
		return 1;
	world->evict = malloc(EVICT_BYTES);
	if (!world->evict)
		return 1;
	world->now_ns = 1000000000;
	settings_init(&world->settings);
	fill(world);
	judge_alerts(world);
	printf("%lu fire\n", world->told);
	measure(world, "alerts, warm", judge_alerts, false, rounds);
	measure(world, "alerts, caches used by others", judge_alerts, true, rounds);
	measure(world, "growth, every 30 s, warm", sample_growth, false, rounds);
	measure(world, "growth, caches used by others", sample_growth, true, rounds);
	alerts_deinit(&world->alerts);
	process_table_deinit(&world->table);
	board_unmap(world->board);
	close(fd);
	free(world->evict);
	free(world);
	return 0;
}
