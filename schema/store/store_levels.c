/* SPDX-License-Identifier: MIT */
/* Minutes and hours: rows whose columns are those of metrics.def. */
#include "schema/store/store_conn.h"
#include "queries.h"
#include "schema/base/cleanup.h"

#include <errno.h>
#include <string.h>

/* --- columns --- */

/* One of a metric in the tables of the levels: NAME, or NAME_avg and NAME_max. */
typedef int column_fn(void *ctx, const char *name, const char *suffix);

static int each_column(const struct level_columns *columns, column_fn *fn, void *ctx)
{
	int r = 0;

	for (unsigned c = 0; !r && c < columns->n; c++) {
		const char *name = columns->list->rows[columns->metric[c]].name;

		if (columns->counters >> c & 1) {
			r = fn(ctx, name, "");
		} else {
			r = fn(ctx, name, "_avg");
			if (!r)
				r = fn(ctx, name, "_max");
		}
	}
	return r;
}

static int put_name(void *ctx, const char *name, const char *suffix)
{
	buf_printf(ctx, ", %s%s", name, suffix);
	return 0;
}

static int put_mark(void *ctx, const char *name, const char *suffix)
{
	buf_puts(ctx, ", ?");
	return 0;
}

static void expand(
	struct store *store, struct span word, const char *table, const char *column, struct buf *out)
{
	if (span_equals(word, "node_names"))
		each_column(&store->columns[0], put_name, out);
	else if (span_equals(word, "node_marks"))
		each_column(&store->columns[0], put_mark, out);
	else if (span_equals(word, "process_names"))
		each_column(&store->columns[1], put_name, out);
	else if (span_equals(word, "process_marks"))
		each_column(&store->columns[1], put_mark, out);
	else
		buf_puts(out, span_equals(word, "table") ? table : column);
}

int store_expand(struct store *store, unsigned query, const char *table, const char *column, struct buf *out)
{
	for (const char *at = query_text[query], *open; *at;) {
		open = strchrnul(at, '{');
		buf_put(out, at, (size_t)(open - at));
		at = open;
		if (*open) {
			at = strchr(open, '}');
			expand(store, (struct span) { open + 1, (size_t)(at - open - 1) }, table, column,
				out);
			at++;
		}
	}
	buf_putc(out, '\0');
	return buf_error(out);
}

struct adding {
	struct store *store;
	const char *table;
	struct buf there; /* "\nname\nname\n" */
};

static int add_column(void *ctx, const char *name, const char *suffix)
{
	struct adding *adding = ctx;
	CLEANUP_BUF struct buf text = BUF_INIT, line = BUF_INIT, column = BUF_INIT;

	buf_printf(&line, "\n%s%s\n", name, suffix);
	buf_printf(&column, "%s%s", name, suffix);
	buf_putc(&line, '\0');
	buf_putc(&column, '\0');
	if (buf_error(&line) || buf_error(&column))
		return -ENOMEM;
	if (strstr(adding->there.data, line.data))
		return 0;
	int r = store_expand(adding->store, QUERY_ADD_COLUMN, adding->table, column.data, &text);
	return r ? r : store_run_text(adding->store, text.data);
}

static int read_columns(struct adding *adding)
{
	sqlite3_stmt *statement;
	int r = store_statement(adding->store, QUERY_EACH_COLUMN, &statement), rc;

	if (r)
		return r;
	sqlite3_bind_text(statement, 1, adding->table, -1, SQLITE_STATIC);
	buf_putc(&adding->there, '\n');
	while (!r && (rc = sqlite3_step(statement)) != SQLITE_DONE) {
		r = store_result(adding->store, rc);
		if (!r)
			buf_printf(&adding->there, "%s\n", (const char *)sqlite3_column_text(statement, 0));
	}
	store_reset(statement);
	buf_putc(&adding->there, '\0');
	return r ? r : buf_error(&adding->there);
}

int store_add_columns(struct store *store)
{
	static const char *const tables[][2] = { { "node_minute", "node_hour" },
		{ "process_minute", "process_hour" } };
	int r = store_run(store, QUERY_BEGIN);

	for (int i = 0; !r && i < 4; i++) {
		struct adding adding = { .store = store, .table = tables[i / 2][i % 2] };

		r = read_columns(&adding);
		if (!r)
			r = each_column(&store->columns[i / 2], add_column, &adding);
		buf_deinit(&adding.there);
	}
	if (!r)
		r = store_commit(store);
	if (r)
		store_rollback(store);
	return r;
}

/* --- what a level takes --- */

/* What pages that are not full and indices add to rows; as measured by bench-pack. */
enum { LAYOUT_PERCENT = 60 };

void store_count(struct store *store, enum level level, int64_t rows, int64_t bytes, int64_t gone)
{
	store->count[level].rows += rows;
	store->count[level].bytes += bytes;
	store->count[level].gone += gone;
}

int store_write_counts(struct store *store)
{
	sqlite3_stmt *statement;
	int r = 0;

	for (int i = 0; !r && i < N_LEVELS; i++) {
		struct level_count *count = &store->count[i];

		if (!count->rows && !count->gone)
			continue;
		r = store_statement(store, QUERY_COUNT_LEVEL, &statement);
		if (r)
			break;
		sqlite3_bind_text(statement, 1, level_name[i], -1, SQLITE_STATIC);
		sqlite3_bind_int64(statement, 2, count->rows);
		sqlite3_bind_int64(statement, 3, count->bytes);
		sqlite3_bind_int64(statement, 4, count->gone);
		r = store_done(store, statement);
		*count = (struct level_count) { 0 };
	}
	return r;
}

int store_level_bytes(struct store *store, int64_t ret_bytes[N_LEVELS])
{
	int64_t bytes[N_LEVELS] = { 0 };
	sqlite3_stmt *statement;
	int r = store_statement(store, QUERY_EACH_LEVEL, &statement), rc;

	if (r)
		return r;
	while (!r && (rc = sqlite3_step(statement)) != SQLITE_DONE) {
		r = store_result(store, rc);
		const char *name = r ? NULL : (const char *)sqlite3_column_text(statement, 0);
		for (int i = 0; name && i < N_LEVELS; i++) {
			if (!strcmp(name, level_name[i]))
				bytes[i] = sqlite3_column_int64(statement, 2);
		}
	}
	store_reset(statement);
	for (int i = 0; !r && i < N_LEVELS; i++)
		ret_bytes[i] = bytes[i] + bytes[i] / 100 * LAYOUT_PERCENT;
	return r;
}

/* --- rows --- */

/* Bytes of an integer in a record. */
static int64_t record_bytes(int64_t value)
{
	uint64_t magnitude = (uint64_t)(value < 0 ? ~value : value);

	return 1 + (magnitude < 2                 ? 0
			   : magnitude < 1 << 7   ? 1
			   : magnitude < 1 << 15  ? 2
			   : magnitude < 1 << 23  ? 3
			   : magnitude < 1u << 31 ? 4
			   : magnitude >> 47 == 0 ? 6
						  : 8);
}

static int64_t bind_value(sqlite3_stmt *statement, int *at, bool present, uint64_t value)
{
	/* A place that is not bound is NULL. */
	if (!present) {
		++*at;
		return 1;
	}
	sqlite3_bind_int64(statement, (*at)++, (int64_t)value);
	return record_bytes((int64_t)value);
}

int store_put_level(struct store *store, enum level level, int64_t subject, const struct store_unit *unit)
{
	static const unsigned queries[N_LEVELS][2] = { { 0, 0 },
		{ QUERY_PUT_NODE_MINUTE, QUERY_PUT_PROCESS_MINUTE },
		{ QUERY_PUT_NODE_HOUR, QUERY_PUT_PROCESS_HOUR } };
	const struct level_columns *columns = &store->columns[subject != 0];
	const struct level_row *row = &unit->row;
	int64_t bytes = record_bytes(unit->unit) + (subject ? 3 * record_bytes(subject) : 0) + 12;
	sqlite3_stmt *statement;
	int at = 1;
	int r = store_statement(store, queries[level][subject != 0], &statement);

	if (r)
		return r;
	sqlite3_bind_int64(statement, at++, unit->unit);
	sqlite3_bind_int64(statement, at++, row->samples);
	sqlite3_bind_int64(statement, at++, subject ? row->ended : unit->since);
	if (subject)
		sqlite3_bind_int64(statement, at++, subject);
	for (unsigned c = 0; c < columns->n; c++) {
		bool present = row->present >> c & 1;

		bytes += bind_value(statement, &at, present, row->value[c]);
		if (!(columns->counters >> c & 1))
			bytes += bind_value(statement, &at, present, row->max[c]);
	}
	r = store_done(store, statement);
	if (!r)
		store_count(store, level, 1, bytes, 0);
	return r;
}

/* columns NULL: those of the row are not asked for. */
static void take_unit(
	sqlite3_stmt *statement, const struct level_columns *columns, struct store_unit *ret_unit)
{
	struct level_row *row = &ret_unit->row;
	int at = 3;

	ret_unit->unit = sqlite3_column_int64(statement, 0);
	row->samples = (unsigned)sqlite3_column_int64(statement, 1);
	ret_unit->since = sqlite3_column_int64(statement, 2);
	row->ended = ret_unit->since == 1;
	row->present = 0;
	for (unsigned c = 0; columns && c < columns->n; c++) {
		bool counts = columns->counters >> c & 1;

		if (sqlite3_column_type(statement, at) != SQLITE_NULL) {
			row->present |= UINT64_C(1) << c;
			row->value[c] = (uint64_t)sqlite3_column_int64(statement, at);
			row->max[c] =
				counts ? row->value[c] : (uint64_t)sqlite3_column_int64(statement, at + 1);
		}
		at += counts ? 1 : 2;
	}
}

static int each(struct store *store, unsigned query, const struct level_columns *columns, int64_t subject,
	int64_t from, int64_t to, store_level_fn *fn, void *ctx)
{
	struct store_unit unit;
	sqlite3_stmt *statement;
	int r = store_statement(store, query, &statement), rc;

	if (r)
		return r;
	sqlite3_bind_int64(statement, 1, from);
	sqlite3_bind_int64(statement, 2, to);
	if (subject)
		sqlite3_bind_int64(statement, 3, subject);
	while (!r && (rc = sqlite3_step(statement)) != SQLITE_DONE) {
		r = store_result(store, rc);
		if (r)
			break;
		take_unit(statement, columns, &unit);
		r = fn(ctx, &unit);
	}
	store_reset(statement);
	return r;
}

int store_each_level(struct store *store, enum level level, int64_t subject, int64_t from, int64_t to,
	store_level_fn *fn, void *ctx)
{
	static const unsigned queries[N_LEVELS][2] = { { 0, 0 },
		{ QUERY_EACH_NODE_MINUTE, QUERY_EACH_PROCESS_MINUTE },
		{ QUERY_EACH_NODE_HOUR, QUERY_EACH_PROCESS_HOUR } };

	return each(store, queries[level][subject != 0], &store->columns[subject != 0], subject, from, to, fn,
		ctx);
}

int store_each_unit(
	struct store *store, enum level level, int64_t from, int64_t to, store_level_fn *fn, void *ctx)
{
	unsigned query = level == LEVEL_MINUTES ? QUERY_EACH_UNIT_MINUTE : QUERY_EACH_UNIT_HOUR;

	return each(store, query, NULL, 0, from, to, fn, ctx);
}

struct last {
	struct store_unit *unit;
	bool found;
};

static int on_last(void *ctx, const struct store_unit *unit)
{
	struct last *last = ctx;

	*last->unit = *unit;
	last->found = true;
	return 0;
}

int store_last_level(struct store *store, enum level level, int64_t subject, int64_t from, int64_t to,
	struct store_unit *ret_unit)
{
	struct last last = { .unit = ret_unit };
	unsigned query = level == LEVEL_MINUTES ? QUERY_LAST_PROCESS_MINUTE : QUERY_LAST_PROCESS_HOUR;
	int r = each(store, query, &store->columns[1], subject, from, to, on_last, &last);

	return r || last.found ? r : STORE_ABSENT;
}

int store_each_level_subject(struct store *store, enum level level, int64_t from, int64_t to,
	store_level_subject_fn *fn, void *ctx)
{
	static const unsigned queries[N_LEVELS] = { QUERY_EACH_SUBJECT_OF_SECONDS,
		QUERY_EACH_SUBJECT_OF_MINUTES, QUERY_EACH_SUBJECT_OF_HOURS };
	sqlite3_stmt *statement;
	int r = store_statement(store, queries[level], &statement), rc;

	if (r)
		return r;
	sqlite3_bind_int64(statement, 1, from);
	sqlite3_bind_int64(statement, 2, to);
	while (!r && (rc = sqlite3_step(statement)) != SQLITE_DONE) {
		r = store_result(store, rc);
		if (!r)
			r = fn(ctx, sqlite3_column_int64(statement, 0), sqlite3_column_int64(statement, 1));
	}
	store_reset(statement);
	return r;
}

/* Runs a statement with one number. */
static int run_with(struct store *store, unsigned query, int64_t number)
{
	sqlite3_stmt *statement;
	int r = store_statement(store, query, &statement);

	if (r)
		return r;
	sqlite3_bind_int64(statement, 1, number);
	return store_done(store, statement);
}

int store_anchor_level(struct store *store, enum level level, int64_t unit)
{
	return run_with(store, level == LEVEL_MINUTES ? QUERY_ANCHOR_MINUTE : QUERY_ANCHOR_HOUR, unit);
}

int store_oldest_unit(struct store *store, enum level level, int64_t *ret_unit)
{
	static const unsigned queries[N_LEVELS] = { QUERY_OLDEST_MINUTE, QUERY_OLDEST_NODE_MINUTE,
		QUERY_OLDEST_NODE_HOUR };

	return store_number(store, queries[level], ret_unit);
}

int store_newest_unit(struct store *store, enum level level, int64_t *ret_unit)
{
	static const unsigned queries[N_LEVELS] = { QUERY_NEWEST_MINUTE, QUERY_NEWEST_NODE_MINUTE,
		QUERY_NEWEST_NODE_HOUR };

	return store_number(store, queries[level], ret_unit);
}

int store_open_hour(struct store *store, int64_t hour)
{
	int r = run_with(store, QUERY_PUT_OPEN_HOUR, hour);

	return r ? r : run_with(store, QUERY_DELETE_NODE_HOUR, hour);
}

int store_oldest_open_hour(struct store *store, int64_t except, int64_t *ret_hour)
{
	return store_number_of(store, QUERY_OLDEST_OPEN_HOUR, except, ret_hour);
}

int store_close_hour(struct store *store, int64_t hour)
{
	return run_with(store, QUERY_DELETE_OPEN_HOUR, hour);
}
