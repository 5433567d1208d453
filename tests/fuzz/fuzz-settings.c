/* SPDX-License-Identifier: MIT */
/* Writes to `config`: whole or not at all, always with a printable reason, and what reads back sets the same.
 */
#include "schema/settings.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

static void check_refusal(int r, const struct err *err)
{
	CHECK(r == -EINVAL || r == -ERANGE);
	CHECK(err->code == -r && *err->reason && strlen(err->reason) < ERR_REASON_MAX - 1);
	for (const char *at = err->reason; *at; at++)
		CHECK(*at >= ' ' && *at <= '~');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct settings settings, before, again;
	struct err err = { 0 };

	settings_init(&settings);
	before = settings;
	int r = settings_parse(&settings, (const char *)data, size, &err);
	if (r) {
		check_refusal(r, &err);
		CHECK(!memcmp(&settings, &before, sizeof(settings)));
		return 0;
	}
	CHECK(!err.code);
	for (int i = 0; i < N_SETTINGS; i++)
		CHECK(settings.value[i] >= setting_rows[i].min && settings.value[i] <= setting_rows[i].max);
	struct buf text CLEANUP_BUF = BUF_INIT;
	settings_render(&text, &settings);
	settings_init(&again);
	CHECK(!settings_parse(&again, text.data, text.len, &err));
	CHECK(!memcmp(&settings, &again, sizeof(settings)));
	return 0;
}
