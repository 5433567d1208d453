#!/bin/sh
# SPDX-License-Identifier: MIT
# C is formatted as .clang-format says, by the clang-format of Debian 12 (14): another version differs in details.
# shellcheck source=tests/lint/common.inc
. "$(dirname "$0")/common.inc"

tool=$(command -v clang-format-14 || command -v clang-format) || { echo 'clang-format is missing'; exit 77; }

check() {
	files '^(fs|collector|schema|preload|tests)/.*\.[ch]$' |
		xargs -r "$tool" --style="file:$top/.clang-format" --dry-run --Werror 2>&1 | grep -E '^[^ ].*: error: ' |
		sed 's/ error: code should be clang-formatted.*/ not formatted (first place); clang-format -i/' | awk -F: '!seen[$1]++'
}

sample() {
	mkdir fs
	printf 'int main(void)\n{\n  if(1){return 0;}\n}\n' >fs/a.c
	echo fs/a.c:
}

lint
