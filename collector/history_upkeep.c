/* SPDX-License-Identifier: MIT */
/* What the writer does between ticks: full minutes are packed, old ones go. Each step is one short
 * transaction. */
#include "collector/history_ended.h"
#include "collector/history_writer.h"
#include "schema/base/clock.h"

enum { SUBJECTS_A_STEP = 256, ROWS_A_STEP = 1000 };
#define MINUTE_NS INT64_C(60000000000)

void writer_end_segment(struct writer *writer)
{
	writer->open_seq = 0;
	writer->key = true;
}

/* --- packing --- */

static int on_tick(void *ctx, int64_t seq, int64_t time_ns, const void *blob, size_t len)
{
	struct writer *writer = ctx;
	int64_t in_minute_ns = time_ns - writer->packing_minute * MINUTE_NS;

	writer->packing_last_seq = seq;
	return packer_add(&writer->packer, (unsigned)(in_minute_ns / 1000000000), blob, len);
}

/* Takes up the oldest minute that is not the open one. *ret_more: there is one. */
static int packing_begin(struct writer *writer, bool *ret_more)
{
	int64_t last = writer->open_seq ? writer->open_seq - 1 : INT64_MAX, seq, time_ns;
	size_t bad;
	int r = store_oldest_journal(writer->store, &seq, &time_ns);

	*ret_more = false;
	if (r == STORE_ABSENT || (!r && seq > last))
		return 0;
	if (r)
		return r;
	packer_deinit(&writer->packer);
	writer->packing_minute = store_minute(time_ns);
	r = store_each_journal(
		writer->store, writer->packing_minute, writer->packing_minute, last, on_tick, writer);
	if (r)
		return r;
	packer_ready(&writer->packer, &bad);
	r = store_has_minute(writer->store, writer->packing_minute);
	if (r && r != STORE_ABSENT)
		return r;
	writer->minute_is_new = r == STORE_ABSENT;
	writer->packing = *ret_more = true;
	return 0;
}

static int on_there(void *ctx, int64_t number, const void *blob, size_t len)
{
	struct pack_minute there;

	/* What cannot be read any more makes place for what can. */
	if (pack_minute_decode(&there, blob, len))
		pack_minute_merge(ctx, &there);
	return 0;
}

static int pack_subject(struct writer *writer, int64_t subject, struct pack_minute *minute)
{
	int r = 0;

	/* After a restart or a jump of the clock within the minute. */
	if (!writer->minute_is_new)
		r = store_each_minute(writer->store, subject, writer->packing_minute, writer->packing_minute,
			on_there, minute);
	if (r || !minute->seconds)
		return r;
	buf_clear(&writer->blob);
	pack_minute_encode(&writer->blob, minute);
	r = buf_error(&writer->blob);
	return r ? r
		 : store_put_minute(writer->store, subject, writer->packing_minute, writer->blob.data,
			   writer->blob.len);
}

static int pack_step(struct writer *writer)
{
	bool more = true;
	int r = store_begin(writer->store);

	for (int i = 0; !r && i < SUBJECTS_A_STEP; i++) {
		struct pack_minute minute;
		int64_t subject;

		more = packer_next(
			&writer->packer, writer->node_columns, writer->process_columns, &subject, &minute);
		if (!more)
			break;
		r = pack_subject(writer, subject, &minute);
	}
	/* With the last of the samples, so that a reader finds each of them at any time. */
	if (!r && !more)
		r = store_delete_journal(writer->store, writer->packing_minute, writer->packing_last_seq);
	if (!r)
		r = store_commit(writer->store);
	if (r)
		store_rollback(writer->store);
	if (r || !more) {
		/* On failure all of it is done again, from the journal. */
		packer_deinit(&writer->packer);
		writer->packing = false;
	}
	return r;
}

/* --- retention --- */

/* What the WAL may have of the whole, for it cannot be deleted from. */
static int64_t wal_share(int64_t max)
{
	const int64_t most = 16 << 20;

	return max / 4 < most ? max / 4 : most;
}

/* *ret_more: something went, and there may be more. */
static int retention_step(struct writer *writer, bool *ret_more)
{
	int64_t max = (int64_t)writer->settings.value[SETTING_HISTORY_MAX_BYTES], share = wal_share(max);
	int64_t kept = (int64_t)writer->settings.value[SETTING_HISTORY_DAYS] * 1440;
	int64_t before = store_minute(writer->last_ns) - kept, oldest, now_ns = clock_monotonic_ns();
	int deleted = 0, r;

	*ret_more = false;
	r = store_oldest_minute(writer->store, &oldest);
	if (r && r != STORE_ABSENT)
		return r;
	if (!r) {
		int64_t used = store_used_bytes(writer->store);

		if (used > max - share && oldest >= before)
			before = oldest + 1;
		if (oldest < before) {
			r = store_expire(writer->store, before, ROWS_A_STEP, &deleted);
			if (r)
				return r;
			*ret_more = deleted > 0;
		}
	}
	/* Free pages are used again; the file shrinks where it has to. */
	int64_t used = store_used_bytes(writer->store), wal = store_wal_bytes(writer->store);
	int64_t file = store_bytes(writer->store) - wal;
	if (used >= 0 && (file > max - share || file > used + used / 2 + share) && file > used) {
		r = store_tidy(writer->store);
		/* The file is cut when the WAL goes into it. */
		if (!r && !*ret_more)
			r = store_shorten_wal(writer->store);
		if (!r && store_bytes(writer->store) - store_wal_bytes(writer->store) < file)
			*ret_more = true;
	} else if (wal > share || now_ns - writer->shorten_ns > 60 * MINUTE_NS) {
		writer->shorten_ns = now_ns;
		r = store_shorten_wal(writer->store);
	}
	return r;
}

int writer_step(struct writer *writer, bool *ret_more)
{
	bool more = false;
	int r;

	*ret_more = false;
	if (!writer->packing) {
		r = packing_begin(writer, &more);
		if (r)
			return r;
	}
	if (writer->packing) {
		r = pack_step(writer);
		if (r)
			return r;
		if (!writer->packing)
			writer->retention_due = writer->remains_due = true;
		*ret_more = true;
		return 0;
	}
	if (writer->remains_due) {
		r = writer_expire_remains(writer, &writer->remains_due);
		*ret_more = !r;
		return r;
	}
	if (!writer->retention_due)
		return 0;
	/* Under way, or at most once a minute. */
	int64_t now_ns = clock_monotonic_ns();
	if (writer->retention_ns && now_ns - writer->retention_ns < MINUTE_NS)
		return 0;
	r = retention_step(writer, &more);
	if (r)
		return r;
	if (!more) {
		writer->retention_due = false;
		writer->retention_ns = now_ns;
	}
	*ret_more = more;
	return 0;
}
