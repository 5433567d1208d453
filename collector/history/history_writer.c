/* SPDX-License-Identifier: MIT */
/* The database of the writer, and what lives. */
#include "collector/history/history_writer.h"
#include "schema/base/array.h"
#include "schema/base/num.h"
#include "schema/history/history.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Ends that wait for a database which cannot be written; what is over is found at the next start. */
enum { ENDED_MAX = 65536 };

void writer_init(struct writer *writer, const char *state_dir, const char *boot_uuid, int64_t boot_s)
{
	*writer = (struct writer) {
		.state_dir = state_dir, .boot_uuid = boot_uuid, .boot_s = boot_s, .key = true
	};
	live_init(&writer->live);
	packer_init(&writer->packer);
	chain_init(&writer->minutes, LEVEL_MINUTES);
	chain_init(&writer->hours, LEVEL_HOURS);
	settings_init(&writer->settings);
	struct level_columns columns;
	level_columns_init(&columns, &system_metrics);
	writer->node_counters = columns.counters;
	writer->node_columns = history_columns(&system_metrics);
	writer->process_columns = history_columns(&process_metrics);
	for (unsigned i = 0; i < writer->node_columns; i++)
		writer->node_metric[i] = (uint8_t)history_column_metric(&system_metrics, i);
	for (unsigned i = 0; i < writer->process_columns; i++)
		writer->process_metric[i] = (uint8_t)history_column_metric(&process_metrics, i);
}

void writer_deinit(struct writer *writer)
{
	writer_close(writer);
	live_deinit(&writer->live);
	packer_deinit(&writer->packer);
	chain_deinit(&writer->minutes);
	chain_deinit(&writer->hours);
	free(writer->hour_subject);
	free(writer->touched);
	free(writer->ended);
	history_events_deinit(&writer->events);
	remains_deinit(&writer->remains);
	buf_deinit(&writer->blob);
}

static int on_setting(void *ctx, const char *name, const char *value)
{
	struct settings *settings = ctx;
	int i = setting_by_name((struct span) { name, strlen(name) });
	uint64_t number;

	/* One that a later version had, or that a hand put there out of its range, is as if it were not
	 * there. */
	if (i >= 0 && num_parse_whole(value, strlen(value), &number) && number >= setting_rows[i].min &&
		number <= setting_rows[i].max)
		settings->value[i] = number;
	return 0;
}

static int put_names(struct writer *writer, const struct metric_list *list, const char *scope)
{
	int r = 0, metric;

	for (unsigned i = 0; !r && (metric = history_column_metric(list, i)) >= 0; i++)
		r = store_put_metric(writer->store, scope, i, list->rows[metric].name);
	return r;
}

static int put_settings(struct writer *writer, const struct settings *settings)
{
	int r = 0;

	for (int i = 0; !r && i < N_SETTINGS; i++) {
		char text[NUM_TEXT_MAX + 1];
		text[num_format_u64(text, settings->value[i])] = '\0';
		r = store_put_setting(writer->store, setting_rows[i].name, text);
	}
	return r;
}

/* Ends a transaction that began with store_begin and what it did, r: kept where all went well. */
static int finish(struct writer *writer, int r)
{
	if (!r)
		r = store_commit(writer->store);
	if (r)
		store_rollback(writer->store);
	return r;
}

static int prepare(struct writer *writer)
{
	int r = store_begin(writer->store);

	if (!r)
		r = store_put_boot(writer->store, writer->boot_uuid, writer->boot_s, &writer->boot);
	if (!r)
		r = put_names(writer, &system_metrics, "system");
	if (!r)
		r = put_names(writer, &process_metrics, "process");
	if (!r && writer->settings_pending)
		r = put_settings(writer, &writer->settings);
	else if (!r)
		r = store_each_setting(writer->store, on_setting, &writer->settings);
	if (!r)
		r = writer->settings_pending ? writer_store_notes(writer) : writer_load_notes(writer);
	if (!r)
		r = writer_load_last_event(writer);
	return finish(writer, r);
}

int writer_open(struct writer *writer, struct err *err)
{
	int r = store_open_writer(writer->state_dir, &writer->store, err);

	if (r)
		return r;
	r = prepare(writer);
	if (r) {
		err_set(err, r < 0 ? -r : EIO, "history in %s cannot be written", writer->state_dir);
		writer_close(writer);
		return r;
	}
	/* From here on they are known; should the database be replaced, the new one gets them. */
	writer->settings_pending = true;
	writer->first_tick = true;
	writer->retention_due = writer->hours_due = writer->remains_due = true;
	return 0;
}

void writer_close(struct writer *writer)
{
	store_close(writer->store);
	writer->store = NULL;
	packer_deinit(&writer->packer);
	writer->packing = writer->summing = false;
	/* The next one may be another. */
	chain_break(&writer->minutes);
	chain_break(&writer->hours);
	writer->open_seq = 0;
	writer->n_ended = writer->n_ended_before = 0;
	writer_skip(writer);
	for (size_t i = 0; i < writer->live.used; i++)
		writer->live.live[i].subject = 0;
}

void writer_skip(struct writer *writer)
{
	writer->key = true;
	for (size_t i = 0; i < writer->n_touched; i++)
		writer->live.live[writer->touched[i].place].touched = false;
	writer->n_touched = 0;
	writer->n_ended_before = writer->n_ended;
}

int writer_put_note(struct writer *writer, enum note id, const struct note_text *note)
{
	if (!writer->store)
		return STORE_ABSENT;
	int r = store_begin(writer->store);
	if (!r)
		r = store_put_note(writer->store, note_name[id], note->text, note->len);
	r = finish(writer, r);
	if (!r)
		writer->notes[id] = *note;
	return r;
}

int writer_put_settings(struct writer *writer, const struct settings *settings)
{
	if (!writer->store)
		return STORE_ABSENT;
	int r = store_begin(writer->store);
	if (!r)
		r = put_settings(writer, settings);
	r = finish(writer, r);
	if (r)
		return r;
	writer->settings = *settings;
	writer->retention_due = writer->remains_due = true;
	writer->retention_ns = 0;
	return 0;
}

/* --- what lives --- */

/* Keeps what the tick before had; once a tick. */
static int touch(struct writer *writer, uint32_t place)
{
	struct live *live = &writer->live.live[place];

	if (live->touched)
		return 0;
	struct writer_touched *touched =
		array_push(&writer->touched, &writer->n_touched, &writer->touched_cap);
	if (!touched)
		return -ENOMEM;
	*touched = (struct writer_touched) { .place = place, .present = live->present };
	memcpy(touched->value, live->value, sizeof(touched->value));
	live->touched = true;
	return 0;
}

static void untouch(struct writer *writer, uint32_t place)
{
	for (size_t i = writer->n_touched; i-- > 0;) {
		if (writer->touched[i].place == place) {
			writer->touched[i] = writer->touched[--writer->n_touched];
			return;
		}
	}
}

static void end(struct writer *writer, uint32_t place, int64_t end_s)
{
	const struct live *live = &writer->live.live[place];
	struct writer_ended *ended =
		writer->n_ended == ENDED_MAX
			? NULL
			: array_push(&writer->ended, &writer->n_ended, &writer->ended_cap);

	if (ended) {
		*ended = (struct writer_ended) {
			.subject = live->subject,
			.start_s = live->start_s,
			.end_s = end_s,
			.start_ticks = live->start_ticks,
			.pid = live->pid,
			.uid = live->uid,
			.told = live->subject && !writer->key,
		};
		memcpy(ended->comm, live->comm, sizeof(ended->comm));
	} else {
		writer->key = true; /* a death that is not told of has to be left out */
	}
	if (live->touched)
		untouch(writer, place);
	live_remove(&writer->live, place);
}

/* One that was told of as dead and lives: its row is the same, and only a key tick can say so. */
static void revive(struct writer *writer, uint32_t pid, uint64_t start_ticks)
{
	for (size_t i = writer->n_ended_before; i < writer->n_ended; i++) {
		if (writer->ended[i].pid == pid && writer->ended[i].start_ticks == start_ticks) {
			writer->ended[i] = writer->ended[--writer->n_ended];
			writer->key = true;
			return;
		}
	}
}

static int apply_entry(struct writer *writer, const struct history_entry *entry, int64_t time_s)
{
	uint32_t place = live_find(&writer->live, entry->pid);
	bool known = place != LIVE_NONE && writer->live.live[place].start_ticks == entry->start_ticks;

	if (place != LIVE_NONE && !known)
		end(writer, place, time_s);
	if (!known) {
		revive(writer, entry->pid, entry->start_ticks);
		place = live_add(&writer->live, entry->pid);
		if (place == LIVE_NONE)
			return -ENOMEM;
	}
	struct live *live = &writer->live.live[place];
	if (!known) {
		live->start_ticks = entry->start_ticks;
		live->start_s = entry->start_s;
	}
	if (!known || entry->renamed) {
		live->uid = entry->uid;
		memcpy(live->comm, entry->comm, sizeof(live->comm));
		live->renamed = known;
	}
	if (entry->ended) {
		end(writer, place, time_s);
		return 0;
	}
	int r = touch(writer, place);
	if (r) {
		live_remove(&writer->live, place);
		return r;
	}
	live->present = 0;
	for (unsigned i = 0; i < writer->process_columns; i++) {
		unsigned metric = writer->process_metric[i];
		bool has = metric_has(entry->values.present, metric);

		live->present |= (uint64_t)has << i;
		live->value[i] = has ? entry->values.value[metric] : 0;
	}
	return 0;
}

int writer_apply(struct writer *writer, struct history_tick *tick)
{
	int64_t time_s = tick->time_ns / 1000000000;
	int r = 0;

	writer->system = tick->system;
	history_events_move(&writer->events, &tick->events);
	for (size_t i = 0; i < tick->n; i++) {
		int one = apply_entry(writer, &tick->entry[i], time_s);

		/* A process without memory for it is left out; the others are not. */
		if (one && !r)
			r = one;
	}
	if (r)
		writer->key = true;
	return r;
}
