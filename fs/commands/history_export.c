/* SPDX-License-Identifier: MIT */
#include "fs/commands/history_export.h"

#include <errno.h>
#include <string.h>

#include "schema/base/cleanup.h"

const char *const export_format_name[N_EXPORT_FORMATS] = { "tsv", "json", "openmetrics" };

/* --- which columns --- */

static bool is_counter(const struct export *export, unsigned column)
{
	return export->metrics.counters >> column & 1;
}

static const struct metric *metric_of(const struct export *export, unsigned column)
{
	return &export->metrics.list->rows[export->metrics.metric[column]];
}

static void add_column(struct export *export, unsigned column, bool max)
{
	const unsigned room = sizeof(export->column) / sizeof(*export->column);

	for (unsigned i = 0; i < export->n_columns; i++) {
		if (export->column[i].column == column && export->column[i].max == max)
			return;
	}
	if (export->n_columns < room)
		export->column[export->n_columns++] = (struct export_column) { column, max };
}

static bool add_by_name(struct export *export, struct span name)
{
	const size_t n = sizeof("_max") - 1;
	bool max = name.n > n && !memcmp(name.p + name.n - n, "_max", n);
	struct span base = { name.p, max ? name.n - n : name.n };

	for (unsigned c = 0; c < export->metrics.n; c++) {
		if (span_equals(base, metric_of(export, c)->name) && !(max && is_counter(export, c))) {
			add_column(export, c, max);
			return true;
		}
	}
	return false;
}

int export_choose_columns(struct export *export, struct span names, struct err *err)
{
	export->n_columns = 0;
	for (unsigned c = 0; !names.n && c < export->metrics.n; c++) {
		add_column(export, c, false);
		if (export->level != LEVEL_SECONDS && !is_counter(export, c))
			add_column(export, c, true);
	}
	while (names.n) {
		const char *comma = memchr(names.p, ',', names.n);
		struct span name = { names.p, comma ? (size_t)(comma - names.p) : names.n };
		size_t taken = name.n + (comma ? 1 : 0);

		names = (struct span) { names.p + taken, names.n - taken };
		if (!add_by_name(export, name))
			return err_set(err, EINVAL, "history has no metric \"%.*s\" of %s", (int)name.n,
				name.p, export->metrics.list == &system_metrics ? "the node" : "processes");
	}
	return 0;
}

/* --- writing --- */

enum { FLUSH_BYTES = 1 << 16 };

struct writing {
	const struct export *export;
	const struct export_subject *subject;
	struct export_column column; /* of a family */
	struct buf out;
	bool comma;
};

static int flush(struct writing *writing, size_t from)
{
	struct buf *out = &writing->out;

	if (buf_error(out))
		return buf_error(out);
	if (out->len < from)
		return 0;
	if (fwrite(out->data, 1, out->len, writing->export->out) != out->len)
		return errno ? -errno : -EIO;
	buf_clear(out);
	return 0;
}

static void put_value(struct writing *writing, struct export_column column, const struct history_point *point,
	const char *absent)
{
	const uint64_t *value = column.max ? point->max : point->value;

	if (metric_has(point->present, column.column))
		metric_value_render(
			&writing->out, metric_of(writing->export, column.column), value[column.column]);
	else
		buf_puts(&writing->out, absent);
}

static int put_tsv(void *ctx, const struct history_point *point)
{
	struct writing *writing = ctx;

	buf_put_i64(&writing->out, point->time_s);
	if (writing->subject->pid)
		buf_printf(&writing->out, "\t%u\t%jd\t%s", writing->subject->pid,
			(intmax_t)writing->subject->start_s, writing->subject->comm);
	for (unsigned i = 0; i < writing->export->n_columns; i++) {
		buf_putc(&writing->out, '\t');
		put_value(writing, writing->export->column[i], point, "-");
	}
	buf_putc(&writing->out, '\n');
	return flush(writing, FLUSH_BYTES);
}

/* A name within quotes: escaped as in tables, and its backslashes and quotes once more. What is not ASCII
 * becomes such an escape, for it need not be UTF-8. */
static void put_quoted(struct buf *out, const char *text)
{
	buf_putc(out, '"');
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c >= 0x80)
			buf_printf(out, "\\\\%03o", c);
		else if (c == '"' || c == '\\')
			buf_printf(out, "\\%c", c);
		else
			buf_putc(out, (char)c);
	}
	buf_putc(out, '"');
}

static int put_json(void *ctx, const struct history_point *point)
{
	struct writing *writing = ctx;
	struct buf *out = &writing->out;

	buf_printf(out, "%s{\"time\":%jd", writing->comma ? ",\n" : "", (intmax_t)point->time_s);
	writing->comma = true;
	if (writing->subject->pid) {
		buf_printf(out, ",\"pid\":%u,\"start\":%jd,\"comm\":", writing->subject->pid,
			(intmax_t)writing->subject->start_s);
		put_quoted(out, writing->subject->comm);
	}
	for (unsigned i = 0; i < writing->export->n_columns; i++) {
		struct export_column column = writing->export->column[i];

		buf_printf(out, ",\"%s%s\":", metric_of(writing->export, column.column)->name,
			column.max ? "_max" : "");
		put_value(writing, column, point, "null");
	}
	buf_putc(out, '}');
	return flush(writing, FLUSH_BYTES);
}

/* Name of a family, without what its samples have behind it. */
static void put_family(struct writing *writing)
{
	const struct metric *metric = metric_of(writing->export, writing->column.column);
	struct span name = metric_rate_name(metric);

	buf_printf(&writing->out, "memfs_%s_%.*s%s%s",
		writing->export->metrics.list == &system_metrics ? "node" : "process", (int)name.n, name.p,
		writing->column.max ? "_max" : "", metric->unit == METRIC_BYTES ? "_bytes" : "");
}

static int put_openmetrics(void *ctx, const struct history_point *point)
{
	struct writing *writing = ctx;
	struct buf *out = &writing->out;

	if (!metric_has(point->present, writing->column.column))
		return 0;
	put_family(writing);
	if (is_counter(writing->export, writing->column.column))
		buf_puts(out, "_total");
	if (writing->subject->pid) {
		buf_printf(out, "{pid=\"%u\",start=\"%jd\",name=", writing->subject->pid,
			(intmax_t)writing->subject->start_s);
		put_quoted(out, writing->subject->comm);
		buf_putc(out, '}');
	}
	buf_putc(out, ' ');
	put_value(writing, writing->column, point, "");
	buf_printf(out, " %jd\n", (intmax_t)point->time_s);
	return flush(writing, FLUSH_BYTES);
}

static int each_subject(struct writing *writing, struct store *store, history_fn *fn)
{
	const struct export *export = writing->export;
	int r = 0;

	for (size_t i = 0; !r && i < export->n_subjects; i++) {
		writing->subject = &export->subject[i];
		r = history_each(store, writing->subject->id, export->level, export->from_s, export->to_s, fn,
			writing);
	}
	return r;
}

static int write_tsv(struct writing *writing, struct store *store)
{
	const struct export *export = writing->export;

	buf_puts(&writing->out, "time");
	if (export->metrics.list == &process_metrics)
		buf_puts(&writing->out, "\tpid\tstart\tcomm");
	for (unsigned i = 0; i < export->n_columns; i++)
		buf_printf(&writing->out, "\t%s%s", metric_of(export, export->column[i].column)->name,
			export->column[i].max ? "_max" : "");
	buf_putc(&writing->out, '\n');
	return each_subject(writing, store, put_tsv);
}

static int write_json(struct writing *writing, struct store *store)
{
	int r;

	buf_puts(&writing->out, "[");
	r = each_subject(writing, store, put_json);
	buf_puts(&writing->out, "]\n");
	return r;
}

/* All samples of a family stand together, so each metric is a walk of its own. */
static int write_openmetrics(struct writing *writing, struct store *store)
{
	const struct export *export = writing->export;
	int r = 0;

	for (unsigned i = 0; !r && i < export->n_columns; i++) {
		const struct metric *metric = metric_of(export, export->column[i].column);

		writing->column = export->column[i];
		buf_puts(&writing->out, "# TYPE ");
		put_family(writing);
		buf_puts(&writing->out,
			is_counter(export, export->column[i].column) ? " counter\n" : " gauge\n");
		if (metric->unit == METRIC_BYTES) {
			buf_puts(&writing->out, "# UNIT ");
			put_family(writing);
			buf_puts(&writing->out, " bytes\n");
		}
		buf_puts(&writing->out, "# HELP ");
		put_family(writing);
		buf_printf(&writing->out, " %s%s\n", metric->doc,
			export->level == LEVEL_SECONDS || is_counter(export, export->column[i].column) ? ""
			: export->column[i].max ? " (largest)"
						: " (average)");
		r = each_subject(writing, store, put_openmetrics);
	}
	buf_puts(&writing->out, "# EOF\n");
	return r;
}

int export_write(const struct export *export, struct store *store)
{
	typedef int write_fn(struct writing * writing, struct store * store);
	static write_fn *const write[N_EXPORT_FORMATS] = { write_tsv, write_json, write_openmetrics };
	struct writing writing = { .export = export };
	/* One snapshot, so that series of one export are of one moment. */
	int r = store_snapshot_begin(store);

	if (r)
		return r;
	r = write[export->format](&writing, store);
	if (!r)
		r = flush(&writing, 0);
	if (!r && fflush(export->out))
		r = -errno;
	buf_deinit(&writing.out);
	store_snapshot_end(store);
	return r;
}
