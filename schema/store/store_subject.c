/* SPDX-License-Identifier: MIT */
/* Boots, subjects, settings and the names of columns. */
#include "schema/store/store_conn.h"
#include "queries.h"

int store_put_boot(struct store *store, const char *boot_uuid, int64_t boot_s, int64_t *ret_boot)
{
	sqlite3_stmt *statement;
	int64_t boot = 0;
	int r = store_statement(store, QUERY_PUT_BOOT, &statement);

	if (r)
		return r;
	sqlite3_bind_text(statement, 1, boot_uuid, -1, SQLITE_STATIC);
	sqlite3_bind_int64(statement, 2, boot_s);
	r = store_step_number(store, statement, &boot);
	if (!r)
		r = store_statement(store, QUERY_END_EARLIER_BOOTS, &statement);
	if (r)
		return r;
	sqlite3_bind_int64(statement, 1, boot);
	sqlite3_bind_int64(statement, 2, boot_s > 0 ? boot_s : 1);
	r = store_done(store, statement);
	if (!r)
		*ret_boot = boot;
	return r;
}

int store_put_subject(struct store *store, const struct store_subject *subject, int64_t *ret_id)
{
	sqlite3_stmt *statement;
	int r = store_statement(store, QUERY_PUT_SUBJECT, &statement);

	if (r)
		return r;
	sqlite3_bind_int64(statement, 1, subject->boot);
	sqlite3_bind_int64(statement, 2, subject->pid);
	sqlite3_bind_int64(statement, 3, (int64_t)subject->start_ticks);
	sqlite3_bind_int64(statement, 4, subject->uid);
	sqlite3_bind_int64(statement, 5, subject->start_s);
	sqlite3_bind_int64(statement, 6, subject->end_s);
	sqlite3_bind_text(statement, 7, subject->comm, -1, SQLITE_STATIC);
	return store_step_number(store, statement, ret_id);
}

int store_end_subject(struct store *store, int64_t id, int64_t end_s)
{
	sqlite3_stmt *statement;
	int r = store_statement(store, QUERY_END_SUBJECT, &statement);

	if (r)
		return r;
	sqlite3_bind_int64(statement, 1, id);
	sqlite3_bind_int64(statement, 2, end_s);
	return store_done(store, statement);
}

int store_rename_subject(struct store *store, int64_t id, const char *comm, uint32_t uid)
{
	sqlite3_stmt *statement;
	int r = store_statement(store, QUERY_RENAME_SUBJECT, &statement);

	if (r)
		return r;
	sqlite3_bind_int64(statement, 1, id);
	sqlite3_bind_text(statement, 2, comm, -1, SQLITE_STATIC);
	sqlite3_bind_int64(statement, 3, uid);
	return store_done(store, statement);
}

int store_find_subject(struct store *store, uint32_t pid, uint64_t start_ticks, int64_t *ret_id)
{
	sqlite3_stmt *statement;
	int r = store_statement(store, QUERY_FIND_SUBJECT, &statement);

	if (r)
		return r;
	sqlite3_bind_int64(statement, 1, pid);
	sqlite3_bind_int64(statement, 2, (int64_t)start_ticks);
	return store_step_number(store, statement, ret_id);
}

static int hand_out(sqlite3_stmt *statement, store_subject_fn *fn, void *ctx)
{
	struct store_subject subject = {
		.id = sqlite3_column_int64(statement, 0),
		.boot = sqlite3_column_int64(statement, 1),
		.pid = (uint32_t)sqlite3_column_int64(statement, 2),
		.uid = (uint32_t)sqlite3_column_int64(statement, 3),
		.start_ticks = (uint64_t)sqlite3_column_int64(statement, 4),
		.start_s = sqlite3_column_int64(statement, 5),
		.end_s = sqlite3_column_int64(statement, 6),
		.comm = (const char *)sqlite3_column_text(statement, 7),
	};

	return subject.comm ? fn(ctx, &subject) : -ENOMEM;
}

/* Every row of a bound statement, which is given back. */
static int each(struct store *store, sqlite3_stmt *statement, store_subject_fn *fn, void *ctx)
{
	int r = 0, rc;

	while (!r && (rc = sqlite3_step(statement)) != SQLITE_DONE) {
		r = store_result(store, rc);
		if (!r)
			r = hand_out(statement, fn, ctx);
	}
	store_reset(statement);
	return r;
}

int store_each_open_subject(struct store *store, int64_t boot, store_subject_fn *fn, void *ctx)
{
	sqlite3_stmt *statement;
	int r = store_statement(store, QUERY_EACH_OPEN_SUBJECT, &statement);

	if (r)
		return r;
	sqlite3_bind_int64(statement, 1, boot);
	return each(store, statement, fn, ctx);
}

int store_each_subject(
	struct store *store, uint32_t pid, const char *comm, int64_t end_s, store_subject_fn *fn, void *ctx)
{
	sqlite3_stmt *statement;
	int r = store_statement(store, QUERY_EACH_SUBJECT, &statement);

	if (r)
		return r;
	if (pid)
		sqlite3_bind_int64(statement, 1, pid);
	if (comm)
		sqlite3_bind_text(statement, 2, comm, -1, SQLITE_STATIC);
	sqlite3_bind_int64(statement, 3, end_s);
	return each(store, statement, fn, ctx);
}

/* Rows that are passed over before it is cheaper to look the next one up. */
enum { LEAP_ROWS = 8 };

int store_each_subject_of(struct store *store, const int64_t *ids, size_t n, store_subject_fn *fn, void *ctx)
{
	sqlite3_stmt *statement;
	int r = store_statement(store, QUERY_EACH_SUBJECT_FROM, &statement), rc = SQLITE_ROW;
	unsigned passed = LEAP_ROWS;

	for (size_t i = 0; !r && i < n && rc != SQLITE_DONE;) {
		if (passed == LEAP_ROWS) {
			sqlite3_reset(statement);
			sqlite3_bind_int64(statement, 1, ids[i]);
			passed = 0;
		}
		rc = sqlite3_step(statement);
		r = store_result(store, rc);
		if (r || rc == SQLITE_DONE)
			break;
		int64_t id = sqlite3_column_int64(statement, 0);
		while (i < n && ids[i] < id)
			i++;
		if (i == n || ids[i] != id) {
			passed++;
			continue;
		}
		r = hand_out(statement, fn, ctx);
		passed = 0;
		i++;
	}
	store_reset(statement);
	return r;
}

int store_get_subject(struct store *store, int64_t id, store_subject_fn *fn, void *ctx)
{
	sqlite3_stmt *statement;
	int r = store_statement(store, QUERY_GET_SUBJECT, &statement);

	if (r)
		return r;
	sqlite3_bind_int64(statement, 1, id);
	int rc = sqlite3_step(statement);
	r = store_result(store, rc);
	if (rc == SQLITE_ROW)
		r = hand_out(statement, fn, ctx);
	else if (!r)
		r = STORE_ABSENT;
	store_reset(statement);
	return r;
}

int store_put_setting(struct store *store, const char *name, const char *value)
{
	return store_put_pair(store, QUERY_PUT_SETTING, name, value, -1);
}

int store_each_setting(struct store *store, store_pair_fn *fn, void *ctx)
{
	return store_each_pair(store, QUERY_EACH_SETTING, fn, ctx);
}

int store_put_metric(struct store *store, const char *scope, unsigned place, const char *name)
{
	sqlite3_stmt *statement;
	int r = store_statement(store, QUERY_PUT_METRIC, &statement);

	if (r)
		return r;
	sqlite3_bind_text(statement, 1, scope, -1, SQLITE_STATIC);
	sqlite3_bind_int64(statement, 2, place);
	sqlite3_bind_text(statement, 3, name, -1, SQLITE_STATIC);
	return store_done(store, statement);
}
