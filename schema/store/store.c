/* SPDX-License-Identifier: MIT */
/* Statements, transactions and snapshots: what every noun of the store stands on. */
#include "schema/store/store_conn.h"
#include "queries.h"
#include "schema/base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static int system_result(int code)
{
	switch (code) {
	case ENOSPC:
	case EDQUOT:
	case EFBIG: /* RLIMIT_FSIZE */
		return STORE_FULL;
	case EACCES:
	case EPERM:
	case EROFS:
		return STORE_READ_ONLY;
	case ENOENT:
		return STORE_ABSENT;
	default:
		return code > 0 ? -code : -EIO;
	}
}

/*
 * The errno of the failed call, as far as sqlite3 remembers: by the time it looks at errno itself it may have
 * rolled back, so the files are asked too, the WAL first.
 */
static int last_errno(const struct store *store)
{
	int code = store->db ? sqlite3_system_errno(store->db) : EIO;
	sqlite3_file *wal = NULL;

	if (code || !store->db)
		return code;
	sqlite3_file_control(store->db, NULL, SQLITE_FCNTL_JOURNAL_POINTER, &wal);
	if (wal && wal->pMethods)
		wal->pMethods->xFileControl(wal, SQLITE_FCNTL_LAST_ERRNO, &code);
	if (!code)
		sqlite3_file_control(store->db, NULL, SQLITE_FCNTL_LAST_ERRNO, &code);
	return code;
}

int store_result(const struct store *store, int rc)
{
	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return STORE_OK;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return STORE_DAMAGED;
	case SQLITE_FULL:
		return STORE_FULL;
	case SQLITE_READONLY:
		/* A reader meets these while a writer that died has left the index of the WAL half-written.
		 */
		if (rc == SQLITE_READONLY_RECOVERY || rc == SQLITE_READONLY_CANTINIT)
			return STORE_BUSY;
		return rc == SQLITE_READONLY_DBMOVED ? STORE_ABSENT : STORE_READ_ONLY;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return STORE_BUSY;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_CANTOPEN:
	case SQLITE_IOERR:
		/* A page that is promised and not in the file: the file was cut. */
		if (rc == SQLITE_IOERR_SHORT_READ)
			return STORE_DAMAGED;
		if (rc == SQLITE_IOERR_NOMEM)
			return -ENOMEM;
		return system_result(last_errno(store));
	default:
		return -EIO;
	}
}

int store_statement(struct store *store, unsigned query, sqlite3_stmt **ret_statement)
{
	if (!store->statement[query]) {
		CLEANUP_BUF struct buf text = BUF_INIT;
		int e = store_expand(store, query, "", "", &text);

		if (e)
			return e;
		int rc = sqlite3_prepare_v3(
			store->db, text.data, -1, SQLITE_PREPARE_PERSISTENT, &store->statement[query], NULL);

		if (rc != SQLITE_OK) {
			int r = store_result(store, rc);
			return r ? r : -EIO;
		}
	}
	*ret_statement = store->statement[query];
	return STORE_OK;
}

void store_reset(sqlite3_stmt *statement)
{
	sqlite3_reset(statement);
	sqlite3_clear_bindings(statement);
}

int store_done(struct store *store, sqlite3_stmt *statement)
{
	int rc;

	while ((rc = sqlite3_step(statement)) == SQLITE_ROW)
		;
	int r = store_result(store, rc);
	store_reset(statement);
	return r;
}

int store_run(struct store *store, unsigned query)
{
	sqlite3_stmt *statement;
	int r = store_statement(store, query, &statement);

	return r ? r : store_done(store, statement);
}

int store_step_number(struct store *store, sqlite3_stmt *statement, int64_t *ret_number)
{
	int rc = sqlite3_step(statement);
	int r = store_result(store, rc);

	if (rc == SQLITE_ROW && sqlite3_column_type(statement, 0) != SQLITE_NULL) {
		*ret_number = sqlite3_column_int64(statement, 0);
		/* To the end: an INSERT with RETURNING is complete only then. */
		return store_done(store, statement);
	}
	store_reset(statement);
	return r ? r : STORE_ABSENT;
}

int store_number(struct store *store, unsigned query, int64_t *ret_number)
{
	sqlite3_stmt *statement;
	int r = store_statement(store, query, &statement);

	return r ? r : store_step_number(store, statement, ret_number);
}

int store_number_of(struct store *store, unsigned query, int64_t parameter, int64_t *ret_number)
{
	sqlite3_stmt *statement;
	int r = store_statement(store, query, &statement);

	if (r)
		return r;
	sqlite3_bind_int64(statement, 1, parameter);
	return store_step_number(store, statement, ret_number);
}

int store_put_pair(struct store *store, unsigned query, const char *name, const char *text, int len)
{
	sqlite3_stmt *statement;
	int r = store_statement(store, query, &statement);

	if (r)
		return r;
	sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC);
	sqlite3_bind_text(statement, 2, text, len, SQLITE_STATIC);
	return store_done(store, statement);
}

int store_each_pair(struct store *store, unsigned query, store_pair_fn *fn, void *ctx)
{
	sqlite3_stmt *statement;
	int r = store_statement(store, query, &statement);
	int rc;

	if (r)
		return r;
	while (!r && (rc = sqlite3_step(statement)) != SQLITE_DONE) {
		r = store_result(store, rc);
		if (!r) {
			const char *name = (const char *)sqlite3_column_text(statement, 0);
			const char *value = (const char *)sqlite3_column_text(statement, 1);
			r = name && value ? fn(ctx, name, value) : -ENOMEM;
		}
	}
	store_reset(statement);
	return r;
}

int store_run_text(struct store *store, const char *sql)
{
	return store_result(store, sqlite3_exec(store->db, sql, NULL, NULL, NULL));
}

int store_in_place(struct store *store)
{
	int moved = 0;
	int rc = sqlite3_file_control(store->db, NULL, SQLITE_FCNTL_HAS_MOVED, &moved);

	return rc != SQLITE_OK ? store_result(store, rc) : moved ? STORE_ABSENT : STORE_OK;
}

int store_begin(struct store *store)
{
	int r = store_in_place(store);

	return r ? r : store_run(store, QUERY_BEGIN);
}

int store_commit(struct store *store)
{
	int r = store_write_counts(store);

	return r ? r : store_run(store, QUERY_COMMIT);
}

void store_rollback(struct store *store)
{
	memset(store->count, 0, sizeof(store->count));
	/* Many failures have rolled back already. */
	if (!sqlite3_get_autocommit(store->db))
		store_run(store, QUERY_ROLLBACK);
}

/* BEGIN alone takes no snapshot: the first read does. */
static int snapshot_take(struct store *store)
{
	int64_t version;
	int r = store_run(store, QUERY_SNAPSHOT);

	if (r)
		return r;
	r = store_number(store, QUERY_VERSION, &version);
	if (r)
		store_rollback(store);
	return r;
}

int store_snapshot_begin(struct store *store)
{
	int r;

	if (store->snapshots) {
		store->snapshots++;
		return STORE_OK;
	}
	r = store->db ? store_in_place(store) : STORE_ABSENT;
	if (!r)
		r = snapshot_take(store);
	/* Replaced by a new one; or its writer died, and a fresh connection reads the WAL without its index.
	 */
	if ((r == STORE_ABSENT || r == STORE_BUSY) && store->lock_fd < 0) {
		store_disconnect(store);
		r = store_connect_reader(store, NULL);
		if (!r)
			r = snapshot_take(store);
	}
	if (!r)
		store->snapshots = 1;
	return r;
}

void store_snapshot_end(struct store *store)
{
	if (store->snapshots && --store->snapshots == 0)
		store_rollback(store);
}
