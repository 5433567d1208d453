/* SPDX-License-Identifier: MIT */
/* A database of an earlier version, with what it has: read as before, and on every level. */
#include <sqlite3.h>

#include <fcntl.h>
#include <unistd.h>

#include "schema/history/history.h"
#include "schema/history/pack.h"
#include "tests/unit/store_world.h"

enum { FIRST = 28333380 /* a minute that begins an hour */, MINUTES = 130 };

static void run(sqlite3 *db, const char *sql)
{
	char *why = NULL;

	if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK)
		fail_msg("%s", why);
}

/* What version 1 made of samples of `subject` in every second of a minute: column 0 counts them. */
static void put_packed(sqlite3 *db, int subject, int64_t number)
{
	struct pack_minute minute;
	struct buf blob = BUF_INIT;
	sqlite3_stmt *statement;

	pack_minute_init(&minute, 1);
	for (unsigned s = 0; s < PACK_SECONDS; s++) {
		uint64_t value = (uint64_t)(number - FIRST) * 60 + s;
		pack_minute_set(&minute, s, 1, &value);
	}
	pack_minute_encode(&blob, &minute);
	assert_int_equal(
		sqlite3_prepare_v2(db, "INSERT INTO minute VALUES (?1, ?2, ?3)", -1, &statement, NULL),
		SQLITE_OK);
	sqlite3_bind_int(statement, 1, subject);
	sqlite3_bind_int64(statement, 2, number);
	sqlite3_bind_blob(statement, 3, blob.data, (int)blob.len, SQLITE_STATIC);
	assert_int_equal(sqlite3_step(statement), SQLITE_DONE);
	sqlite3_finalize(statement);
	buf_deinit(&blob);
}

/* Left open: with its -wal a reader can read it. */
static sqlite3 *make_version_1(const struct scratch *scratch)
{
	char path[128], schema[8192];
	sqlite3 *db;
	int fd = open(FIXTURES "/../../schema/store/001-initial.sql", O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, schema, sizeof(schema) - 1);

	assert_true(n > 1000 && n < (ssize_t)sizeof(schema) - 1);
	schema[n] = '\0';
	close(fd);
	scratch_join(scratch, STORE_FILE, path, sizeof(path));
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	run(db, "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL");
	run(db, schema);
	run(db, "INSERT INTO boot VALUES (1, 'aaaa', 1600000000)");
	run(db, "INSERT INTO subject VALUES (1, 1, 10, 99, 7, 1600000100, 0, 'sh')");
	run(db, "INSERT INTO setting VALUES ('history_days', '12')");
	for (int64_t minute = FIRST; minute < FIRST + MINUTES; minute++) {
		put_packed(db, 0, minute);
		if (minute != FIRST + 7)
			put_packed(db, 1, minute);
	}
	return db;
}

struct seen {
	unsigned n;
	int64_t last_s;
	struct history_point point; /* the last */
	uint64_t value, max;
};

static int on_point(void *ctx, const struct history_point *point)
{
	struct seen *seen = ctx;

	assert_true(!seen->n || point->time_s > seen->last_s);
	seen->n++;
	seen->last_s = point->time_s;
	seen->point = *point;
	seen->value = point->value[0];
	seen->max = point->max[0];
	return 0;
}

static struct seen read_level(struct store *store, int64_t subject, enum level level)
{
	struct seen seen = { 0 };

	assert_int_equal(
		history_each(store, subject, level, INT64_MIN, INT64_MAX, on_point, &seen), STORE_OK);
	return seen;
}

static void version_1_is_brought_up_to_date(void **state)
{
	struct scratch *scratch = *state;
	struct store *store;
	struct err err = { 0 };
	int64_t bytes[N_LEVELS], subject;

	sqlite3 *db = make_version_1(scratch);
	assert_int_equal(store_open_reader(scratch->path, &store, &err), STORE_OLDER);
	assert_non_null(strstr(err.reason, "an earlier version"));
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	for (int round = 0; round < 2; round++) {
		store = writer(scratch);
		struct seen seen = read_level(store, 0, LEVEL_SECONDS);
		assert_int_equal(seen.n, MINUTES * 60);
		seen = read_level(store, 0, LEVEL_MINUTES);
		assert_int_equal(seen.n, MINUTES);
		assert_int_equal(seen.value, (MINUTES - 1) * 60 + 29);
		assert_int_equal(seen.max, MINUTES * 60 - 1);
		assert_int_equal(seen.point.samples, 60);
		seen = read_level(store, 0, LEVEL_HOURS);
		assert_int_equal(seen.n, 3);
		assert_int_equal(seen.last_s, (FIRST + 120) * 60);
		assert_int_equal(seen.point.samples, 600);
		assert_int_equal(store_find_subject(store, 10, 99, &subject), STORE_OK);
		assert_int_equal(read_level(store, subject, LEVEL_MINUTES).n, MINUTES - 1);
		assert_int_equal(store_level_bytes(store, bytes), STORE_OK);
		assert_true(bytes[LEVEL_SECONDS] > MINUTES * 2 * 12 && !bytes[LEVEL_MINUTES]);
		if (store_check(store, &err))
			fail_msg("%s", err.reason);
		store_close(store);
	}
	assert_int_equal(store_open_reader(scratch->path, &store, NULL), STORE_OK);
	assert_int_equal(read_level(store, 1, LEVEL_HOURS).n, 3);
	store_close(store);
}

/* A metric that is new gets its columns without a migration. */
static void a_column_that_is_missing_is_added(void **state)
{
	struct scratch *scratch = *state;
	struct store_unit unit = { .unit = FIRST, .since = FIRST, .row = { .samples = 60, .present = 1 } };
	char path[128];
	sqlite3 *db;
	struct store *store = writer(scratch);

	unit.row.value[0] = unit.row.max[0] = 5;
	assert_int_equal(store_put_level(store, LEVEL_MINUTES, 0, &unit), STORE_OK);
	store_close(store);
	scratch_join(scratch, STORE_FILE, path, sizeof(path));
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	run(db, "ALTER TABLE node_minute DROP COLUMN slab_avg; ALTER TABLE process_hour DROP COLUMN rss_max");
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
	store = writer(scratch);
	struct seen seen = read_level(store, 0, LEVEL_MINUTES);
	assert_int_equal(seen.n, 1);
	assert_int_equal(seen.value, 5);
	assert_true(seen.point.present == 1);
	store_close(store);
	store_close(writer(scratch));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(version_1_is_brought_up_to_date),
		TEST(a_column_that_is_missing_is_added),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
