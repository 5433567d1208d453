/* SPDX-License-Identifier: MIT */
#include "schema/base/when.h"
#include "schema/base/num.h"

#include <time.h>

enum { DAY_S = 86400, YEAR_MIN = 1970, YEAR_MAX = 9999 };

const struct when_unit when_unit[N_WHEN_UNITS] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', DAY_S } };

unsigned when_largest_unit(uint32_t seconds)
{
	unsigned i = N_WHEN_UNITS - 1;

	while (seconds % when_unit[i].seconds)
		i--;
	return i;
}

bool when_duration_parse(struct span text, uint32_t *ret_seconds)
{
	uint64_t number;

	if (text.n < 2 || text.p[0] == '0' || !num_parse_whole(text.p, text.n - 1, &number))
		return false;
	for (unsigned i = 0; i < N_WHEN_UNITS; i++) {
		if (text.p[text.n - 1] != when_unit[i].letter)
			continue;
		if (number > UINT32_MAX / when_unit[i].seconds)
			return false;
		*ret_seconds = (uint32_t)number * when_unit[i].seconds;
		return true;
	}
	return false;
}

void when_duration_put(struct buf *out, uint32_t seconds)
{
	const struct when_unit *unit = &when_unit[when_largest_unit(seconds)];

	buf_put_u64(out, seconds / unit->seconds);
	buf_putc(out, unit->letter);
}

/* Takes exactly n digits off the text. */
static bool take_digits(struct span *text, unsigned n, unsigned *ret_number)
{
	unsigned number = 0;

	if (text->n < n)
		return false;
	for (unsigned i = 0; i < n; i++) {
		if (text->p[i] < '0' || text->p[i] > '9')
			return false;
		number = number * 10 + (unsigned)(text->p[i] - '0');
	}
	text->p += n;
	text->n -= n;
	*ret_number = number;
	return true;
}

static bool take_char(struct span *text, char c)
{
	if (!text->n || *text->p != c)
		return false;
	text->p++;
	text->n--;
	return true;
}

static bool is_leap(unsigned year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static unsigned month_days(unsigned year, unsigned month)
{
	static const uint8_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };

	return days[month - 1] + (month == 2 && is_leap(year));
}

/* Days since 1970-01-01: whole years with their leap days, then whole months. */
static int64_t epoch_days(unsigned year, unsigned month, unsigned day)
{
	unsigned before = year - 1;
	int64_t days = INT64_C(365) * before + before / 4 - before / 100 + before / 400;

	for (unsigned m = 1; m < month; m++)
		days += month_days(year, m);
	return days + day - 1 - 719162; /* 0001-01-01 to 1970-01-01 */
}

static bool calendar_parse(struct span text, struct when *ret_when)
{
	unsigned year, month, day, hour = 0, minute = 0, second = 0;

	if (!take_digits(&text, 4, &year) || !take_char(&text, '-') || !take_digits(&text, 2, &month) ||
		!take_char(&text, '-') || !take_digits(&text, 2, &day))
		return false;
	if (year < YEAR_MIN || year > YEAR_MAX || month < 1 || month > 12 || day < 1 ||
		day > month_days(year, month))
		return false;
	if (take_char(&text, 'T')) {
		if (!take_digits(&text, 2, &hour) || !take_char(&text, ':') ||
			!take_digits(&text, 2, &minute) ||
			(take_char(&text, ':') && !take_digits(&text, 2, &second)) || hour > 23 ||
			minute > 59 || second > 59)
			return false;
	}
	enum when_kind kind = take_char(&text, 'Z') ? WHEN_EPOCH : WHEN_LOCAL;
	if (text.n)
		return false;
	*ret_when = (struct when) { kind,
		epoch_days(year, month, day) * DAY_S + hour * 3600 + minute * 60 + second };
	return true;
}

static bool epoch_parse(struct span text, struct when *ret_when)
{
	const char *at = text.p, *end = text.p + text.n;
	uint64_t seconds, fraction;

	if (!num_parse_u64(&at, end, &seconds) || seconds > INT64_MAX / 1000000000)
		return false;
	if (at < end && *at == '.') {
		at++;
		if (!num_parse_u64(&at, end, &fraction))
			return false;
	}
	if (at != end)
		return false;
	*ret_when = (struct when) { WHEN_EPOCH, (int64_t)seconds };
	return true;
}

bool when_time_parse(struct span text, int64_t now_s, struct when *ret_when)
{
	uint32_t ago_s;

	if (span_equals(text, "last")) {
		*ret_when = (struct when) { WHEN_LAST, 0 };
		return true;
	}
	if (take_char(&text, '-')) {
		if (!when_duration_parse(text, &ago_s))
			return false;
		*ret_when = (struct when) { WHEN_EPOCH, now_s - ago_s };
		return true;
	}
	return epoch_parse(text, ret_when) || calendar_parse(text, ret_when);
}

int64_t when_resolve(const struct when *when)
{
	time_t as_utc = (time_t)when->time_s, local;
	struct tm tm;

	if (when->kind != WHEN_LOCAL || !gmtime_r(&as_utc, &tm))
		return when->time_s;
	tm.tm_isdst = -1;
	local = mktime(&tm);
	return local == (time_t)-1 ? when->time_s : (int64_t)local;
}
