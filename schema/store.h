/* SPDX-License-Identifier: MIT */
/*
 * The history database, and the only caller of sqlite3. One writer (the collector), any number of readers (serve
 * and the doors, without any right to write). Rows become structs here; no SQL is seen outside, and no SQL stands
 * in C: statements live in queries.sql, the schema in numbered migrations.
 *
 * Functions answer 0, a positive store_outcome, or -errno. The strings and blobs handed to callbacks live until
 * the callback returns; a callback that returns non-zero ends the walk, and the walk returns that value.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schema/base/err.h"

enum { STORE_VERSION = 1 }; /* PRAGMA user_version: the number of migrations */

enum store_outcome {
	STORE_OK = 0,
	STORE_ABSENT = 1,    /* no such row; for the open of a reader: no database yet */
	STORE_DAMAGED = 2,   /* not a database, or its pages are torn */
	STORE_NEWER = 3,     /* written by a later memfs: neither read nor set aside */
	STORE_FULL = 4,      /* no space on the device, or over the quota: nothing of the transaction is kept */
	STORE_READ_ONLY = 5, /* the directory or the file cannot be written */
	STORE_BUSY = 6,      /* another writer holds it */
};

struct store; /* a connection; one thread at a time */

/* Where in a state directory the database is. */
#define STORE_FILE "history.db"

/*
 * Opens for writing: creates the file 0640 with the directory's group, or migrates it in one transaction; WAL, persistent, so that
 * readers without write permission work after a clean close too. A quick integrity check runs on a database that
 * was not closed cleanly. Outcomes: OK DAMAGED NEWER FULL READ_ONLY BUSY, with the reason in err.
 */
int store_open_writer(const char *state_dir, struct store **ret_store, struct err *err);

/* Opens for reading. Outcomes: OK ABSENT DAMAGED NEWER. */
int store_open_reader(const char *state_dir, struct store **ret_store, struct err *err);
void store_close(struct store *store); /* takes NULL */

/*
 * Renames a damaged database with its -wal and -shm to history.db.damaged-<UTC time>, so that a new one can begin;
 * stores the new name. 0 or -errno.
 */
int store_set_aside(const char *state_dir, char *ret_name, size_t cap);

/* --- transactions (writer) --- */
int store_begin(struct store *store);
int store_commit(struct store *store);
void store_rollback(struct store *store);

/* --- subjects: the node (id 0) and every process that was ever sampled --- */
struct store_subject {
	int64_t id;
	int64_t boot;      /* id of the boot, from store_put_boot */
	uint32_t pid;
	uint32_t uid;
	uint64_t start_ticks;
	int64_t start_s;   /* epoch */
	int64_t end_s;     /* epoch; 0 while it lives or where its end was not seen */
	const char *comm;  /* escaped */
};
/* Finds or makes the row of a boot (its kernel-given uuid as text) and stores its id. */
int store_put_boot(struct store *store, const char *boot_uuid, int64_t boot_s, int64_t *ret_boot);
int store_put_subject(struct store *store, const struct store_subject *subject, int64_t *ret_id);
int store_end_subject(struct store *store, int64_t id, int64_t end_s);
int store_rename_subject(struct store *store, int64_t id, const char *comm, uint32_t uid);
/* The id of a process of the newest boot. OK or ABSENT. */
int store_find_subject(struct store *store, uint32_t pid, uint64_t start_ticks, int64_t *ret_id);

/* --- journal: one row a tick of the open minute --- */
typedef int store_journal_fn(void *ctx, int64_t time_ns, const void *blob, size_t len);
int store_put_journal(struct store *store, int64_t time_ns, const void *blob, size_t len);
int store_each_journal(struct store *store, int64_t from_ns, store_journal_fn *fn, void *ctx);
int store_delete_journal(struct store *store, int64_t before_ns);

/* --- packed minutes --- */
typedef int store_minute_fn(void *ctx, int64_t minute, const void *blob, size_t len);
/* minute = epoch seconds / 60. Replaces what was there. */
int store_put_minute(struct store *store, int64_t subject, int64_t minute, const void *blob, size_t len);
/* Ascending minutes in [from, to]. */
int store_each_minute(struct store *store, int64_t subject, int64_t from, int64_t to, store_minute_fn *fn, void *ctx);

/* --- settings --- */
typedef int store_setting_fn(void *ctx, const char *name, const char *value);
int store_put_setting(struct store *store, const char *name, const char *value);
int store_each_setting(struct store *store, store_setting_fn *fn, void *ctx);

/* --- upkeep (writer) --- */
/* Bytes of the database and its WAL on disk. */
int64_t store_bytes(struct store *store);
/* Deletes at most `rows` packed minutes older than `minute`, and subjects that have none left; stores how many rows went. */
int store_expire(struct store *store, int64_t minute, int rows, int *ret_deleted);
/* The oldest packed minute; ABSENT where there is none. */
int store_oldest_minute(struct store *store, int64_t *ret_minute);
/* Gives free pages back to the file system and shortens the WAL; bounded work. */
int store_tidy(struct store *store);

/* --- one consistent view for a reader over several calls --- */
int store_snapshot_begin(struct store *store);
void store_snapshot_end(struct store *store);
