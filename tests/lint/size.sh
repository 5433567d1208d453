#!/bin/sh
# SPDX-License-Identifier: MIT
# A file past 600 lines has a second noun in it: split it there.
# shellcheck source=tests/lint/common.inc
. "$(dirname "$0")/common.inc"

check() {
	files '(\.(c|h|sh|bash|bats|inc|py|sql|def|js|css)|^tests/run)$' | grep -vE '^tests/(fixtures|golden)/' | while read -r file; do
		lines=$(wc -l <"$file")
		[ "$lines" -le 600 ] || echo "$file:601: $lines lines; split it by noun"
	done
}

sample() {
	mkdir fs
	seq 601 >fs/a.c
	echo fs/a.c:601:
}

lint
