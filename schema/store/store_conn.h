/* SPDX-License-Identifier: MIT */
/* Inside the store: the connection and its statements, by their number in the generated queries.h. Included
 * by schema/store/ alone. */
#pragma once

#include <sqlite3.h>

#include "schema/base/buf.h"
#include "schema/store/store.h"

/* How long the writer waits for a person's sqlite3 shell; ticks queue meanwhile. */
enum { WRITER_WAITS_MS = 100 };

/* Rows and bytes that the transaction under way adds, and rows that it takes away. */
struct level_count {
	int64_t rows, bytes, gone;
};

struct store {
	sqlite3 *db;
	sqlite3_stmt **statement; /* of each enum store_query, prepared when first used */
	char *state_dir;
	char *path;
	int lock_fd; /* the directory, held by flock: one writer; -1 in a reader */
	unsigned snapshots;
	struct level_columns columns[2]; /* the node's, a process's */
	struct level_count count[N_LEVELS];
};

/* What a result of sqlite3 means: a store_outcome or -errno. */
int store_result(const struct store *store, int rc);

/* The statement, ready to be bound and stepped; store_done or store_reset gives it back. */
int store_statement(struct store *store, unsigned query, sqlite3_stmt **ret_statement);
void store_reset(sqlite3_stmt *statement);

/* Steps a statement that has at most one row, which is ignored, and gives it back. */
int store_done(struct store *store, sqlite3_stmt *statement);

/* Runs a statement without parameters. */
int store_run(struct store *store, unsigned query);

/* The first column of the first row, of a statement without parameters or with one; ABSENT where there is
 * none or it is NULL. */
int store_number(struct store *store, unsigned query, int64_t *ret_number);
int store_number_of(struct store *store, unsigned query, int64_t parameter, int64_t *ret_number);
int store_step_number(struct store *store, sqlite3_stmt *statement, int64_t *ret_number);

/* What has a name and a text: bound as the first two parameters (len -1: up to its NUL), and read back as the
 * first two columns. */
int store_put_pair(struct store *store, unsigned query, const char *name, const char *text, int len);
int store_each_pair(struct store *store, unsigned query, store_pair_fn *fn, void *ctx);

/* Runs SQL of several statements (a migration). */
int store_run_text(struct store *store, const char *sql);

/* Its SQL with the braces filled in: {node_names} {node_marks} {process_names} {process_marks} from
 * metrics.def, {table} and {column} as given. 0 or -ENOMEM. */
int store_expand(struct store *store, unsigned query, const char *table, const char *column, struct buf *out);

/* Adds what metrics.def has and the tables of the levels lack. */
int store_add_columns(struct store *store);

/* For what is put in or taken out within a transaction; written with its commit, forgotten with its rollback.
 */
void store_count(struct store *store, enum level level, int64_t rows, int64_t bytes, int64_t gone);
int store_write_counts(struct store *store);

/* OK, or ABSENT where the file at the path is no longer the one that is open. */
int store_in_place(struct store *store);

/* Opens and closes what a struct store holds but its path, its lock and itself. */
int store_connect_reader(struct store *store, struct err *err);
void store_disconnect(struct store *store);
