/* SPDX-License-Identifier: MIT */
#include "schema/metrics.h"

#include <string.h>

/*
 * The words of metrics.def. FILE hides stdio's type from here to the undefs: nothing below may include
 * stdio.h.
 */
#define FILE    METRIC_FILE
#define STAT    METRIC_STAT
#define HISTORY METRIC_HISTORY
#define RATE    METRIC_RATE

#define ROW(name_, unit_, kind_, source_, key_, where_, doc_)                                                \
	{ .name = name_,                                                                                     \
		.unit = METRIC_##unit_,                                                                      \
		.kind = METRIC_##kind_,                                                                      \
		.source = METRIC_SOURCE_##source_,                                                           \
		.key = key_,                                                                                 \
		.where = where_,                                                                             \
		.doc = doc_ },

/*
 * A byte that metric_find looks for before it compares: most keys of a kernel file are nobody's, and memchr
 * over one byte a row is quicker than hashing the key into a table that something would have to build.
 */
#define TAG(source, length, first)                  ((uint8_t)((source)*89 + (length)*37 + (unsigned char)(first)))
#define ROW_TAG(name, unit, kind, source, key, ...) TAG(METRIC_SOURCE_##source, sizeof(key) - 1, (key)[0]),

#define PROCESS(...)
#define SYSTEM(id, ...) ROW(__VA_ARGS__)
static const struct metric system_rows[] = {
#include "schema/metrics.def"
};
#undef SYSTEM
#define SYSTEM(id, ...) ROW_TAG(__VA_ARGS__)
static const uint8_t system_tags[] = {
#include "schema/metrics.def"
};
#undef SYSTEM
#undef PROCESS

#define SYSTEM(...)
#define PROCESS(id, ...) ROW(__VA_ARGS__)
static const struct metric process_rows[] = {
#include "schema/metrics.def"
};
#undef PROCESS
#define PROCESS(id, ...) ROW_TAG(__VA_ARGS__)
static const uint8_t process_tags[] = {
#include "schema/metrics.def"
};
#undef PROCESS
#undef SYSTEM
#undef FILE
#undef STAT
#undef HISTORY
#undef RATE

_Static_assert(N_SYSTEM_METRICS <= 64 && N_PROCESS_METRICS <= 64, "`present` has 64 bits");

const struct metric_list system_metrics = { system_rows, N_SYSTEM_METRICS };
const struct metric_list process_metrics = { process_rows, N_PROCESS_METRICS };

const char *const metric_window_name[N_WINDOWS] = { "1s", "10s", "1m", "10m" };
const unsigned metric_window_seconds[N_WINDOWS] = { 1, 10, 60, 600 };

int metric_find(const struct metric_list *list, enum metric_source source, struct span key)
{
	const uint8_t *tags = list == &system_metrics ? system_tags : process_tags, *end = tags + list->n;

	if (!key.n)
		return -1;
	for (const uint8_t *at = tags; (at = memchr(at, TAG(source, key.n, key.p[0]), (size_t)(end - at)));
		at++) {
		/* An equal key behind an equal tag is of the same source: 89 is odd. */
		if (span_equals(key, list->rows[at - tags].key))
			return (int)(at - tags);
	}
	return -1;
}

int metric_by_name(const struct metric_list *list, struct span name)
{
	for (unsigned i = 0; i < list->n; i++) {
		if (span_equals(name, list->rows[i].name))
			return (int)i;
	}
	return -1;
}

void metric_put_stat_key(struct buf *out, const struct metric *metric)
{
	buf_puts(out, metric->name);
	if (metric->source == METRIC_SOURCE_MEASURED)
		buf_puts(out, "_last");
}

int metric_by_stat_key(const struct metric_list *list, struct span key)
{
	for (unsigned i = 0; i < list->n; i++) {
		char array[64];
		struct buf text = BUF_FIXED(array);

		metric_put_stat_key(&text, &list->rows[i]);
		if (list->rows[i].where & METRIC_STAT && text.len == key.n && !memcmp(array, key.p, key.n))
			return (int)i;
	}
	return -1;
}

int metric_rate_by_key(const struct metric_list *list, struct span key, enum metric_window *ret_window)
{
	unsigned n = list == &system_metrics ? N_SYSTEM_RATES : N_PROCESS_RATES;

	for (unsigned i = 0; i < n; i++) {
		struct span name = metric_rate_name(&list->rows[metric_rate_metric(list, i)]);

		if (key.n <= name.n || memcmp(key.p, name.p, name.n) != 0 || key.p[name.n] != '_')
			continue;
		struct span window = { key.p + name.n + 1, key.n - name.n - 1 };
		for (unsigned w = 0; w < N_WINDOWS; w++) {
			if (span_equals(window, metric_window_name[w])) {
				*ret_window = (enum metric_window)w;
				return (int)i;
			}
		}
	}
	return -1;
}

/* Absent unless both parts are known and the difference makes sense (they are read at one instant, but by the
 * kernel in turn). */
static void set_difference(struct system_values *values, enum system_metric id, enum system_metric whole,
	enum system_metric part)
{
	if (metric_has(values->present, whole) && metric_has(values->present, part) &&
		values->value[whole] >= values->value[part])
		system_values_set(values, id, values->value[whole] - values->value[part]);
}

void system_values_derive(struct system_values *values)
{
	set_difference(values, SYSTEM_USED, SYSTEM_TOTAL, SYSTEM_AVAILABLE);
	set_difference(values, SYSTEM_SWAP_USED, SYSTEM_SWAP_TOTAL, SYSTEM_SWAP_FREE);
}

void metric_value_render(struct buf *out, const struct metric *metric, uint64_t value)
{
	if (metric->unit != METRIC_PERCENT) {
		buf_put_u64(out, value);
		return;
	}
	buf_put_u64(out, value / 100);
	buf_putc(out, '.');
	buf_putc(out, (char)('0' + value / 10 % 10));
	buf_putc(out, (char)('0' + value % 10));
}

unsigned metric_rate_metric(const struct metric_list *list, unsigned rate_index)
{
	unsigned id = 0;

	for (; id < list->n; id++) {
		if (list->rows[id].where & METRIC_RATE && !rate_index--)
			break;
	}
	return id;
}

struct span metric_rate_name(const struct metric *metric)
{
	static const char suffix[] = "_total";
	struct span name = { metric->name, strlen(metric->name) };

	if (metric->kind == METRIC_COUNTER && name.n > sizeof(suffix) - 1 &&
		!memcmp(name.p + name.n - (sizeof(suffix) - 1), suffix, sizeof(suffix) - 1))
		name.n -= sizeof(suffix) - 1;
	return name;
}
