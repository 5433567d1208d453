/* SPDX-License-Identifier: MIT */
/* Events from the board's ring into the history: all that are rare, of a storm a part, and every one counted.
 */
#include "collector/history/history.h"
#include "collector/news.h"
#include "tests/unit/recorder_world.h"

#include <malloc.h>

struct ring {
	int fd;
	struct board *board;
	struct history_events events;
	uint64_t next;
};

static void open_ring(struct ring *ring)
{
	*ring = (struct ring) { .fd = board_create(), .next = 1 };
	assert_true(ring->fd >= 0);
	assert_int_equal(board_map(ring->fd, true, &ring->board), 0);
}

static void close_ring(struct ring *ring)
{
	history_events_deinit(&ring->events);
	board_unmap(ring->board);
	close(ring->fd);
}

/* What the history has, added up. */
struct kept {
	uint64_t rows, routine, alerts, dropped, last_seq, first_seq;
	bool disorder;
	char text[BOARD_NEWS_TEXT]; /* of the last */
	char subject[BOARD_NEWS_SUBJECT];
};

static uint64_t sum_of(const char *text)
{
	uint64_t sum = 0;

	for (const char *at = text; *at; at++)
		if (*at >= '0' && *at <= '9' && (at == text || at[-1] == ' '))
			sum += strtoull(at, NULL, 10);
	return sum;
}

static int on_row(void *ctx, const struct store_event *event)
{
	struct kept *kept = ctx;

	if (!kept->rows++)
		kept->first_seq = event->seq;
	kept->disorder |= event->seq <= kept->last_seq;
	kept->last_seq = event->seq;
	if (!strcmp(event->kind, "dropped"))
		kept->dropped += sum_of(event->text);
	else if (!strcmp(event->kind, "alert"))
		kept->alerts++;
	else
		kept->routine++;
	snprintf(kept->text, sizeof(kept->text), "%s", event->text);
	snprintf(kept->subject, sizeof(kept->subject), "%s", event->subject);
	return 0;
}

static struct kept kept_in(const struct scratch *scratch)
{
	struct store *store;
	struct kept kept = { 0 };

	assert_int_equal(store_open_reader(scratch->path, &store, NULL), STORE_OK);
	assert_int_equal(store_each_event(store, on_row, &kept), 0);
	store_close(store);
	return kept;
}

static void put_tick(struct recorder *recorder, struct ring *ring, int64_t t)
{
	struct history_tick *tick = history_tick_new(0);

	assert_non_null(tick);
	tick->time_ns = t * NS;
	tick->system = system_at(t);
	history_events_collect(&ring->events, ring->board, &ring->next);
	history_events_move(&tick->events, &ring->events);
	assert_int_equal(ring->events.n, 0);
	recorder_put(recorder, tick);
	assert_true(until(is_recorded, recorder, t * NS));
}

static void words_come_back(void **state)
{
	struct fixture *fixture = *state;
	struct recorder *recorder = start(&fixture->scratch, &fixture->told);
	struct ring ring;

	open_ring(&ring);
	assert_int_equal(recorder_last_event(recorder), 0);
	news_push(ring.board, NEWS_START, 12, "a\tb");
	put_tick(recorder, &ring, BASE);
	struct kept kept = kept_in(&fixture->scratch);
	assert_string_equal(kept.text, "a\\011b");
	assert_string_equal(kept.subject, "pid/12");
	news_push(ring.board, NEWS_CONFIG, 0, "x");
	put_tick(recorder, &ring, BASE + 1);
	assert_string_equal(kept_in(&fixture->scratch).subject, "node");
	news_push_group(ring.board, NEWS_ALERT, "p\nq r", "big firing");
	put_tick(recorder, &ring, BASE + 2);
	kept = kept_in(&fixture->scratch);
	assert_string_equal(kept.subject, "by-name/p\\012q r");
	assert_int_equal(kept.last_seq, 3);
	recorder_stop(recorder);

	/* The next one knows where to go on. */
	recorder = start(&fixture->scratch, &fixture->told);
	assert_int_equal(recorder_last_event(recorder), 3);
	recorder_stop(recorder);
	check(&fixture->scratch);
	close_ring(&ring);
}

static void a_million_events_are_bounded_and_accounted_for(void **state)
{
	enum { EVENTS = 1000000, AT_ONCE = 2500 };
	struct fixture *fixture = *state;
	struct recorder *recorder = start(&fixture->scratch, &fixture->told);
	struct ring ring;
	uint64_t alerts = 0;
	size_t used = 0;
	int64_t t = BASE;

	open_ring(&ring);
	for (uint64_t i = 0; i < EVENTS; i++) {
		bool alert = i % 9999 == 0;
		alerts += alert;
		news_push(ring.board,
			alert   ? NEWS_ALERT
			: i % 2 ? NEWS_EXIT
				: NEWS_START,
			(uint32_t)i + 1, "x");
		if (i % AT_ONCE == AT_ONCE - 1)
			history_events_collect(&ring.events, ring.board, &ring.next);
		/* Ticks of up to 20,000 events, and small ones. */
		if (i % 20000 == 19999 || i % 60000 == 100)
			put_tick(recorder, &ring, ++t);
		if (i == EVENTS / 4)
			used = mallinfo2().uordblks;
	}
	put_tick(recorder, &ring, ++t);
	assert_true(mallinfo2().uordblks < used + (4 << 20));
	struct recorder_status status;
	recorder_status(recorder, &status);
	assert_int_equal(status.dropped, 0);
	recorder_stop(recorder);

	struct kept kept = kept_in(&fixture->scratch);
	assert_false(kept.disorder);
	assert_int_equal(kept.alerts, alerts);
	assert_int_equal(kept.routine + kept.alerts + kept.dropped, EVENTS);
	assert_true(kept.rows < 70 * (EVENTS_ROUTINE_MAX + 20));
	assert_int_equal(kept.last_seq, EVENTS);
	check(&fixture->scratch);
	close_ring(&ring);
}

static void what_the_ring_lost_is_counted(void **state)
{
	struct fixture *fixture = *state;
	struct recorder *recorder = start(&fixture->scratch, &fixture->told);
	struct ring ring;

	open_ring(&ring);
	for (int i = 0; i < 3 * BOARD_NEWS; i++)
		news_push(ring.board, NEWS_START, 1, "x");
	news_push(ring.board, NEWS_ALERT, 0, "x");
	put_tick(recorder, &ring, BASE);
	recorder_stop(recorder);
	struct kept kept = kept_in(&fixture->scratch);
	assert_int_equal(kept.routine, EVENTS_ROUTINE_MAX);
	assert_int_equal(kept.alerts, 1);
	assert_int_equal(kept.routine + kept.alerts + kept.dropped, 3 * BOARD_NEWS + 1);
	assert_false(kept.disorder);
	close_ring(&ring);
}

static void the_oldest_go_first(void **state)
{
	struct fixture *fixture = *state;
	struct recorder *recorder = start(&fixture->scratch, &fixture->told);
	struct settings settings;
	struct ring ring;

	open_ring(&ring);
	settings_init(&settings);
	settings.value[SETTING_EVENTS_MAX] = 500;
	assert_int_equal(recorder_save_settings(recorder, &settings, NULL), 0);
	for (int64_t t = BASE; t < BASE + 60; t++) {
		for (int i = 0; i < 100; i++)
			news_push(ring.board, NEWS_START, 1, "x");
		put_tick(recorder, &ring, t);
	}
	recorder_stop(recorder);
	struct kept kept = kept_in(&fixture->scratch);
	assert_in_range(kept.rows, 500, 500 + 400);
	assert_int_equal(kept.last_seq, 6000);
	assert_int_equal(kept.first_seq, 6001 - kept.rows);
	close_ring(&ring);
}

/* Nothing is written for a while: what waits is bounded, and told when it is over. */
static void they_wait_for_a_database(void **state)
{
	struct history_events waiting = { 0 }, more = { 0 };
	struct board_news dropped;
	struct ring ring;

	open_ring(&ring);
	for (int tick = 0; tick < 100; tick++) {
		for (int i = 0; i < 300; i++)
			news_push(ring.board, i % 3 ? NEWS_EXIT : NEWS_GROWTH, 1, "x");
		history_events_collect(&more, ring.board, &ring.next);
		history_events_move(&waiting, &more);
		assert_null(more.news);
	}
	assert_in_range(waiting.n, 1, EVENTS_MAX);
	assert_true(history_events_dropped(&waiting, &dropped));
	assert_int_equal(sum_of(dropped.text) + waiting.n, 30000);
	assert_int_equal(dropped.kind, NEWS_DROPPED);
	history_events_deinit(&waiting);
	assert_false(history_events_dropped(&waiting, &dropped));
	close_ring(&ring);
}

static void notes_are_kept(void **state)
{
	struct fixture *fixture = *state;
	struct recorder *recorder = start(&fixture->scratch, &fixture->told);
	struct note_text note = { 0 }, got;

	assert_int_equal(recorder_load_note(recorder, NOTE_TAGS, &got), 0);
	assert_int_equal(got.len, 0);
	assert_int_equal(
		note_apply(&note, &(struct note_kind) { note_tag, true }, "rack a\\000b\n", 12, NULL), 0);
	assert_int_equal(recorder_save_note(recorder, NOTE_TAGS, &note, NULL), 0);
	recorder_stop(recorder);
	recorder = start(&fixture->scratch, &fixture->told);
	assert_int_equal(recorder_load_note(recorder, NOTE_TAGS, &got), 0);
	assert_int_equal(got.len, note.len);
	assert_memory_equal(got.text, note.text, note.len);
	assert_int_equal(recorder_load_note(recorder, NOTE_ALERTS, &got), 0);
	assert_int_equal(got.len, 0);
	recorder_stop(recorder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(words_come_back),
		TEST(a_million_events_are_bounded_and_accounted_for),
		TEST(what_the_ring_lost_is_counted),
		TEST(the_oldest_go_first),
		TEST(they_wait_for_a_database),
		TEST(notes_are_kept),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
