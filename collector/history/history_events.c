/* SPDX-License-Identifier: MIT */
#include "collector/history/history_events.h"

#include <stdlib.h>
#include <string.h>

#include "schema/base/array.h"
#include "schema/base/clock.h"

void history_events_deinit(struct history_events *events)
{
	free(events->news);
	*events = (struct history_events) { 0 };
}

static bool is_routine(uint32_t kind)
{
	return kind == NEWS_START || kind == NEWS_EXIT;
}

static void leave_out(struct history_events *events, const struct board_news *news)
{
	events->left_out[news->kind]++;
	events->last_seq = news->seq;
	events->last_ns = news->time_ns;
}

static void add(struct history_events *events, const struct board_news *news, unsigned routine_max)
{
	bool routine = is_routine(news->kind);
	bool full = events->n == EVENTS_MAX || (routine && events->routine >= routine_max);
	struct board_news *place = full ? NULL : array_push(&events->news, &events->n, &events->cap);

	if (!place) {
		leave_out(events, news);
		return;
	}
	*place = *news;
	events->routine += routine;
}

void history_events_collect(struct history_events *events, const struct board *board, uint64_t *next_seq)
{
	uint64_t head = board_news_head(board);
	struct board_news news;

	/* What is older than the ring is gone; the writer itself reads, so the rest is whole. */
	if (head >= *next_seq + BOARD_NEWS) {
		uint64_t first = head - BOARD_NEWS + 1;
		events->overwritten += first - *next_seq;
		events->last_seq = first - 1;
		events->last_ns = clock_realtime_ns();
		*next_seq = first;
	}
	for (; *next_seq <= head; ++*next_seq)
		if (board_read_news(board, *next_seq, &news) == BOARD_FOUND)
			add(events, &news, EVENTS_ROUTINE_MAX);
}

void history_events_move(struct history_events *into, struct history_events *from)
{
	/* Of several ticks that wait each may bring its own. */
	for (size_t i = 0; i < from->n; i++)
		add(into, &from->news[i], EVENTS_MAX / 2);
	for (int kind = 0; kind < N_NEWS_KINDS; kind++)
		into->left_out[kind] += from->left_out[kind];
	into->overwritten += from->overwritten;
	if (from->last_seq > into->last_seq) {
		into->last_seq = from->last_seq;
		into->last_ns = from->last_ns;
	}
	history_events_deinit(from);
}

bool history_events_dropped(const struct history_events *events, struct board_news *ret)
{
	struct board_news news = {
		.seq = events->last_seq, .time_ns = events->last_ns, .kind = NEWS_DROPPED
	};
	struct buf text = { .data = news.text, .cap = sizeof(news.text) - 1, .fixed = true };

	for (int kind = 0; kind < N_NEWS_KINDS; kind++)
		if (events->left_out[kind])
			buf_printf(&text, "%s%llu %s", text.len ? ", " : "",
				(unsigned long long)events->left_out[kind], board_news_kind_name[kind]);
	if (events->overwritten)
		buf_printf(&text, "%s%llu of any kind", text.len ? ", " : "",
			(unsigned long long)events->overwritten);
	if (!text.len)
		return false;
	buf_puts(&text, " not kept");
	*ret = news;
	return true;
}
