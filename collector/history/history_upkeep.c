/* SPDX-License-Identifier: MIT */
/* What the writer does between ticks: full minutes are packed, old ones go. Each step is one short
 * transaction. */
#include "collector/history/history_ended.h"
#include "collector/history/history_levels.h"
#include "collector/history/history_writer.h"
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
	if (r == STORE_ABSENT)
		r = store_has_unit(writer->store, writer->packing_minute);
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

/* `minute` gets what is packed already: after a restart or a jump of the clock within it. */
static int pack_subject(struct writer *writer, int64_t subject, struct pack_minute *minute)
{
	int r = 0;

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

/* *ret_more: there was another subject. */
static int pack_next(struct writer *writer, bool *ret_more)
{
	struct pack_minute minute;
	int64_t subject;
	bool alive;
	int r;

	*ret_more = packer_next(
		&writer->packer, writer->node_columns, writer->process_columns, &subject, &minute, &alive);
	if (!*ret_more)
		return levels_finish(writer);
	r = pack_subject(writer, subject, &minute);
	if (r)
		return r;
	return subject ? levels_put(writer, subject, &minute, alive) : levels_begin(writer, &minute);
}

static int pack_step(struct writer *writer)
{
	bool more = true;
	int r = store_begin(writer->store);

	for (int i = 0; !r && more && i < SUBJECTS_A_STEP; i++)
		r = pack_next(writer, &more);
	/* With the last of the samples, so that a reader finds each of them at any time. */
	if (!r && !more)
		r = store_delete_journal(writer->store, writer->packing_minute, writer->packing_last_seq);
	if (!r)
		r = store_commit(writer->store);
	if (r)
		store_rollback(writer->store);
	if (r)
		levels_abandon(writer);
	else if (!more)
		levels_packed(writer);
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

/* What is to be gone of a level by age: units before it. Minutes go by whole hours and hours by whole days,
 * whose first rows name every process. */
static int64_t expires_before(const struct writer *writer, enum level level)
{
	static const enum setting days[N_LEVELS] = { SETTING_HISTORY_SECONDS_DAYS,
		SETTING_HISTORY_MINUTES_DAYS, SETTING_HISTORY_DAYS };
	uint64_t whole = writer->settings.value[SETTING_HISTORY_DAYS],
		 own = writer->settings.value[days[level]];
	int64_t kept_s = (int64_t)(own < whole ? own : whole) * 86400;
	/* Packed seconds are counted by minutes. */
	enum level by = level == LEVEL_SECONDS ? LEVEL_MINUTES : level;
	int64_t unit = level_unit(by, writer->last_ns / 1000000000 - kept_s),
		period = level_key_period[level];

	return unit - (unit % period + period) % period;
}

/* In hundredths of the whole, what a level may take; hours have what the others leave. */
static int64_t share_percent(const struct writer *writer, enum level level)
{
	return level == LEVEL_SECONDS   ? (int64_t)writer->settings.value[SETTING_HISTORY_SECONDS_PERCENT]
	       : level == LEVEL_MINUTES ? (int64_t)writer->settings.value[SETTING_HISTORY_MINUTES_PERCENT]
					: 0;
}

/* The first level that takes more than its share divided by `by`; N_LEVELS: none. */
static enum level over_share(const struct writer *writer, const int64_t *bytes, int64_t max, int64_t by)
{
	enum level level = LEVEL_SECONDS;

	while (level < LEVEL_HOURS && bytes[level] <= max / 100 * share_percent(writer, level) / by)
		level++;
	return level < LEVEL_HOURS ? level : N_LEVELS;
}

/*
 * The level whose oldest have to go for its size, N_LEVELS: none. Where the whole is too large seconds go
 * first, then minutes, then hours; a quarter of the shares of the former stays as long as there is anything
 * else.
 */
static int too_large(struct writer *writer, int64_t max, enum level *ret_level)
{
	enum { LEAST = 4 };
	int64_t bytes[N_LEVELS], oldest;
	int r = store_level_bytes(writer->store, bytes);

	if (r)
		return r;
	*ret_level = over_share(writer, bytes, max, 1);
	if (*ret_level < N_LEVELS || store_used_bytes(writer->store) <= max)
		return 0;
	*ret_level = over_share(writer, bytes, max, LEAST);
	if (*ret_level < N_LEVELS)
		return 0;
	for (int i = 0; i < N_LEVELS; i++) {
		static const enum level last[N_LEVELS] = { LEVEL_HOURS, LEVEL_SECONDS, LEVEL_MINUTES };

		r = store_oldest_unit(writer->store, last[i], &oldest);
		if (r != STORE_ABSENT) {
			*ret_level = last[i];
			return r;
		}
	}
	return 0;
}

/* Where the oldest of a level end that go together. What is cut out of the midst of units that build on each
 * other takes with it what is not written of them. */
static int64_t cut_behind(struct writer *writer, enum level level, int64_t oldest)
{
	int64_t period = level_key_period[level], next, newest;

	if (level == LEVEL_SECONDS)
		return oldest + 1;
	next = oldest - (oldest % period + period) % period + period;
	if (!store_newest_unit(writer->store, level, &newest) && newest >= next)
		return next;
	chain_break(level == LEVEL_MINUTES ? &writer->minutes : &writer->hours);
	return oldest + 1;
}

static int expire_level(struct writer *writer, enum level level, enum level large, int *ret_deleted)
{
	int64_t oldest, before = expires_before(writer, level);
	int r = store_oldest_unit(writer->store, level, &oldest);

	*ret_deleted = 0;
	if (r)
		return r == STORE_ABSENT ? 0 : r;
	if (level == large && oldest >= before)
		before = cut_behind(writer, level, oldest);
	return oldest < before ? store_expire(writer->store, level, before, ROWS_A_STEP, ret_deleted) : 0;
}

/* Processes that ended before all that is kept. */
static int expire_subjects(struct writer *writer, int *ret_deleted)
{
	int64_t oldest_s = writer->last_ns / 1000000000, oldest;

	for (enum level level = LEVEL_SECONDS; level < N_LEVELS; level++) {
		int64_t seconds = level == LEVEL_SECONDS ? 60 : level_seconds[level];
		int r = store_oldest_unit(writer->store, level, &oldest);

		if (r && r != STORE_ABSENT)
			return r;
		if (!r && oldest * seconds < oldest_s)
			oldest_s = oldest * seconds;
	}
	return store_expire_subjects(writer->store, oldest_s, ROWS_A_STEP, ret_deleted);
}

/* Who came and went between two ticks is known by name for an hour. *ret_more: there may be others. */
static int expire_unsampled(struct writer *writer, bool *ret_more)
{
	int64_t before_s = writer->last_ns / 1000000000 - 3600;
	int r = store_expire_unsampled(writer->store, before_s, ROWS_A_STEP, &writer->swept_s);

	*ret_more = r == STORE_OK;
	return r == STORE_ABSENT ? 0 : r;
}

/* *ret_more: something went, and there may be more. Processes first: what they leave may be enough. */
static int expire(struct writer *writer, int64_t max, bool *ret_more)
{
	enum level large = N_LEVELS;
	int deleted, all = 0;
	int r = expire_unsampled(writer, ret_more);

	if (r || *ret_more)
		return r;
	r = expire_subjects(writer, &all);
	if (!r && !all)
		r = too_large(writer, max, &large);
	for (enum level level = LEVEL_SECONDS; !r && !all && level < N_LEVELS; level++) {
		r = expire_level(writer, level, large, &deleted);
		all += deleted;
	}
	*ret_more = all > 0;
	return r;
}

static int retention_step(struct writer *writer, bool *ret_more)
{
	int64_t max = (int64_t)writer->settings.value[SETTING_HISTORY_MAX_BYTES], share = wal_share(max);
	int64_t now_ns = clock_monotonic_ns();
	int r = expire(writer, max - share, ret_more);

	if (r)
		return r;
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
	r = levels_step(writer, ret_more);
	if (r || *ret_more)
		return r;
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
