/* SPDX-License-Identifier: MIT */
/* The journal and the packed minutes. */
#include "schema/store/store_conn.h"
#include "queries.h"

/* Of a row beside its blob. */
enum { MINUTE_HEAD_BYTES = 12 };

static int64_t minute_ns(int64_t minute)
{
	int64_t ns;

	if (__builtin_mul_overflow(minute, INT64_C(60000000000), &ns))
		return minute < 0 ? INT64_MIN : INT64_MAX;
	return ns;
}

int store_put_journal(struct store *store, int64_t time_ns, const void *blob, size_t len, int64_t *ret_seq)
{
	sqlite3_stmt *statement;
	int r = store_statement(store, QUERY_PUT_JOURNAL, &statement);

	if (r)
		return r;
	sqlite3_bind_int64(statement, 1, time_ns);
	sqlite3_bind_blob64(statement, 2, blob, len, SQLITE_STATIC);
	r = store_done(store, statement);
	if (!r)
		*ret_seq = sqlite3_last_insert_rowid(store->db);
	return r;
}

int store_each_journal(
	struct store *store, int64_t from, int64_t to, int64_t last_seq, store_journal_fn *fn, void *ctx)
{
	sqlite3_stmt *statement;
	int r = store_statement(store, QUERY_EACH_JOURNAL, &statement);
	int rc;

	if (r)
		return r;
	sqlite3_bind_int64(statement, 1, minute_ns(from));
	sqlite3_bind_int64(statement, 2, to == INT64_MAX ? INT64_MAX : minute_ns(to + 1));
	sqlite3_bind_int64(statement, 3, last_seq);
	while (!r && (rc = sqlite3_step(statement)) != SQLITE_DONE) {
		r = store_result(store, rc);
		if (!r)
			r = fn(ctx, sqlite3_column_int64(statement, 0), sqlite3_column_int64(statement, 1),
				sqlite3_column_blob(statement, 2),
				(size_t)sqlite3_column_bytes(statement, 2));
	}
	store_reset(statement);
	return r;
}

static int journal_end(struct store *store, unsigned query, int64_t *ret_seq, int64_t *ret_time_ns)
{
	sqlite3_stmt *statement;
	int r = store_statement(store, query, &statement);

	if (r)
		return r;
	int rc = sqlite3_step(statement);
	r = store_result(store, rc);
	if (rc == SQLITE_ROW) {
		*ret_seq = sqlite3_column_int64(statement, 0);
		*ret_time_ns = sqlite3_column_int64(statement, 1);
	} else if (!r) {
		r = STORE_ABSENT;
	}
	store_reset(statement);
	return r;
}

int store_oldest_journal(struct store *store, int64_t *ret_seq, int64_t *ret_time_ns)
{
	return journal_end(store, QUERY_OLDEST_JOURNAL, ret_seq, ret_time_ns);
}

int store_newest_journal(struct store *store, int64_t *ret_seq, int64_t *ret_time_ns)
{
	return journal_end(store, QUERY_NEWEST_JOURNAL, ret_seq, ret_time_ns);
}

int store_last_journal(struct store *store, int64_t time_s, int64_t *ret_seq)
{
	const int64_t ns = 1000000000;
	sqlite3_stmt *statement;
	int64_t from_ns;
	int r = store_statement(store, QUERY_LAST_JOURNAL, &statement);

	if (r)
		return r;
	if (__builtin_mul_overflow(time_s, ns, &from_ns) || from_ns > INT64_MAX - ns)
		return STORE_ABSENT;
	sqlite3_bind_int64(statement, 1, from_ns);
	sqlite3_bind_int64(statement, 2, from_ns + ns);
	return store_step_number(store, statement, ret_seq);
}

int store_delete_journal(struct store *store, int64_t minute, int64_t last_seq)
{
	sqlite3_stmt *statement;
	int r = store_statement(store, QUERY_DELETE_JOURNAL, &statement);

	if (r)
		return r;
	sqlite3_bind_int64(statement, 1, minute_ns(minute));
	sqlite3_bind_int64(statement, 2, minute_ns(minute + 1));
	sqlite3_bind_int64(statement, 3, last_seq);
	return store_done(store, statement);
}

int store_put_minute(struct store *store, int64_t subject, int64_t minute, const void *blob, size_t len)
{
	sqlite3_stmt *statement;
	int r = store_statement(store, QUERY_PUT_MINUTE, &statement);

	if (r)
		return r;
	sqlite3_bind_int64(statement, 1, subject);
	sqlite3_bind_int64(statement, 2, minute);
	sqlite3_bind_blob64(statement, 3, blob, len, SQLITE_STATIC);
	r = store_done(store, statement);
	if (!r)
		store_count(store, LEVEL_SECONDS, 1, (int64_t)len + MINUTE_HEAD_BYTES, 0);
	return r;
}

int store_has_minute(struct store *store, int64_t minute)
{
	int64_t one;
	return store_number_of(store, QUERY_HAS_MINUTE, minute, &one);
}

int store_has_unit(struct store *store, int64_t minute)
{
	int64_t one;
	return store_number_of(store, QUERY_HAS_UNIT, minute, &one);
}

int store_each_minute(
	struct store *store, int64_t subject, int64_t from, int64_t to, store_minute_fn *fn, void *ctx)
{
	sqlite3_stmt *statement;
	int r = store_statement(store, QUERY_EACH_MINUTE, &statement);
	int rc;

	if (r)
		return r;
	sqlite3_bind_int64(statement, 1, subject);
	sqlite3_bind_int64(statement, 2, from);
	sqlite3_bind_int64(statement, 3, to);
	while (!r && (rc = sqlite3_step(statement)) != SQLITE_DONE) {
		r = store_result(store, rc);
		if (!r)
			r = fn(ctx, sqlite3_column_int64(statement, 0), sqlite3_column_blob(statement, 1),
				(size_t)sqlite3_column_bytes(statement, 1));
	}
	store_reset(statement);
	return r;
}

int store_each_of_minute(struct store *store, int64_t minute, store_of_minute_fn *fn, void *ctx)
{
	sqlite3_stmt *statement;
	int r = store_statement(store, QUERY_EACH_OF_MINUTE, &statement);
	int rc;

	if (r)
		return r;
	sqlite3_bind_int64(statement, 1, minute);
	while (!r && (rc = sqlite3_step(statement)) != SQLITE_DONE) {
		r = store_result(store, rc);
		if (!r)
			r = fn(ctx, sqlite3_column_int64(statement, 0), sqlite3_column_blob(statement, 1),
				(size_t)sqlite3_column_bytes(statement, 1));
	}
	store_reset(statement);
	return r;
}
