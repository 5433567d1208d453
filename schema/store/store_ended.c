/* SPDX-License-Identifier: MIT */
/* What remains of processes that ended. */
#include "schema/store/store_conn.h"
#include "queries.h"

#include <errno.h>

/* NULL where it is not known. */
static void bind_known(
	sqlite3_stmt *statement, int at, const struct store_ended *ended, unsigned known, uint32_t number)
{
	if (ended->known & known)
		sqlite3_bind_int64(statement, at, number);
}

static void bind_text(sqlite3_stmt *statement, int at, const char *text)
{
	sqlite3_bind_text(statement, at, text, -1, SQLITE_STATIC); /* NULL stays NULL */
}

int store_put_ended(struct store *store, const struct store_ended *ended)
{
	sqlite3_stmt *statement;
	int r = store_statement(store, QUERY_PUT_ENDED, &statement);

	if (r)
		return r;
	sqlite3_bind_int64(statement, 1, ended->boot);
	sqlite3_bind_int64(statement, 2, ended->name.pid);
	sqlite3_bind_int64(statement, 3, (int64_t)ended->start_ticks);
	sqlite3_bind_int64(statement, 4, ended->start_ns);
	sqlite3_bind_int64(statement, 5, ended->end_ns);
	bind_text(statement, 6, ended->reason);
	sqlite3_bind_int(statement, 7, ended->brief);
	bind_text(statement, 8, ended->comm);
	bind_text(statement, 9, ended->args);
	bind_text(statement, 10, ended->state);
	bind_known(statement, 11, ended, STORE_ENDED_PPID, ended->ppid);
	bind_known(statement, 12, ended, STORE_ENDED_UID, ended->uid);
	bind_known(statement, 13, ended, STORE_ENDED_GID, ended->gid);
	bind_known(statement, 14, ended, STORE_ENDED_THREADS, ended->threads);
	bind_text(statement, 15, ended->stat);
	bind_text(statement, 16, ended->rate);
	return store_done(store, statement);
}

int store_put_ended_subject(struct store *store, int64_t subject, int64_t end_s)
{
	sqlite3_stmt *statement;
	int r = store_statement(store, QUERY_PUT_ENDED_SUBJECT, &statement);

	if (r)
		return r;
	sqlite3_bind_int64(statement, 1, subject);
	sqlite3_bind_int64(statement, 2, end_s);
	return store_done(store, statement);
}

static int expire(struct store *store, int brief, int64_t end_ns, int64_t rows, int *deleted)
{
	sqlite3_stmt *statement;
	int r = store_statement(store, QUERY_EXPIRE_ENDED, &statement);

	if (r)
		return r;
	sqlite3_bind_int(statement, 1, brief);
	sqlite3_bind_int64(statement, 2, end_ns);
	sqlite3_bind_int64(statement, 3, rows);
	r = store_done(store, statement);
	if (!r)
		*deleted += sqlite3_changes(store->db);
	return r;
}

int store_expire_ended(
	struct store *store, int64_t end_ns, const int64_t max[static 2], int rows, int *ret_deleted)
{
	int deleted = 0, r = 0;

	for (int brief = 0; !r && brief < 2; brief++) {
		int64_t n, excess;

		r = expire(store, brief, end_ns, rows, &deleted);
		if (!r)
			r = store_number_of(store, QUERY_COUNT_ENDED, brief, &n);
		if (r)
			break;
		excess = n - max[brief];
		if (excess > 0)
			r = expire(store, brief, INT64_MAX, excess < rows ? excess : rows, &deleted);
	}
	if (!r)
		*ret_deleted = deleted;
	return r;
}

static struct store_ended_name name_of(sqlite3_stmt *statement)
{
	return (struct store_ended_name) {
		.id = sqlite3_column_int64(statement, 0),
		.pid = (uint32_t)sqlite3_column_int64(statement, 1),
		.start_s = sqlite3_column_int64(statement, 2),
		.nth = (uint32_t)sqlite3_column_int64(statement, 3),
	};
}

int store_each_ended_name(struct store *store, int64_t after, int rows, store_ended_name_fn *fn, void *ctx)
{
	sqlite3_stmt *statement;
	int r = store_statement(store, QUERY_EACH_ENDED_NAME, &statement);
	int rc;

	if (r)
		return r;
	sqlite3_bind_int64(statement, 1, after);
	sqlite3_bind_int(statement, 2, rows);
	while (!r && (rc = sqlite3_step(statement)) != SQLITE_DONE) {
		r = store_result(store, rc);
		if (!r) {
			struct store_ended_name name = name_of(statement);
			r = fn(ctx, &name);
		}
	}
	store_reset(statement);
	return r;
}

int store_find_ended(struct store *store, const struct store_ended_name *name, int64_t *ret_id)
{
	sqlite3_stmt *statement;
	int r = store_statement(store, QUERY_FIND_ENDED, &statement);

	if (r)
		return r;
	sqlite3_bind_int64(statement, 1, name->pid);
	sqlite3_bind_int64(statement, 2, name->start_s);
	sqlite3_bind_int64(statement, 3, name->nth);
	return store_step_number(store, statement, ret_id);
}

static const char *text_of(sqlite3_stmt *statement, int column)
{
	return (const char *)sqlite3_column_text(statement, column);
}

static uint32_t known_of(sqlite3_stmt *statement, int column, unsigned known, struct store_ended *ended)
{
	if (sqlite3_column_type(statement, column) == SQLITE_NULL)
		return 0;
	ended->known |= known;
	return (uint32_t)sqlite3_column_int64(statement, column);
}

int store_get_ended(struct store *store, int64_t id, store_ended_fn *fn, void *ctx)
{
	sqlite3_stmt *statement;
	int r = store_statement(store, QUERY_GET_ENDED, &statement);

	if (r)
		return r;
	sqlite3_bind_int64(statement, 1, id);
	int rc = sqlite3_step(statement);
	r = store_result(store, rc);
	if (rc == SQLITE_ROW) {
		struct store_ended ended = {
			.name = name_of(statement),
			.start_ns = sqlite3_column_int64(statement, 4),
			.end_ns = sqlite3_column_int64(statement, 5),
			.reason = text_of(statement, 6),
			.comm = text_of(statement, 7),
			.args = text_of(statement, 8),
			.state = text_of(statement, 9),
			.subject = sqlite3_column_int64(statement, 14),
		};
		ended.ppid = known_of(statement, 10, STORE_ENDED_PPID, &ended);
		ended.uid = known_of(statement, 11, STORE_ENDED_UID, &ended);
		ended.gid = known_of(statement, 12, STORE_ENDED_GID, &ended);
		ended.threads = known_of(statement, 13, STORE_ENDED_THREADS, &ended);
		r = ended.reason ? fn(ctx, &ended) : -ENOMEM;
	} else if (!r) {
		r = STORE_ABSENT;
	}
	store_reset(statement);
	return r;
}

int store_each_ended_number(
	struct store *store, int64_t id, enum store_ended_numbers which, store_ended_number_fn *fn, void *ctx)
{
	sqlite3_stmt *statement;
	int r = store_statement(store,
		which == STORE_ENDED_VALUES ? QUERY_EACH_ENDED_VALUE : QUERY_EACH_ENDED_RATE, &statement);
	int rc;

	if (r)
		return r;
	sqlite3_bind_int64(statement, 1, id);
	while (!r && (rc = sqlite3_step(statement)) != SQLITE_DONE) {
		r = store_result(store, rc);
		if (!r) {
			const char *name = text_of(statement, 0);
			r = name ? fn(ctx, name, sqlite3_column_int64(statement, 1)) : -ENOMEM;
		}
	}
	store_reset(statement);
	return r;
}
