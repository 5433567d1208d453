/* SPDX-License-Identifier: MIT */
/* A tick becomes a row of the journal, and rows for who was born, ended or took another name; in one
 * transaction. */
#include "collector/history/history_ended.h"
#include "collector/history/history_writer.h"
#include "schema/base/array.h"
#include "schema/base/buf.h"
#include "schema/base/cleanup.h"

#include <stdlib.h>
#include <string.h>

/* comm with its control bytes escaped: four characters each at the most. */
enum { COMM_TEXT = 4 * BOARD_COMM + 1 };

static const char *comm_text(char text[static COMM_TEXT], const char comm[static BOARD_COMM])
{
	struct buf buf = { .data = text, .cap = COMM_TEXT, .fixed = true };

	buf_put_escaped(&buf, comm, strnlen(comm, BOARD_COMM));
	buf_putc(&buf, '\0');
	return text;
}

/* What a tick says of one subject, before it is sorted in. */
struct line {
	int64_t subject;
	uint32_t place;
	const struct writer_touched *touched; /* NULL: against nothing */
	bool ended;
};

static int by_subject(const void *a, const void *b)
{
	const struct line *x = a, *y = b;

	return (x->subject > y->subject) - (x->subject < y->subject);
}

static int put_subject(struct writer *writer, struct live *live)
{
	char text[COMM_TEXT];
	struct store_subject subject = {
		.boot = writer->boot,
		.pid = live->pid,
		.uid = live->uid,
		.start_ticks = live->start_ticks,
		.start_s = live->start_s,
		.comm = comm_text(text, live->comm),
	};
	int r = store_put_subject(writer->store, &subject, &live->subject);

	if (!r)
		live->fresh = true;
	return r;
}

static int put_births_and_names(struct writer *writer, struct live *live)
{
	char text[COMM_TEXT];

	if (!live->subject)
		return put_subject(writer, live);
	if (!live->renamed)
		return 0;
	return store_rename_subject(writer->store, live->subject, comm_text(text, live->comm), live->uid);
}

static int put_ends(struct writer *writer)
{
	int r = 0;

	for (size_t i = 0; !r && i < writer->n_ended; i++) {
		const struct writer_ended *ended = &writer->ended[i];
		/* Zero means that it lives. */
		int64_t end_s = ended->end_s > 0 ? ended->end_s : 1;
		char text[COMM_TEXT];
		struct store_subject subject = {
			.boot = writer->boot,
			.pid = ended->pid,
			.uid = ended->uid,
			.start_ticks = ended->start_ticks,
			.start_s = ended->start_s,
			.end_s = end_s,
			.comm = comm_text(text, ended->comm),
		};
		int64_t id;

		if (ended->subject)
			r = store_end_subject(writer->store, ended->subject, end_s);
		else
			r = store_put_subject(writer->store, &subject, &id);
	}
	return r;
}

/* --- who died while no recorder looked --- */

struct lost {
	const struct writer *writer;
	int64_t *subject;
	size_t n, cap;
};

static int on_open_subject(void *ctx, const struct store_subject *subject)
{
	struct lost *lost = ctx;
	uint32_t place = live_find(&lost->writer->live, subject->pid);

	if (place != LIVE_NONE && lost->writer->live.live[place].start_ticks == subject->start_ticks)
		return 0;
	int64_t *id = array_push(&lost->subject, &lost->n, &lost->cap);
	if (!id)
		return -ENOMEM;
	*id = subject->id;
	return 0;
}

static int end_lost(struct writer *writer, int64_t end_s)
{
	struct lost lost = { .writer = writer };
	int r = store_each_open_subject(writer->store, writer->boot, on_open_subject, &lost);

	for (size_t i = 0; !r && i < lost.n; i++) {
		r = store_end_subject(writer->store, lost.subject[i], end_s > 0 ? end_s : 1);
		if (!r && writer->settings.value[SETTING_ENDED_KEEP])
			r = store_put_ended_subject(writer->store, lost.subject[i], end_s > 0 ? end_s : 1);
	}
	free(lost.subject);
	return r;
}

/* --- the row --- */

static int gather(struct writer *writer, struct line *line, size_t *ret_n)
{
	size_t n = 0;
	int r = 0;

	if (writer->key) {
		for (uint32_t i = 0; !r && i < writer->live.used; i++) {
			struct live *live = &writer->live.live[i];

			if (!live->used)
				continue;
			r = put_births_and_names(writer, live);
			line[n++] = (struct line) { live->subject, i, NULL, false };
		}
	} else {
		for (size_t i = 0; !r && i < writer->n_touched; i++) {
			const struct writer_touched *touched = &writer->touched[i];
			struct live *live = &writer->live.live[touched->place];

			r = put_births_and_names(writer, live);
			line[n++] = (struct line) { live->subject, touched->place, touched, false };
		}
		for (size_t i = 0; i < writer->n_ended; i++) {
			if (writer->ended[i].told)
				line[n++] =
					(struct line) { .subject = writer->ended[i].subject, .ended = true };
		}
	}
	*ret_n = n;
	return r;
}

static void put_node(struct writer *writer, struct pack_tick *tick, uint64_t present, const uint64_t *value)
{
	struct pack_entry entry = {
		.subject = 0,
		.present = present,
		.value = value,
		.before_present = writer->key ? 0 : writer->node_present,
		.before_value = writer->node_value,
	};

	pack_tick_put(tick, &entry);
}

static void put_lines(struct writer *writer, struct pack_tick *tick, const struct line *line, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct pack_entry entry = { .subject = line[i].subject, .ended = line[i].ended };

		if (!entry.ended) {
			const struct live *live = &writer->live.live[line[i].place];

			entry.present = live->present;
			entry.value = live->value;
			if (line[i].touched) {
				entry.before_present = line[i].touched->present;
				entry.before_value = line[i].touched->value;
			}
		}
		pack_tick_put(tick, &entry);
	}
}

static int write_rows(struct writer *writer, int64_t time_ns, uint64_t node_present,
	const uint64_t *node_value, int64_t *ret_seq)
{
	size_t room = writer->key ? writer->live.n : writer->n_touched + writer->n_ended, n;
	CLEANUP_FREE struct line *line = calloc(room + 1, sizeof(*line));
	struct pack_tick tick;
	int r;

	if (!line)
		return -ENOMEM;
	if (writer->first_tick) {
		r = end_lost(writer, time_ns / 1000000000);
		if (r)
			return r;
	}
	/* Before the births: a pid may be used again. */
	r = put_ends(writer);
	if (!r)
		r = writer_write_events(writer);
	if (!r)
		r = writer_put_remains(writer);
	if (!r)
		r = gather(writer, line, &n);
	if (r)
		return r;
	qsort(line, n, sizeof(*line), by_subject);
	buf_clear(&writer->blob);
	pack_tick_begin(&tick, &writer->blob, writer->key);
	put_node(writer, &tick, node_present, node_value);
	put_lines(writer, &tick, line, n);
	pack_tick_end(&tick);
	r = buf_error(&writer->blob);
	return r ? r
		 : store_put_journal(writer->store, time_ns, writer->blob.data, writer->blob.len, ret_seq);
}

static void written(struct writer *writer, int64_t time_ns, bool new_minute, int64_t seq)
{
	if (writer->key) {
		for (size_t i = 0; i < writer->live.used; i++)
			writer->live.live[i].fresh = writer->live.live[i].renamed = false;
	}
	for (size_t i = 0; i < writer->n_touched; i++) {
		struct live *live = &writer->live.live[writer->touched[i].place];
		live->fresh = live->renamed = live->touched = false;
	}
	writer->n_touched = writer->n_ended = writer->n_ended_before = 0;
	history_events_deinit(&writer->events);
	writer->remains_due |= writer->remains.n > 0;
	remains_clear(&writer->remains);
	if (new_minute || !writer->open_seq)
		writer->open_seq = seq;
	writer->last_ns = time_ns;
	writer->key = writer->first_tick = false;
}

int writer_write(struct writer *writer, int64_t time_ns)
{
	bool new_minute = writer->open_seq && (store_minute(time_ns) != store_minute(writer->last_ns) ||
						      time_ns < writer->last_ns);
	uint64_t node_present = 0, node_value[WRITER_NODE_COLUMNS_MAX] = { 0 };
	int64_t seq = 0;
	int r;

	if (new_minute)
		writer->key = true;
	for (unsigned i = 0; i < writer->node_columns; i++) {
		unsigned metric = writer->node_metric[i];

		if (metric_has(writer->system.present, metric)) {
			node_present |= UINT64_C(1) << i;
			node_value[i] = writer->system.value[metric];
		}
	}
	r = store_begin(writer->store);
	if (!r)
		r = write_rows(writer, time_ns, node_present, node_value, &seq);
	if (!r)
		r = store_commit(writer->store);
	if (!r) {
		writer->node_present = node_present;
		memcpy(writer->node_value, node_value, sizeof(node_value));
		written(writer, time_ns, new_minute, seq);
		return 0;
	}
	store_rollback(writer->store);
	for (size_t i = 0; i < writer->live.used; i++) {
		if (writer->live.live[i].fresh) {
			writer->live.live[i].fresh = false;
			writer->live.live[i].subject = 0;
		}
	}
	writer_skip(writer);
	return r;
}
