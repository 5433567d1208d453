/* SPDX-License-Identifier: MIT */
#include "collector/alerts/growth_watch.h"

#include <stdlib.h>

#include "collector/news.h"

static const int64_t second_ns = 1000000000, slack_ns = 50000000; /* ticks jitter */

static struct growth_track *track_of(struct process *process)
{
	if (!process->growth)
		process->growth = calloc(1, sizeof(*process->growth));
	return process->growth;
}

static void tell(const struct growth_watch *watch, const struct process *process, uint64_t anon,
	enum growth_outcome outcome, struct board *board)
{
	const struct growth_track *track = process->growth;
	char array[BOARD_NEWS_TEXT];
	struct buf text = BUF_FIXED(array);

	buf_printf(&text, "%s %s, anon %llu", process->shown.comm,
		outcome == GROWTH_BEGAN ? "grows steadily" : "grows no longer", (unsigned long long)anon);
	if (outcome == GROWTH_BEGAN)
		buf_printf(&text, ", from %llu in %llu s, %lld a second",
			(unsigned long long)growth_oldest(track), (unsigned long long)watch->window_s,
			(long long)growth_slope(track) / (long long)watch->window_s);
	buf_putc(&text, '\0');
	array[sizeof(array) - 1] = '\0';
	news_push(board, NEWS_GROWTH, process->pid, array);
}

static void look(
	struct growth_watch *watch, struct process *process, uint64_t least_bytes, struct board *board)
{
	const struct process_values *values = &process->shown.values;
	uint64_t anon = values->value[PROCESS_ANON];

	if (!metric_has(values->present, PROCESS_ANON))
		return;
	if (!process->growth && anon < least_bytes)
		return;
	struct growth_track *track = track_of(process);
	if (!track)
		return;
	/* Shrunk below what could count, and not told as growing: no need to remember it. */
	if (anon < least_bytes / 2 && !track->growing) {
		free(track);
		process->growth = NULL;
		return;
	}
	enum growth_outcome outcome = growth_add(track, anon, least_bytes);
	if (outcome == GROWTH_SAME)
		return;
	watch->changed = true;
	tell(watch, process, anon, outcome, board);
}

/* Of another window: samples begin anew, who grows is known. */
static void forget(const struct process_table *table)
{
	for (size_t i = 0; i < table->n; i++) {
		struct growth_track *track = table->live[i]->growth;
		if (track)
			*track = (struct growth_track) { .growing = track->growing };
	}
}

void growth_watch_tick(struct growth_watch *watch, const struct process_table *table,
	const struct settings *settings, int64_t now_ns, struct board *board)
{
	uint64_t window_s = settings->value[SETTING_GROWTH_WINDOW_S];
	uint64_t least_bytes = settings->value[SETTING_GROWTH_BYTES];
	int64_t step_ns = (int64_t)window_s * second_ns / GROWTH_SAMPLES;

	if (!least_bytes)
		return;
	if (watch->window_s != window_s) {
		forget(table);
		watch->window_s = window_s;
		watch->due_ns = now_ns;
	}
	if (now_ns + slack_ns < watch->due_ns)
		return;
	watch->due_ns += step_ns;
	if (watch->due_ns <= now_ns) /* ticks are rarer than samples, or there were none for a while */
		watch->due_ns = now_ns + step_ns;
	for (size_t i = 0; i < table->n; i++)
		look(watch, table->live[i], least_bytes, board);
}

enum { GROWTH_RULE = 0 };

void growth_watch_save(
	struct growth_watch *watch, const struct process_table *table, struct board_firing *firing)
{
	for (size_t i = 0; i < table->n && firing->n < BOARD_FIRING; i++) {
		const struct process *process = table->live[i];
		if (!process->growth || !process->growth->growing)
			continue;
		firing->entry[firing->n].rule = GROWTH_RULE;
		firing->entry[firing->n].start_ticks = process->shown.start_ticks;
		firing->entry[firing->n++].pid = process->pid;
	}
	watch->changed = false;
}

void growth_watch_restore(const struct process_table *table, const struct board_firing *firing)
{
	for (size_t i = 0; i < firing->n; i++) {
		struct process *process =
			firing->entry[i].rule == GROWTH_RULE && firing->entry[i].pid < BOARD_PIDS
				? process_find(table, (uint32_t)firing->entry[i].pid)
				: NULL;
		if (process && process->shown.start_ticks == firing->entry[i].start_ticks &&
			track_of(process))
			process->growth->growing = true;
	}
}
