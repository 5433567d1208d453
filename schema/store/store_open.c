/* SPDX-License-Identifier: MIT */
/*
 * Opening, closing and setting aside. The writer's rules make a reader possible that may write neither the
 * files nor their folder, at any time: while the writer lives, after its clean close and after its kill -9.
 * For that the -wal and -shm stay when the writer closes, and all three have the same owner and mode.
 */
#include "schema/store/store_conn.h"
#include "queries.h"
#include "schema/base/buf.h"
#include "schema/base/cleanup.h"
#include "schema/base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

_Static_assert((int)STORE_VERSION == (int)N_MIGRATIONS, "a migration without its version");

enum {
	READER_WAITS_MS = 20,
	CHECK_MS = 2000,
};

static const char *const suffixes[] = { "", "-wal", "-shm" };
enum { N_SUFFIXES = sizeof(suffixes) / sizeof(suffixes[0]) };

static int store_new(const char *state_dir, struct store **ret_store)
{
	struct store *store = calloc(1, sizeof(*store));

	if (!store)
		return -ENOMEM;
	store->lock_fd = -1;
	level_columns_init(&store->columns[0], &system_metrics);
	level_columns_init(&store->columns[1], &process_metrics);
	store->state_dir = strdup(state_dir);
	store->statement = calloc(N_QUERIES, sizeof(sqlite3_stmt *));
	if (!store->state_dir || !store->statement ||
		asprintf(&store->path, "%s/" STORE_FILE, state_dir) < 0) {
		store->path = NULL;
		store_close(store);
		return -ENOMEM;
	}
	*ret_store = store;
	return 0;
}

void store_disconnect(struct store *store)
{
	for (unsigned i = 0; store->statement && i < N_QUERIES; i++) {
		sqlite3_finalize(store->statement[i]);
		store->statement[i] = NULL;
	}
	sqlite3_close(store->db);
	store->db = NULL;
	store->snapshots = 0;
}

static int set_closed(struct store *store, int closed)
{
	sqlite3_stmt *statement;
	int r = store_statement(store, QUERY_PUT_CLOSED, &statement);

	if (r)
		return r;
	sqlite3_bind_int(statement, 1, closed);
	return store_done(store, statement);
}

static void close_in_order(struct store *store)
{
	if (store_in_place(store))
		return;
	set_closed(store, 1);
	store_shorten_wal(store);
}

void store_close(struct store *store)
{
	if (!store)
		return;
	if (store->db) {
		store_rollback(store);
		if (store->lock_fd >= 0)
			close_in_order(store);
	}
	store_disconnect(store);
	close_fd(&store->lock_fd);
	free(store->statement);
	free(store->path);
	free(store->state_dir);
	free(store);
}

static const char *outcome_text(int outcome)
{
	switch (outcome) {
	case STORE_ABSENT:
		return "there is none";
	case STORE_DAMAGED:
		return "it is damaged";
	case STORE_NEWER:
		return "a later version of memfs wrote it";
	case STORE_FULL:
		return "no space is left, or a limit on files is reached";
	case STORE_READ_ONLY:
		return "it cannot be written";
	case STORE_BUSY:
		return "another writer holds it";
	case STORE_OLDER:
		return "an earlier version of memfs wrote it; the collector brings it up to date when it starts";
	default:
		return outcome < 0 ? strerrordesc_np(-outcome) : "";
	}
}

/* Tells why, once, and passes the outcome on. */
static int refuse(struct store *store, int outcome, struct err *err)
{
	int code = outcome < 0                  ? -outcome
		   : outcome == STORE_FULL      ? ENOSPC
		   : outcome == STORE_READ_ONLY ? EROFS
		   : outcome == STORE_BUSY      ? EBUSY
		   : outcome == STORE_ABSENT    ? ENOENT
						: EIO;

	err_set(err, code, "history %s: %s", store->path, outcome_text(outcome));
	return outcome;
}

/* An empty file is new. What has tables and not our number is somebody else's. */
static int version_check(struct store *store, int64_t *ret_version)
{
	int64_t version, id, tables;
	int r = store_number(store, QUERY_VERSION, &version);

	if (!r)
		r = store_number(store, QUERY_APPLICATION_ID, &id);
	if (!r)
		r = store_number(store, QUERY_TABLES, &tables);
	if (r)
		return r;
	if (tables && id != STORE_APPLICATION_ID)
		return STORE_DAMAGED;
	if (version > STORE_VERSION)
		return STORE_NEWER;
	*ret_version = tables ? version : 0;
	return STORE_OK;
}

/* --- reader --- */

/* A path as the file: URI that sqlite3 wants. */
static void put_uri(struct buf *buf, const char *path)
{
	buf_puts(buf, "file:");
	for (; *path; path++) {
		if (strchr("%?#", *path))
			buf_printf(buf, "%%%02x", (unsigned char)*path);
		else
			buf_putc(buf, *path);
	}
	/* readonly_shm: root, too, reads without leaving anything behind. */
	buf_puts(buf, "?mode=ro&readonly_shm=1");
	buf_putc(buf, '\0');
}

int store_connect_reader(struct store *store, struct err *err)
{
	CLEANUP_BUF struct buf uri = BUF_INIT;
	int64_t version;
	int r;

	put_uri(&uri, store->path);
	if (buf_error(&uri))
		return -ENOMEM;
	r = store_result(store,
		sqlite3_open_v2(uri.data, &store->db,
			SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
			NULL));
	if (!r) {
		sqlite3_busy_timeout(store->db, READER_WAITS_MS);
		r = store_run(store, QUERY_SETUP_READER);
	}
	if (!r)
		r = version_check(store, &version);
	if (!r && version == 0)
		r = STORE_ABSENT;
	if (!r && version < STORE_VERSION)
		r = STORE_OLDER;
	/* No right to the file, or a database without the -wal and -shm of a first writer: nothing to be
	 * read. */
	if (r == STORE_READ_ONLY)
		r = STORE_ABSENT;
	if (r) {
		refuse(store, r, err);
		store_disconnect(store);
	}
	return r;
}

int store_open_reader(const char *state_dir, struct store **ret_store, struct err *err)
{
	struct store *store;
	int r = store_new(state_dir, &store);

	if (r)
		return err_set(err, -r, "out of memory");
	r = store_connect_reader(store, err);
	if (r)
		store_close(store);
	else
		*ret_store = store;
	return r;
}

/* --- writer --- */

/*
 * Makes the file before sqlite3 does, for its mode and group; sqlite3 gives the same to -wal and -shm. What a
 * deleted database left of these belongs to no one and goes.
 */
static int create_file(int dir_fd)
{
	CLEANUP_CLOSE int fd =
		openat(dir_fd, STORE_FILE, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0640);
	struct stat dir;

	if (fd < 0 && errno == EEXIST)
		return STORE_OK;
	if (fd < 0)
		return -errno;
	for (unsigned i = 1; i < N_SUFFIXES; i++) {
		char name[64];
		snprintf(name, sizeof(name), STORE_FILE "%s", suffixes[i]);
		unlinkat(dir_fd, name, 0);
	}
	/* The group is a convenience for readers: whoever may not give it keeps a history all the same. */
	if (fstat(dir_fd, &dir) || fchmod(fd, 0640) || (fchown(fd, (uid_t)-1, dir.st_gid) && errno != EPERM))
		return -errno;
	return STORE_OK;
}

/* -wal and -shm as the database is: sqlite3 cares for the mode always, for owner and group only as root. */
static void align_rights(int dir_fd)
{
	struct stat db;

	if (fstatat(dir_fd, STORE_FILE, &db, AT_SYMLINK_NOFOLLOW))
		return;
	for (unsigned i = 1; i < N_SUFFIXES; i++) {
		char name[64];
		struct stat st;

		snprintf(name, sizeof(name), STORE_FILE "%s", suffixes[i]);
		if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) || !S_ISREG(st.st_mode))
			continue;
		if ((st.st_gid != db.st_gid || st.st_uid != db.st_uid) &&
			fchownat(dir_fd, name, db.st_uid, db.st_gid, AT_SYMLINK_NOFOLLOW))
			continue; /* sqlite3's rules stand */
		if ((st.st_mode & 0777) != (db.st_mode & 0777))
			fchmodat(dir_fd, name, db.st_mode & 0777, 0);
	}
}

static int check_is_late(void *ctx)
{
	return clock_monotonic_ns() > *(const int64_t *)ctx;
}

static int check_pages(struct store *store)
{
	int64_t deadline = clock_monotonic_ns() + CHECK_MS * INT64_C(1000000);
	sqlite3_stmt *statement;
	int r = store_statement(store, QUERY_QUICK_CHECK, &statement);

	if (r)
		return r;
	sqlite3_progress_handler(store->db, 10000, check_is_late, &deadline);
	int rc = sqlite3_step(statement);
	if (rc == SQLITE_ROW)
		r = strcmp((const char *)sqlite3_column_text(statement, 0), "ok") ? STORE_DAMAGED : STORE_OK;
	else if (rc != SQLITE_INTERRUPT)
		r = store_result(store, rc);
	store_reset(statement);
	sqlite3_progress_handler(store->db, 0, NULL, NULL);
	return r;
}

static int migrate(struct store *store, int64_t version)
{
	int r = store_run(store, QUERY_BEGIN);

	for (int64_t i = version; !r && i < N_MIGRATIONS; i++)
		r = store_run_text(store, migration_text[i]);
	if (!r)
		r = store_commit(store);
	if (r)
		store_rollback(store);
	return r;
}

static int connect_writer(struct store *store)
{
	int64_t version, closed;
	int persist = 1;
	int r = store_result(
		store, sqlite3_open_v2(store->path, &store->db,
			       SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL));

	if (r)
		return r;
	sqlite3_busy_timeout(store->db, WRITER_WAITS_MS);
	r = store_result(store, sqlite3_file_control(store->db, NULL, SQLITE_FCNTL_PERSIST_WAL, &persist));
	if (!r)
		r = store_run(store, QUERY_SETUP_VACUUM);
	if (!r)
		r = version_check(store, &version);
	if (!r)
		r = store_run(store, QUERY_SETUP_WAL);
	if (!r)
		r = store_run(store, QUERY_SETUP_SYNC);
	if (!r)
		r = store_run(store, QUERY_SETUP_WAL_LIMIT);
	if (!r && version < STORE_VERSION)
		r = migrate(store, version);
	if (!r)
		r = store_add_columns(store);
	if (!r)
		r = store_number(store, QUERY_GET_CLOSED, &closed);
	if (r == STORE_ABSENT)
		r = STORE_DAMAGED; /* the one row of `state` is gone */
	if (!r && !closed)
		r = check_pages(store);
	if (!r)
		r = set_closed(store, 0);
	/* A read after the first write leaves a mark in the index of the WAL that readers without write
	 * permission need. */
	if (!r)
		r = store_number(store, QUERY_GET_CLOSED, &closed);
	return r;
}

int store_open_writer(const char *state_dir, struct store **ret_store, struct err *err)
{
	struct store *store;
	int r = store_new(state_dir, &store);

	if (r)
		return err_set(err, -r, "out of memory");
	store->lock_fd = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (store->lock_fd < 0)
		r = -errno;
	else if (flock(store->lock_fd, LOCK_EX | LOCK_NB))
		r = errno == EWOULDBLOCK ? STORE_BUSY : -errno;
	if (!r)
		r = create_file(store->lock_fd);
	if (r == -EACCES || r == -EPERM || r == -EROFS)
		r = STORE_READ_ONLY;
	else if (r == -ENOSPC || r == -EDQUOT)
		r = STORE_FULL;
	if (!r)
		r = connect_writer(store);
	if (!r) {
		align_rights(store->lock_fd);
		*ret_store = store;
		return STORE_OK;
	}
	refuse(store, r, err);
	/* Not store_close(): a file that was refused is left as it is. */
	store_disconnect(store);
	close_fd(&store->lock_fd);
	store_close(store);
	return r;
}

int store_set_aside(const char *state_dir, char *ret_name, size_t cap)
{
	CLEANUP_CLOSE int dir_fd = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	time_t now = time(NULL);
	struct tm tm;
	char stamp[32], name[96];

	if (dir_fd < 0)
		return -errno;
	gmtime_r(&now, &tm);
	strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &tm);
	for (unsigned n = 0;; n++) {
		if (n == 0)
			snprintf(name, sizeof(name), STORE_FILE ".damaged-%s", stamp);
		else
			snprintf(name, sizeof(name), STORE_FILE ".damaged-%s.%u", stamp, n);
		if (!renameat2(dir_fd, STORE_FILE, dir_fd, name, RENAME_NOREPLACE))
			break;
		if (errno != EEXIST || n == 100)
			return -errno;
	}
	for (unsigned i = 1; i < N_SUFFIXES; i++) {
		char from[64], to[112];
		snprintf(from, sizeof(from), STORE_FILE "%s", suffixes[i]);
		snprintf(to, sizeof(to), "%s%s", name, suffixes[i]);
		if (renameat(dir_fd, from, dir_fd, to) && errno != ENOENT)
			return -errno;
	}
	if ((size_t)snprintf(ret_name, cap, "%s", name) >= cap)
		return -ENAMETOOLONG;
	return 0;
}
