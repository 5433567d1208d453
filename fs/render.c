/* SPDX-License-Identifier: MIT */
#include "fs/render.h"

#include <string.h>

#include "schema/base/num.h"
#include "schema/board.h"

enum { VALUE_COLUMNS = 20, NAME_BYTES = 255 /* NAME_MAX */, CUT_BYTES = 9 };

void render_time(struct buf *out, int64_t epoch_ns)
{
	int64_t ms = epoch_ns / 1000000;
	buf_printf(out, "%lld.%03d", (long long)(ms / 1000), (int)(ms % 1000));
}

void render_age(struct buf *out, int64_t age_ns)
{
	render_time(out, age_ns > 0 ? age_ns : 0);
}

void render_directory_name(struct buf *out, struct span name)
{
	bool dots = span_equals(name, ".") || span_equals(name, "..");
	size_t begin = out->len, fits = begin;
	uint32_t hash = UINT32_C(2166136261);

	if (!name.n)
		buf_puts(out, "\\000");
	for (size_t i = 0; i < name.n; i++) {
		if (name.p[i] == '/' || dots)
			buf_printf(out, "\\%03o", (unsigned char)name.p[i]);
		else
			buf_put_escaped(out, name.p + i, 1);
		if (out->len - begin <= NAME_BYTES - CUT_BYTES)
			fits = out->len;
		hash = (hash ^ (unsigned char)name.p[i]) * UINT32_C(16777619);
	}
	if (out->len - begin <= NAME_BYTES)
		return;
	out->len = fits;
	buf_printf(out, "~%08x", hash);
}

void render_key(struct buf *out, const char *key, const char *value, size_t len)
{
	static const char blanks[VALUE_COLUMNS + 1] = "                    ";

	buf_puts(out, key);
	buf_putc(out, ' ');
	if (len < VALUE_COLUMNS)
		buf_put(out, blanks, VALUE_COLUMNS - len);
	buf_put(out, value, len);
	buf_putc(out, '\n');
}

void render_key_u64(struct buf *out, const char *key, uint64_t value)
{
	char text[NUM_TEXT_MAX];
	render_key(out, key, text, num_format_u64(text, value));
}

void render_key_i64(struct buf *out, const char *key, int64_t value)
{
	char text[NUM_TEXT_MAX];
	render_key(out, key, text, num_format_i64(text, value));
}

void render_key_text(struct buf *out, const char *key, const char *value)
{
	render_key(out, key, value, strlen(value));
}

void render_key_metric(struct buf *out, const char *key, const struct metric *metric, uint64_t value)
{
	char text[2 * NUM_TEXT_MAX];
	struct buf one = BUF_FIXED(text);

	metric_value_render(&one, metric, value);
	render_key(out, key, one.data, one.len);
}

void render_key_unknown(struct buf *out, const char *key)
{
	render_key(out, key, "-", 1);
}

void render_rates(struct buf *out, const struct metric_list *list, const int64_t *rates, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct span name = metric_rate_name(&list->rows[metric_rate_metric(list, i)]);
		for (unsigned window = 0; window < N_WINDOWS; window++) {
			char text[80];
			struct buf key = BUF_FIXED(text);
			int64_t rate = rates[i * N_WINDOWS + window];

			buf_put(&key, name.p, name.n);
			buf_putc(&key, '_');
			buf_puts(&key, metric_window_name[window]);
			buf_putc(&key, 0);
			if (rate == BOARD_RATE_UNKNOWN)
				render_key_unknown(out, text);
			else
				render_key_i64(out, text, rate);
		}
	}
}

void render_event(struct buf *out, uint64_t seq, int64_t time_ns, const char *kind, const char *subject,
	const char *text)
{
	const char *const columns[] = { kind, subject, text };

	buf_put_u64(out, seq);
	buf_putc(out, '\t');
	render_time(out, time_ns);
	for (size_t i = 0; i < sizeof(columns) / sizeof(*columns); i++) {
		buf_putc(out, '\t');
		buf_puts(out, columns[i]);
	}
	buf_putc(out, '\n');
}
