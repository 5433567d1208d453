/* SPDX-License-Identifier: MIT */
/* memfs settings. */
#include <stdio.h>
#include <string.h>

#include "fs/commands/command.h"
#include "fs/commands/settings_text.h"

int command_settings(int argc, char **argv)
{
	CLEANUP_BUF struct buf text = BUF_INIT;
	bool markdown = argc == 1 && !strcmp(argv[0], "--markdown");

	if (argc && !markdown)
		return command_usage("settings");
	if (markdown)
		settings_put_markdown(&text);
	else
		settings_put_list(&text);
	return buf_error(&text) || fwrite(text.data, 1, text.len, stdout) != text.len;
}
