/* SPDX-License-Identifier: MIT */
/* What traced processes had: sites minute by minute, and all of it at their end. */
#include "schema/store/store_conn.h"
#include "queries.h"

int store_put_ended_leaks(struct store *store, const struct store_leaks *leaks)
{
	sqlite3_stmt *statement;
	int r = store_statement(store, QUERY_PUT_ENDED_LEAKS, &statement);

	if (r)
		return r;
	sqlite3_bind_int64(statement, 1, leaks->boot);
	sqlite3_bind_int64(statement, 2, leaks->pid);
	sqlite3_bind_int64(statement, 3, (int64_t)leaks->start_ticks);
	sqlite3_bind_int64(statement, 4, leaks->made_ns);
	sqlite3_bind_int64(statement, 5, leaks->end_ns);
	sqlite3_bind_int64(statement, 6, leaks->uid);
	sqlite3_bind_blob64(statement, 7, leaks->packed, leaks->len, SQLITE_STATIC);
	return store_done(store, statement);
}

int store_get_ended_leaks(struct store *store, int64_t ended, store_leaks_fn *fn, void *ctx)
{
	sqlite3_stmt *statement;
	int r = store_statement(store, QUERY_GET_ENDED_LEAKS, &statement);

	if (r)
		return r;
	sqlite3_bind_int64(statement, 1, ended);
	int rc = sqlite3_step(statement);
	r = store_result(store, rc);
	if (rc == SQLITE_ROW) {
		const struct store_leaks leaks = {
			.pid = (uint32_t)sqlite3_column_int64(statement, 0),
			.uid = (uint32_t)sqlite3_column_int64(statement, 1),
			.packed = sqlite3_column_blob(statement, 2),
			.len = (size_t)sqlite3_column_bytes(statement, 2),
		};
		r = leaks.packed ? fn(ctx, &leaks) : -ENOMEM;
	} else if (!r) {
		r = STORE_ABSENT;
	}
	store_reset(statement);
	return r;
}

int store_has_ended_leaks(struct store *store, int64_t ended, int64_t *ret_uid)
{
	return store_number_of(store, QUERY_HAS_ENDED_LEAKS, ended, ret_uid);
}

static int expire_ended(struct store *store, int64_t end_ns, int rows)
{
	sqlite3_stmt *statement;
	int r = store_statement(store, QUERY_EXPIRE_ENDED_LEAKS, &statement);

	if (r)
		return r;
	sqlite3_bind_int64(statement, 1, end_ns);
	sqlite3_bind_int(statement, 2, rows);
	return store_done(store, statement);
}

int store_expire_ended_leaks(struct store *store, int64_t end_ns, int64_t max_bytes)
{
	int64_t bytes = 0;
	int r = expire_ended(store, end_ns, 1000);

	while (!r && !(r = store_number(store, QUERY_ENDED_LEAKS_BYTES, &bytes)) && bytes > max_bytes)
		r = expire_ended(store, INT64_MAX, 1);
	return r;
}

static int put_site(struct store *store, const struct store_leak_minute *minute, int64_t *ret_site)
{
	sqlite3_stmt *statement;
	int r = store_statement(store, QUERY_PUT_LEAK_SITE, &statement);

	if (r)
		return r;
	/* An empty blob, not NULL. */
	sqlite3_bind_blob64(statement, 1, minute->build_id_len ? minute->build_id : "", minute->build_id_len,
		SQLITE_STATIC);
	sqlite3_bind_text(statement, 2, minute->module, -1, SQLITE_STATIC);
	sqlite3_bind_int64(statement, 3, (int64_t)minute->module_offset);
	sqlite3_bind_text(statement, 4, minute->symbol, -1, SQLITE_STATIC);
	sqlite3_bind_int64(statement, 5, minute->minute);
	return store_step_number(store, statement, ret_site);
}

int store_put_leak_minute(struct store *store, const struct store_leak_minute *minute)
{
	sqlite3_stmt *statement;
	int64_t site = 0;
	int r = put_site(store, minute, &site);

	if (!r)
		r = store_statement(store, QUERY_PUT_LEAK_MINUTE, &statement);
	if (r)
		return r;
	sqlite3_bind_int64(statement, 1, minute->boot);
	sqlite3_bind_int64(statement, 2, minute->pid);
	sqlite3_bind_int64(statement, 3, (int64_t)minute->start_ticks);
	sqlite3_bind_int64(statement, 4, site);
	sqlite3_bind_int64(statement, 5, minute->minute);
	sqlite3_bind_int64(statement, 6, (int64_t)minute->live_bytes);
	sqlite3_bind_int64(statement, 7, (int64_t)minute->live_blocks);
	sqlite3_bind_int64(statement, 8, (int64_t)minute->suspect_bytes);
	sqlite3_bind_int64(statement, 9, (int64_t)minute->suspect_blocks);
	return store_done(store, statement);
}

int store_expire_leak_minutes(struct store *store, int64_t minute, int64_t keep, int rows)
{
	sqlite3_stmt *statement;
	int r = store_statement(store, QUERY_EXPIRE_LEAK_MINUTES, &statement);

	if (r)
		return r;
	sqlite3_bind_int64(statement, 1, minute);
	sqlite3_bind_int64(statement, 2, keep);
	sqlite3_bind_int(statement, 3, rows);
	r = store_done(store, statement);
	return r ? r : store_run(store, QUERY_EXPIRE_LEAK_SITES);
}
