/* SPDX-License-Identifier: MIT */
/* Size, age and health of the database. */
#include "schema/store/store_conn.h"
#include "queries.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

int64_t store_wal_bytes(struct store *store)
{
	struct stat st;

	if (fstatat(store->lock_fd, STORE_FILE "-wal", &st, 0))
		return 0;
	return st.st_size;
}

int64_t store_bytes(struct store *store)
{
	struct stat st;

	/* By name: closing a descriptor of the file would drop sqlite3's locks on it. */
	if (fstatat(store->lock_fd, STORE_FILE, &st, 0))
		return 0;
	return st.st_size + store_wal_bytes(store);
}

int64_t store_used_bytes(struct store *store)
{
	int64_t pages, free_pages, size;

	if (store_number(store, QUERY_PAGE_COUNT, &pages) ||
		store_number(store, QUERY_FREE_PAGES, &free_pages) ||
		store_number(store, QUERY_PAGE_SIZE, &size))
		return -1;
	return (pages - free_pages) * size;
}

static int expire(struct store *store, unsigned query, int64_t before, int rows, int *ret_deleted)
{
	sqlite3_stmt *statement;
	int r = store_statement(store, query, &statement);

	if (r)
		return r;
	sqlite3_bind_int64(statement, 1, before);
	sqlite3_bind_int(statement, 2, rows);
	r = store_done(store, statement);
	if (!r)
		*ret_deleted = sqlite3_changes(store->db);
	return r;
}

int store_expire(struct store *store, enum level level, int64_t unit, int rows, int *ret_deleted)
{
	static const unsigned of_processes[] = { QUERY_EXPIRE_SECONDS, QUERY_EXPIRE_MINUTES,
		QUERY_EXPIRE_HOURS };
	static const unsigned of_node[] = { 0, QUERY_EXPIRE_NODE_MINUTES, QUERY_EXPIRE_NODE_HOURS };
	int deleted, more = 0;
	int r = store_begin(store);

	if (r)
		return r;
	r = expire(store, of_processes[level], unit, rows, &deleted);
	/* The node's last: without it nobody asks for the others. */
	if (!r && level != LEVEL_SECONDS && deleted < rows)
		r = expire(store, of_node[level], unit, rows - deleted, &more);
	if (!r) {
		store_count(store, level, 0, 0, deleted + more);
		r = store_commit(store);
	}
	if (r)
		store_rollback(store);
	else
		*ret_deleted = deleted + more;
	return r;
}

int store_expire_subjects(struct store *store, int64_t end_s, int rows, int *ret_deleted)
{
	int r = store_in_place(store);

	return r ? r : expire(store, QUERY_EXPIRE_ENDED_SUBJECTS, end_s, rows, ret_deleted);
}

int store_expire_unsampled(struct store *store, int64_t before_s, int rows, int64_t *end_s)
{
	sqlite3_stmt *statement;
	int64_t last_s;
	int r = store_in_place(store);

	if (!r)
		r = store_statement(store, QUERY_NEXT_ENDED, &statement);
	if (r)
		return r;
	sqlite3_bind_int64(statement, 1, *end_s);
	sqlite3_bind_int64(statement, 2, before_s);
	sqlite3_bind_int(statement, 3, rows);
	r = store_step_number(store, statement, &last_s);
	if (!r)
		r = store_statement(store, QUERY_EXPIRE_UNSAMPLED_SUBJECTS, &statement);
	if (r)
		return r;
	sqlite3_bind_int64(statement, 1, *end_s);
	sqlite3_bind_int64(statement, 2, last_s);
	r = store_done(store, statement);
	if (!r)
		*end_s = last_s;
	return r;
}

int store_tidy(struct store *store)
{
	return store_run(store, QUERY_VACUUM);
}

int store_shorten_wal(struct store *store)
{
	int rc;

	/* Without patience: a reader's snapshot may last as long as it likes. */
	sqlite3_busy_timeout(store->db, 0);
	rc = sqlite3_wal_checkpoint_v2(store->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	sqlite3_busy_timeout(store->db, WRITER_WAITS_MS);
	return (rc & 0xff) == SQLITE_BUSY ? STORE_OK : store_result(store, rc);
}

static int run_check(
	struct store *store, const char *name, const char *sql, const char *fine, struct err *err)
{
	sqlite3_stmt *statement;
	int rc = sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL);
	int r = store_result(store, rc);

	if (r)
		return r;
	rc = sqlite3_step(statement);
	r = store_result(store, rc);
	if (rc == SQLITE_ROW) {
		const char *text = (const char *)sqlite3_column_text(statement, 0);

		if (!fine || !text || strcmp(text, fine)) {
			err_set(err, EIO, "%s: %s", name, text ? text : "?");
			r = STORE_DAMAGED;
		}
	}
	sqlite3_finalize(statement);
	return r;
}

int store_check(struct store *store, struct err *err)
{
	int r = run_check(store, "quick_check", query_text[QUERY_QUICK_CHECK], "ok", err);

	for (unsigned i = 0; !r && i < N_CHECKS; i++)
		r = run_check(store, check_text[i].name, check_text[i].text, NULL, err);
	return r;
}
