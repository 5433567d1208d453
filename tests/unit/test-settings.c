/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <string.h>

#include "schema/settings.h"

static int parse(struct settings *settings, const char *text, struct err *err)
{
	*err = (struct err) { 0 };
	return settings_parse(settings, text, strlen(text), err);
}

static void starts_with_the_defaults(void **state)
{
	struct settings settings;

	settings_init(&settings);
	assert_int_equal(settings.value[SETTING_SAMPLE_INTERVAL_MS], 1000);
	assert_int_equal(settings.value[SETTING_FRESHNESS_MS], 100);
	for (int i = 0; i < N_SETTINGS; i++) {
		struct span name = { setting_rows[i].name, strlen(setting_rows[i].name) };
		assert_int_equal(settings.value[i], setting_rows[i].initial);
		assert_int_equal(setting_by_name(name), i);
		assert_true(*setting_rows[i].doc);
	}
	assert_int_equal(setting_by_name((struct span) { "freshness", 9 }), -1);
}

static void sets_what_is_named_and_nothing_else(void **state)
{
	struct settings settings, expected;
	struct err err;

	settings_init(&settings);
	expected = settings;
	expected.value[SETTING_HISTORY_DAYS] = 7;
	expected.value[SETTING_HISTORY_MAX_BYTES] = UINT64_C(3) << 30;
	assert_int_equal(parse(&settings, "\n  history_days\t7 \r\n\nhistory_max_bytes 3G", &err), 0);
	assert_memory_equal(&settings, &expected, sizeof(settings));
	assert_int_equal(err.code, 0);
	/* The last word on a setting holds. */
	assert_int_equal(parse(&settings, "history_days 8\nhistory_days 9\n", &err), 0);
	expected.value[SETTING_HISTORY_DAYS] = 9;
	assert_memory_equal(&settings, &expected, sizeof(settings));
}

static void takes_both_ends_of_every_range(void **state)
{
	for (int i = 0; i < N_SETTINGS; i++) {
		const struct setting_row *row = &setting_rows[i];
		struct settings settings;
		char array[128];
		struct buf text = BUF_FIXED(array);
		settings_init(&settings);
		buf_printf(&text, "%s %llu\n", row->name, (unsigned long long)row->min);
		assert_int_equal(settings_parse(&settings, text.data, text.len, NULL), 0);
		assert_int_equal(settings.value[i], row->min);
		buf_clear(&text);
		buf_printf(&text, "%s %llu\n", row->name, (unsigned long long)row->max);
		assert_int_equal(settings_parse(&settings, text.data, text.len, NULL), 0);
		assert_int_equal(settings.value[i], row->max);
		buf_clear(&text);
		buf_printf(&text, "%s %llu\n", row->name, (unsigned long long)row->max + 1);
		assert_int_equal(settings_parse(&settings, text.data, text.len, NULL), -ERANGE);
		buf_clear(&text);
		buf_printf(&text, "%s %llu\n", row->name, (unsigned long long)row->min - 1);
		assert_int_equal(settings_parse(&settings, text.data, text.len, NULL), -ERANGE);
		assert_int_equal(settings.value[i], row->max);
	}
}

static void refuses_whole_with_a_reason(void **state)
{
	static const struct {
		const char *text;
		int code;
		const char *reason;
	} cases[] = {
		{ "", EINVAL, "nothing to set: write lines of `name value`, as config reads" },
		{ " \n\t\n", EINVAL, "nothing to set: write lines of `name value`, as config reads" },
		{ "history_days 5\nhistory_dayz 5\n", EINVAL,
			"line 2: there is no setting \"history_dayz\"" },
		{ "history_days", EINVAL, "line 1: history_days lacks a value, a number from 1 to 3650" },
		{ "history_days 5 6", EINVAL,
			"line 1: history_days takes one value, a number from 1 to 3650" },
		{ "history_days -1", EINVAL, "line 1: history_days is a number from 1 to 3650, not \"-1\"" },
		{ "history_days 5k", EINVAL, "line 1: history_days is a number from 1 to 3650, not \"5k\"" },
		{ "history_days 0x5", EINVAL,
			"line 1: history_days is a number from 1 to 3650, not \"0x5\"" },
		{ "\nhistory_days 0", ERANGE, "line 2: history_days must be from 1 to 3650, \"0\" is not" },
		{ "history_days 99999999999999999999", ERANGE,
			"line 1: history_days must be from 1 to 3650, \"99999999999999999999\" is not" },
		{ "history_max_bytes 16777216T", ERANGE,
			"line 1: history_max_bytes must be from 1048576 to 1099511627776, \"16777216T\" is not" },
		{ "history_max_bytes 1M5", EINVAL,
			"line 1: history_max_bytes is a size from 1048576 to 1099511627776, not \"1M5\"" },
		{ "a\tb", EINVAL, "line 1: there is no setting \"a\"" },
		{ "\x01\xff\\\x7f", EINVAL, "line 1: there is no setting \"\\001\\377\\134\\177\"" },
		{ "abcdefghijklmnopqrstuvwxyz", EINVAL,
			"line 1: there is no setting \"abcdefghijklmnopqrst...\"" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct settings settings, before;
		struct err err;
		settings_init(&settings);
		before = settings;
		assert_int_equal(parse(&settings, cases[i].text, &err), -cases[i].code);
		assert_int_equal(err.code, cases[i].code);
		assert_string_equal(err.reason, cases[i].reason);
		assert_memory_equal(&settings, &before, sizeof(settings));
	}
}

static void the_longest_reason_keeps_its_end(void **state)
{
	char text[256] = "history_max_bytes ";
	struct settings settings;
	struct err err;

	settings_init(&settings);
	memset(text + strlen(text), '\xff', 200);
	assert_int_equal(parse(&settings, text, &err), -EINVAL);
	assert_int_equal(err.reason[strlen(err.reason) - 1], '"');
}

static void a_nul_is_a_byte(void **state)
{
	struct settings settings;
	struct err err = { 0 };

	settings_init(&settings);
	assert_int_equal(settings_parse(&settings, "history_days 5\0", 15, &err), -EINVAL);
	assert_string_equal(err.reason, "line 1: history_days is a number from 1 to 3650, not \"5\\000\"");
}

static void reads_back_what_would_set_it(void **state)
{
	struct settings settings, again;
	struct buf text CLEANUP_BUF = BUF_INIT;
	struct err err;

	settings_init(&settings);
	assert_int_equal(parse(&settings, "freshness_ms 250\nhistory_max_bytes 5m", &err), 0);
	settings_render(&text, &settings);
	settings_init(&again);
	assert_int_equal(settings_parse(&again, text.data, text.len, &err), 0);
	assert_memory_equal(&settings, &again, sizeof(settings));
	buf_putc(&text, '\0');
	assert_non_null(strstr(text.data, "freshness_ms 250\n"));
	assert_non_null(strstr(text.data, "history_max_bytes 5242880\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(starts_with_the_defaults),
		cmocka_unit_test(sets_what_is_named_and_nothing_else),
		cmocka_unit_test(takes_both_ends_of_every_range),
		cmocka_unit_test(refuses_whole_with_a_reason),
		cmocka_unit_test(the_longest_reason_keeps_its_end),
		cmocka_unit_test(a_nul_is_a_byte),
		cmocka_unit_test(reads_back_what_would_set_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
