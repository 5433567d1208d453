/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/alerts/alert_rule.h"
#include "collector/symbols/skip.h"
#include "collector/symbols/suppress.h"
#include "schema/note.h"

static const struct note_kind tags = { note_tag, true }, alerts = { alert_rule_line, true };

static int apply(struct note_text *note, const struct note_kind *kind, const char *text, struct err *err)
{
	*err = (struct err) { 0 };
	return note_apply(note, kind, text, strlen(text), err);
}

static void assert_reads(const struct note_text *note, const char *expected)
{
	assert_int_equal(note->len, strlen(expected));
	assert_memory_equal(note->text, expected, note->len);
}

static void lines_are_set_replaced_and_removed(void **state)
{
	struct note_text note = { 0 };
	struct err err;

	assert_int_equal(apply(&note, &tags, "rack  r12 \n\n zone\teu west \n", &err), 0);
	assert_reads(&note, "rack r12\nzone eu west\n");
	assert_int_equal(apply(&note, &tags, "rack r13\nteam db", &err), 0);
	assert_reads(&note, "rack r13\nzone eu west\nteam db\n");
	assert_int_equal(apply(&note, &tags, "-zone\nrack r1\n", &err), 0);
	assert_reads(&note, "rack r1\nteam db\n");
	/* A name that begins with another is another. */
	assert_int_equal(apply(&note, &tags, "te x\nteam_b y\n-team\n", &err), 0);
	assert_reads(&note, "rack r1\nte x\nteam_b y\n");
	assert_int_equal(apply(&note, &tags, "-rack\n-te\n-team_b\n", &err), 0);
	assert_reads(&note, "");
}

static void lines_may_be_names_as_a_whole(void **state)
{
	static const struct note_kind skips = { skip_line }, known = { suppress_line };
	struct note_text note = { 0 };
	struct err err;

	assert_int_equal(apply(&note, &skips, "# ours\r\n\n operator new \nfoo\n!operator new\r\n", &err), 0);
	assert_reads(&note, "operator new\nfoo\n!operator new\n");
	/* Said again, it counts for more than what was said meanwhile. */
	assert_int_equal(apply(&note, &skips, "operator new\n", &err), 0);
	assert_reads(&note, "foo\n!operator new\noperator new\n");
	assert_int_equal(apply(&note, &skips, "-!operator new\n", &err), 0);
	assert_reads(&note, "foo\noperator new\n");
	assert_int_equal(apply(&note, &skips, "-operator\n", &err), -EINVAL);
	assert_string_equal(err.reason, "line 1: there is no \"operator\" to be removed");
	assert_int_equal(apply(&note, &skips, "a\033b\n", &err), -EINVAL);
	assert_int_equal(apply(&note, &skips, "# nothing\n", &err), 0);
	assert_reads(&note, "foo\noperator new\n");

	note.len = 0;
	assert_int_equal(apply(&note, &known, "leak:a b\nrace:c\n#leak:d\nleak:e\n", &err), 0);
	assert_reads(&note, "leak:a b\nleak:e\n");
	assert_int_equal(apply(&note, &known, "-# said\n-\n-race:c\n-leak:a b\n-leak:e\n", &err), 0);
	assert_reads(&note, "");
	/* All of a line that does not fit, where the same one stands already. */
	for (int i = 0; i < NOTE_LINES_MAX; i++) {
		char line[32];
		snprintf(line, sizeof(line), "leak:%d\n", i);
		assert_int_equal(apply(&note, &known, line, &err), 0);
	}
	assert_int_equal(apply(&note, &known, "leak:0\n", &err), 0);
	assert_int_equal(apply(&note, &known, "leak:new\n", &err), -EFBIG);
}

static void values_are_any_text(void **state)
{
	struct note_text note = { 0 }, again = { 0 };
	struct err err;
	const char odd[] = "a x\ty\\z\001\377\nb \\040 \\011x\\\n";

	assert_int_equal(note_apply(&note, &tags, odd, sizeof(odd) - 1, &err), 0);
	assert_reads(&note, "a x\\011y\\134z\\001\377\nb \\040 \\011x\\134\n");
	assert_int_equal(note_apply(&again, &tags, note.text, note.len, &err), 0);
	assert_int_equal(again.len, note.len);
	assert_memory_equal(again.text, note.text, note.len);
}

static void a_write_is_refused_whole_with_its_line(void **state)
{
	static const struct {
		const char *text;
		int code;
		const char *reason;
	} cases[] = {
		{ "", EINVAL, "nothing to set: write lines as this file reads, or -NAME to remove one" },
		{ "x y\n1x y\n", EINVAL,
			"line 2: a key is up to 64 letters, digits and _, no digit first; \"1x\" is not" },
		{ "x\n", EINVAL, "line 1: x lacks a value; -x removes it" },
		{ "x y\n\n-z\n", EINVAL, "line 3: there is no \"z\" to be removed" },
		{ "-\n", EINVAL, "line 1: there is no \"\" to be removed" },
		{ "-kept now\n", EINVAL, "line 1: -kept removes and takes nothing more" },
		{ "node y\n", EINVAL, "line 1: \"node\" is a label that memfs or Prometheus sets" },
		{ "__x y\n", EINVAL, "line 1: \"__x\" is a label that memfs or Prometheus sets" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct note_text note = { 0 };
		struct err err;
		assert_int_equal(apply(&note, &tags, "kept 1\n", &err), 0);
		assert_int_equal(apply(&note, &tags, cases[i].text, &err), -cases[i].code);
		assert_string_equal(err.reason, cases[i].reason);
		assert_reads(&note, "kept 1\n");
	}
}

static void the_size_is_bounded(void **state)
{
	struct note_text note = { 0 };
	struct err err;
	char line[2 * NOTE_LINE_MAX];

	for (int i = 0; i < NOTE_LINES_MAX; i++) {
		snprintf(line, sizeof(line), "key%d value\n", i);
		assert_int_equal(apply(&note, &tags, line, &err), 0);
	}
	assert_int_equal(apply(&note, &tags, "onemore value\n", &err), -EFBIG);
	assert_string_equal(err.reason, "line 1: there are 128 lines, and no more are taken");
	assert_int_equal(apply(&note, &tags, "key3 other\n", &err), 0);
	assert_int_equal(apply(&note, &tags, "-key3\nonemore value\n", &err), 0);

	memset(line, 'v', sizeof(line));
	memcpy(line, "key1 ", 5);
	line[NOTE_LINE_MAX + 2] = '\0';
	assert_int_equal(apply(&note, &tags, line, &err), -EFBIG);
	line[NOTE_LINE_MAX - 1] = '\0'; /* with its newline */
	int fitted = 0;
	note.len = 0;
	for (; fitted < NOTE_LINES_MAX; fitted++) {
		char name[16];
		snprintf(name, sizeof(name), "k%03d ", fitted);
		memcpy(line, name, 5);
		if (apply(&note, &tags, line, &err))
			break;
	}
	assert_int_equal(fitted, NOTE_MAX / NOTE_LINE_MAX);
	assert_int_equal(err.code, EFBIG);
	assert_true(note.len <= NOTE_MAX);
}

static void what_is_not_right_is_left_out_when_loaded(void **state)
{
	struct note_text note = { 0 };
	const char *text = "big node used > 1G\nodd node color > 3\nmany by-name/x count > 3 for 5\n";

	note_load(&note, &alerts, text, strlen(text));
	assert_reads(&note, "big node used > 1073741824\nmany by-name/x count > 3 for 5\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_set_replaced_and_removed),
		cmocka_unit_test(lines_may_be_names_as_a_whole),
		cmocka_unit_test(values_are_any_text),
		cmocka_unit_test(a_write_is_refused_whole_with_its_line),
		cmocka_unit_test(the_size_is_bounded),
		cmocka_unit_test(what_is_not_right_is_left_out_when_loaded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
