/* SPDX-License-Identifier: MIT */
/* Past events and notes. */
#include "schema/store/store_conn.h"
#include "queries.h"

int store_put_note(struct store *store, const char *name, const char *text, size_t len)
{
	return store_put_pair(store, QUERY_PUT_NOTE, name, text, (int)len);
}

int store_each_note(struct store *store, store_pair_fn *fn, void *ctx)
{
	return store_each_pair(store, QUERY_EACH_NOTE, fn, ctx);
}

int store_put_event(struct store *store, const struct store_event *event)
{
	sqlite3_stmt *statement;
	int r = store_statement(store, QUERY_PUT_EVENT, &statement);

	if (r)
		return r;
	sqlite3_bind_int64(statement, 1, (int64_t)event->seq);
	sqlite3_bind_int64(statement, 2, event->time_ns);
	sqlite3_bind_text(statement, 3, event->kind, -1, SQLITE_STATIC);
	sqlite3_bind_text(statement, 4, event->subject, -1, SQLITE_STATIC);
	sqlite3_bind_text(statement, 5, event->text, -1, SQLITE_STATIC);
	return store_done(store, statement);
}

int store_each_event(struct store *store, store_event_fn *fn, void *ctx)
{
	sqlite3_stmt *statement;
	int r = store_statement(store, QUERY_EACH_EVENT, &statement);
	int rc;

	if (r)
		return r;
	while (!r && (rc = sqlite3_step(statement)) != SQLITE_DONE) {
		r = store_result(store, rc);
		if (r)
			break;
		struct store_event event = {
			.seq = (uint64_t)sqlite3_column_int64(statement, 0),
			.time_ns = sqlite3_column_int64(statement, 1),
			.kind = (const char *)sqlite3_column_text(statement, 2),
			.subject = (const char *)sqlite3_column_text(statement, 3),
			.text = (const char *)sqlite3_column_text(statement, 4),
		};
		r = event.kind && event.subject && event.text ? fn(ctx, &event) : -ENOMEM;
	}
	store_reset(statement);
	return r;
}

int store_last_event(struct store *store, uint64_t *ret_seq)
{
	int64_t seq;
	int r = store_number(store, QUERY_LAST_EVENT, &seq);

	if (!r)
		*ret_seq = seq > 0 ? (uint64_t)seq : 0;
	return r;
}

int store_expire_events(struct store *store, int64_t keep, int64_t before_ns, int rows)
{
	sqlite3_stmt *statement;
	int r = store_statement(store, QUERY_EXPIRE_EVENTS, &statement);

	if (r)
		return r;
	sqlite3_bind_int64(statement, 1, keep);
	sqlite3_bind_int64(statement, 2, before_ns);
	sqlite3_bind_int(statement, 3, rows);
	return store_done(store, statement);
}
