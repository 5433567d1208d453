/* SPDX-License-Identifier: MIT */
/* memfs complete: for completion in shells. */
#include <stdio.h>

#include "fs/commands/command.h"
#include "fs/commands/complete.h"

int command_complete(int argc, char **argv)
{
	const char *word = argc ? argv[argc - 1] : "";
	const struct command *command;
	CLEANUP_BUF struct buf out = BUF_INIT;

	if (argc > 1) {
		command = command_find(argv[0]);
		if (command && command->doc) {
			complete_argument(&out, command->arguments, argv[argc - 2], word);
			if (*word == '-')
				complete_offer(&out, "--help", word);
		}
	} else {
		for (size_t i = 0; (command = command_at(i)); i++) {
			if (command->doc)
				complete_offer(&out, command->name, word);
		}
		complete_offer(&out, "--help", word);
		complete_offer(&out, "--version", word);
	}
	return buf_error(&out) || (out.len && fwrite(out.data, 1, out.len, stdout) != out.len);
}
