/* SPDX-License-Identifier: MIT */
/* Writes to `alerts`, `tags` and lists of patterns: whole or not at all, always with a printable reason, and
 * what reads back sets the same. */
#include "collector/alerts/alert_rule.h"
#include "collector/symbols/skip.h"
#include "collector/symbols/suppress.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

static void check_refusal(int r, const struct err *err)
{
	CHECK(r == -EINVAL || r == -ERANGE || r == -EFBIG);
	CHECK(err->code == -r && *err->reason && strlen(err->reason) < ERR_REASON_MAX);
	for (const char *at = err->reason; *at; at++)
		CHECK(*at >= ' ' && *at <= '~');
}

static void try(const struct note_kind *kind, const char *before, const uint8_t *data, size_t size)
{
	struct note_text *note = calloc(2, sizeof(*note)), *again = note + 1;
	struct err err = { 0 };

	CHECK(note);
	CHECK(!note_apply(note, kind, before, strlen(before), &err));
	int r = note_apply(note, kind, (const char *)data, size, &err);
	if (r) {
		check_refusal(r, &err);
		CHECK(note->len == strlen(before) && !memcmp(note->text, before, note->len));
	} else if (note->len) {
		CHECK(!err.code && note->len <= NOTE_MAX);
		CHECK(!note_apply(again, kind, note->text, note->len, &err));
		CHECK(again->len == note->len && !memcmp(again->text, note->text, note->len));
	}
	free(note);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct note_kind alerts = { alert_rule_line, true }, tags = { note_tag, true };

	static const struct note_kind skips = { skip_line }, known = { suppress_line };

	try(&skips, "!a\nmodule:b\n", data, size);
	try(&known, "leak:a\n", data, size);
	try(&alerts, "a node used > 1 for 2\n", data, size);
	try(&tags, "a b\n", data, size);
	return 0;
}
