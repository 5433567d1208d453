#!/bin/sh
# SPDX-License-Identifier: MIT
# What shell scripts and bats files say to shellcheck: nothing, in shell scripts and bats files, whatever their names.
# shellcheck source=tests/lint/common.inc
. "$(dirname "$0")/common.inc"

command -v shellcheck >/dev/null || { echo 'shellcheck is missing'; exit 77; }

scripts() {
	files '\.(sh|bash|bats|inc)$' | grep -vE '\.inc$|^(fs|schema|collector|preload)/'
	files '/common\.inc$'
	files '' | grep -vE '\.(sh|bash|bats|inc|[ch])$|^tests/(fixtures|golden|fuzz)/' | while read -r file; do
		head -c 64 "$file" | head -n 1 | grep -aqE '^#! ?/.*(\<sh|bash|dash|bats)$' && echo "$file"
	done
}

# 1091: sourced files are checked by themselves. 2016, 2030, 2031, 2034, 2154, 2317: what single quotes, bats' subshells,
# variables shared between files and functions called by name look like to it. 2010, 2012: ls is what we test.
check() {
	scripts | sort -u | xargs -r shellcheck -f gcc -x -e SC1091,SC2010,SC2012,SC2016,SC2030,SC2031,SC2034,SC2154,SC2317 2>&1
}

sample() {
	mkdir -p tests/bats examples
	printf '#!/bin/sh\necho $1\n' >examples/a
	printf '#!/usr/bin/env bats\n@test "a" {\n\trm $x\n}\n' >tests/bats/a.bats
	printf '%s\n' examples/a:2: tests/bats/a.bats:3:
}

lint
