/* SPDX-License-Identifier: MIT */
/* Events and notes on their way into the database. */
#include "collector/history/history_writer.h"

#include <string.h>

/* A row has some 90 bytes, and 400 at the most. */
enum { EVENT_BYTES = 256, EVENTS_SHARE = 8, EXPIRE_EVERY = 256, EXPIRE_ROWS = 2 * EVENTS_MAX };
static const int64_t day_ns = INT64_C(86400000000000);

static int put(struct writer *writer, const struct board_news *news)
{
	char subject[BOARD_NEWS_SUBJECT];
	const struct store_event event = {
		.seq = news->seq,
		.time_ns = news->time_ns,
		.kind = board_news_kind_name[news->kind],
		.subject = board_news_subject(news, subject),
		.text = news->text,
	};

	return store_put_event(writer->store, &event);
}

/* As many as the setting says, and never so many that there is no room for samples. */
static int64_t events_kept(const struct writer *writer)
{
	const uint64_t *setting = writer->settings.value;
	uint64_t share = setting[SETTING_HISTORY_MAX_BYTES] / EVENTS_SHARE / EVENT_BYTES;

	return (int64_t)(setting[SETTING_EVENTS_MAX] < share ? setting[SETTING_EVENTS_MAX] : share);
}

int writer_write_events(struct writer *writer)
{
	const struct history_events *events = &writer->events;
	struct board_news dropped;
	bool untold = history_events_dropped(events, &dropped);
	int r = 0;

	for (size_t i = 0; !r && i < events->n; i++) {
		if (untold && events->news[i].seq > dropped.seq) {
			r = put(writer, &dropped);
			untold = false;
		}
		if (!r)
			r = put(writer, &events->news[i]);
	}
	if (!r && untold)
		r = put(writer, &dropped);
	writer->events_put += events->n;
	/* At a time more than can have come, so that a smaller bound is reached too. */
	if (!r && (writer->key || writer->events_put >= EXPIRE_EVERY)) {
		writer->events_put = 0;
		r = store_expire_events(writer->store, events_kept(writer),
			writer->last_ns - (int64_t)writer->settings.value[SETTING_HISTORY_DAYS] * day_ns,
			EXPIRE_ROWS);
	}
	return r;
}

int writer_load_last_event(struct writer *writer)
{
	writer->last_event = 0;
	int r = store_last_event(writer->store, &writer->last_event);
	return r == STORE_ABSENT ? 0 : r;
}

static int on_note(void *ctx, const char *name, const char *text)
{
	size_t len = strlen(text);
	struct writer *writer = ctx;

	for (int id = 0; id < N_NOTES; id++) {
		struct note_text *note = &writer->notes[id];
		if (!span_equals((struct span) { name, strlen(name) }, note_name[id]) || len > NOTE_MAX)
			continue;
		memcpy(note->text, text, len);
		note->len = len;
	}
	return 0;
}

int writer_load_notes(struct writer *writer)
{
	return store_each_note(writer->store, on_note, writer);
}

int writer_store_notes(struct writer *writer)
{
	int r = 0;

	for (int id = 0; !r && id < N_NOTES; id++)
		r = store_put_note(
			writer->store, note_name[id], writer->notes[id].text, writer->notes[id].len);
	return r;
}
