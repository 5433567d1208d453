/* SPDX-License-Identifier: MIT */
#include "schema/settings.h"
#include "schema/base/num.h"
#include "schema/base/quote.h"

#include <errno.h>
#include <inttypes.h>

#define SETTING(id, name_, unit_, initial_, min_, max_, sizes_, doc_)                                        \
	{ .name = name_,                                                                                     \
		.unit = unit_,                                                                               \
		.initial = initial_,                                                                         \
		.min = min_,                                                                                 \
		.max = max_,                                                                                 \
		.sizes = sizes_,                                                                             \
		.doc = doc_ },
const struct setting_row setting_rows[N_SETTINGS] = {
#include "schema/settings.def"
};
#undef SETTING

/* What settings_init sets must be something that settings_parse would take. */
#define SETTING(id, name, unit, initial, min, max, ...)                                                      \
	_Static_assert((min) <= (initial) && (initial) <= (max), "default of " name " is out of its range");
#include "schema/settings.def"
#undef SETTING

void settings_init(struct settings *settings)
{
	for (int i = 0; i < N_SETTINGS; i++)
		settings->value[i] = setting_rows[i].initial;
}

int setting_by_name(struct span name)
{
	for (int i = 0; i < N_SETTINGS; i++) {
		if (span_equals(name, setting_rows[i].name))
			return i;
	}
	return -1;
}

/* A number in form, whatever its size: what is too large for 64 bits is out of range rather than no number.
 */
static bool is_number(struct span word, bool sizes)
{
	size_t digits = 0;

	while (digits < word.n && word.p[digits] >= '0' && word.p[digits] <= '9')
		digits++;
	if (sizes && digits && digits + 1 == word.n)
		return num_parse_size((char[]) { '1', word.p[digits] }, 2, &(uint64_t) { 0 });
	return digits && digits == word.n;
}

/* One line that has a name: stores what it sets. */
static int parse_line(struct settings *settings, struct span line, unsigned number, struct err *err)
{
	char quoted[QUOTE_TEXT];
	struct span name, word, more;
	uint64_t value;

	if (!span_word(&line, &name))
		return 0;
	int id = setting_by_name(name);
	if (id < 0)
		return err_set(
			err, EINVAL, "line %u: there is no setting \"%s\"", number, quote(quoted, name));

	const struct setting_row *row = &setting_rows[id];
	const char *kind = row->sizes ? "a size" : "a number";
	if (!span_word(&line, &word))
		return err_set(err, EINVAL, "line %u: %s lacks a value, %s from %" PRIu64 " to %" PRIu64,
			number, row->name, kind, row->min, row->max);
	if (span_word(&line, &more))
		return err_set(err, EINVAL, "line %u: %s takes one value, %s from %" PRIu64 " to %" PRIu64,
			number, row->name, kind, row->min, row->max);
	if (!is_number(word, row->sizes))
		return err_set(err, EINVAL, "line %u: %s is %s from %" PRIu64 " to %" PRIu64 ", not \"%s\"",
			number, row->name, kind, row->min, row->max, quote(quoted, word));
	bool fits =
		row->sizes ? num_parse_size(word.p, word.n, &value) : num_parse_whole(word.p, word.n, &value);
	if (!fits || value < row->min || value > row->max)
		return err_set(err, ERANGE,
			"line %u: %s must be from %" PRIu64 " to %" PRIu64 ", \"%s\" is not", number,
			row->name, row->min, row->max, quote(quoted, word));
	settings->value[id] = value;
	return 1;
}

int settings_parse(struct settings *settings, const char *text, size_t len, struct err *err)
{
	struct span rest = { text, len }, line;
	struct settings next = *settings;
	unsigned number = 0, set = 0;

	while (span_line(&rest, &line)) {
		int r = parse_line(&next, line, ++number, err);
		if (r < 0)
			return r;
		set += (unsigned)r;
	}
	if (!set)
		return err_set(err, EINVAL, "nothing to set: write lines of `name value`, as config reads");
	*settings = next;
	return 0;
}

void settings_render(struct buf *out, const struct settings *settings)
{
	for (int i = 0; i < N_SETTINGS; i++) {
		buf_puts(out, setting_rows[i].name);
		buf_putc(out, ' ');
		buf_put_u64(out, settings->value[i]);
		buf_putc(out, '\n');
	}
}
