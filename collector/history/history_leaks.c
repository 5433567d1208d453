/* SPDX-License-Identifier: MIT */
#include "collector/history/history_leaks.h"

#include <stdlib.h>

#include "collector/history/history_writer.h"
#include "schema/base/clock.h"

enum {
	SHARE = 8 /* of the size of history: what tables of ended processes may have of it */,
	ROWS_A_STEP = 2000
};

void history_leaks_free(struct history_leaks *leaks)
{
	if (!leaks)
		return;
	buf_deinit(&leaks->packed);
	buf_deinit(&leaks->text);
	free(leaks);
}

void leaks_queue_put(struct leaks_queue *queue, pthread_mutex_t *lock, struct history_leaks *leaks)
{
	leaks->next = NULL;
	pthread_mutex_lock(lock);
	bool takes = leaks->packed.len || queue->n < LEAKS_QUEUE_MAX;
	if (takes && queue->first)
		queue->last->next = leaks;
	else if (takes)
		queue->first = leaks;
	if (takes) {
		queue->last = leaks;
		queue->n++;
	}
	pthread_mutex_unlock(lock);
	if (!takes)
		history_leaks_free(leaks);
}

struct history_leaks *leaks_queue_first(struct leaks_queue *queue, pthread_mutex_t *lock)
{
	pthread_mutex_lock(lock);
	struct history_leaks *first = queue->first;
	pthread_mutex_unlock(lock);
	return first;
}

void leaks_queue_drop(struct leaks_queue *queue, pthread_mutex_t *lock)
{
	pthread_mutex_lock(lock);
	struct history_leaks *first = queue->first;
	queue->first = first->next;
	queue->n--;
	pthread_mutex_unlock(lock);
	history_leaks_free(first);
}

void leaks_queue_deinit(struct leaks_queue *queue)
{
	for (struct history_leaks *next; queue->first; queue->first = next) {
		next = queue->first->next;
		history_leaks_free(queue->first);
	}
}

static size_t add_text(struct buf *text, struct span span)
{
	size_t at = text->len;

	buf_put_escaped(text, span.p, span.n);
	buf_putc(text, '\0');
	return at;
}

bool history_leaks_add(struct history_leaks *minute, const struct leak_site *site)
{
	if (minute->n == LEAK_MINUTE_SITES)
		return false;
	struct store_leak_minute *row = &minute->site[minute->n++];
	*row = (struct store_leak_minute) {
		.minute = minute->minute,
		.pid = minute->pid,
		.start_ticks = minute->start_ticks,
		.build_id_len = site->build_id.n,
		.module_offset = site->module.n ? site->module_offset : site->caller,
		.live_bytes = site->live_bytes,
		.live_blocks = site->live_blocks,
		.suspect_bytes = site->suspect_bytes,
		.suspect_blocks = site->suspect_blocks,
	};
	size_t last = minute->n - 1;
	minute->at[last].module = add_text(&minute->text, site->module);
	minute->at[last].symbol = add_text(&minute->text, site->symbol);
	minute->at[last].build_id = minute->text.len;
	buf_put(&minute->text, site->build_id.p, site->build_id.n);
	return true;
}

static int put_minute(struct writer *writer, const struct history_leaks *leaks)
{
	const char *text = leaks->text.data;
	int r = buf_error(&leaks->text);

	for (size_t i = 0; !r && i < leaks->n; i++) {
		struct store_leak_minute row = leaks->site[i];
		row.boot = writer->boot;
		row.module = text + leaks->at[i].module;
		row.symbol = text + leaks->at[i].symbol;
		row.build_id = text + leaks->at[i].build_id;
		r = store_put_leak_minute(writer->store, &row);
	}
	return r;
}

static int64_t share_of(const struct writer *writer)
{
	return (int64_t)writer->settings.value[SETTING_HISTORY_MAX_BYTES] / SHARE;
}

static int put_ended(struct writer *writer, const struct history_leaks *leaks)
{
	const struct store_leaks row = {
		.boot = writer->boot,
		.pid = leaks->pid,
		.uid = leaks->uid,
		.start_ticks = leaks->start_ticks,
		.made_ns = leaks->made_ns,
		.end_ns = leaks->end_ns,
		.packed = leaks->packed.data,
		.len = leaks->packed.len,
	};

	if (!writer->settings.value[SETTING_ENDED_KEEP] || (int64_t)row.len > share_of(writer))
		return 0;
	writer->remains_due = true;
	return store_put_ended_leaks(writer->store, &row);
}

int writer_put_leaks(struct writer *writer, struct history_leaks *leaks)
{
	int r = store_begin(writer->store);

	if (!r)
		r = leaks->packed.len ? put_ended(writer, leaks) : put_minute(writer, leaks);
	if (!r)
		r = store_commit(writer->store);
	if (r)
		store_rollback(writer->store);
	return r;
}

int writer_expire_leaks(struct writer *writer)
{
	const uint64_t *setting = writer->settings.value;
	int64_t now_ns = clock_realtime_ns(), keep_ns = (int64_t)setting[SETTING_ENDED_KEEP] * 1000000000;
	int64_t days = (int64_t)setting[SETTING_HISTORY_MINUTES_DAYS];
	int r = store_expire_ended_leaks(
		writer->store, keep_ns ? now_ns - keep_ns : INT64_MAX, share_of(writer));

	return r ? r
		 : store_expire_leak_minutes(writer->store, store_minute(now_ns) - days * 24 * 60,
			   LEAK_MINUTES_KEPT, ROWS_A_STEP);
}
