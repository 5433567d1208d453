/* SPDX-License-Identifier: MIT */
#include "fs/commands/settings_text.h"

#include <inttypes.h>

#include "fs/options.h"

static const char *suffixes_of(const struct setting_row *row)
{
	return row->sizes ? ", K M G T" : "";
}

void settings_put_range(enum setting setting, struct buf *out)
{
	const struct setting_row *row = &setting_rows[setting];

	buf_printf(
		out, "%" PRIu64 " %s, %" PRIu64 " to %" PRIu64, row->initial, row->unit, row->min, row->max);
}

void settings_put_list(struct buf *out)
{
	for (int i = 0; i < N_SETTINGS; i++) {
		CLEANUP_BUF struct buf range = BUF_INIT;
		settings_put_range(i, &range);
		buf_printf(out, "%-24s ", setting_rows[i].name);
		buf_printf(out, "%-42.*s ", (int)range.len, range.data);
		buf_printf(out, "%s\n", setting_rows[i].doc);
		out->failed |= range.failed;
	}
}

void settings_put_markdown(struct buf *out)
{
	buf_puts(out,
		"# Settings\n\n"
		"Made by `memfs settings --markdown` from schema/settings.def; do not edit.\n\n" SETTINGS_INTRODUCTION
		"\n\n```\n"
		"cat /memfs/local/config                          # what is in force\n"
		"echo history_days 90 >/memfs/local/config        # a write that is refused says why in /memfs/why\n"
		"memfs mount -o freshness_ms=50 /memfs            # for this mount, whatever is stored\n"
		"```\n\n"
		"| name | unit | default | least | most | option of mount | what it does |\n"
		"|---|---|---|---|---|---|---|\n");
	for (int i = 0; i < N_SETTINGS; i++) {
		const struct setting_row *row = &setting_rows[i];
		const char *option = options_fixing(i);

		buf_printf(out, "| %s | %s%s | %" PRIu64 " | %" PRIu64 " | %" PRIu64 " | %s | %s |\n",
			row->name, row->unit, suffixes_of(row), row->initial, row->min, row->max,
			option ? option : "", row->doc);
	}
}
