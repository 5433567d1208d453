#!/bin/sh
# SPDX-License-Identifier: MIT
# Nothing in shell scripts and bats files, whatever their names, that shellcheck(1) would complain of.
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

# 1091: sourced files are checked by themselves. 2016, 2317: what single quotes and functions called by name look like to it.
always=SC1091,SC2016,SC2317
# In bats 2030, 2031, 2034, 2119, 2120, 2153 and 2154 are variables shared between files and with bats' subshells; 2002, 2010, 2012 and 2045 that
# ls and cat are what we test; 1003, 2043 and 2143 taste; 2013, 2046 and 2086 that words are split on purpose; 2164 that a failed cd ends the test.
bats=$always,SC1003,SC2002,SC2010,SC2012,SC2013,SC2030,SC2031,SC2034,SC2045,SC2046,SC2043,SC2086,SC2119,SC2120,SC2143,SC2153,SC2154,SC2164

check() {
	scripts | sort -u | grep -vE '\.(bats|bash)$' | xargs -r shellcheck -f gcc -x -e "$always,SC2031" 2>&1
	scripts | sort -u | grep -E '\.(bats|bash)$' | xargs -r shellcheck -f gcc -x -e "$bats" 2>&1
}

sample() {
	mkdir -p tests/bats examples
	printf '#!/bin/sh\necho $1\n' >examples/a
	printf '#!/usr/bin/env bats\n@test "a" {\n\trm $@\n}\n' >tests/bats/a.bats
	printf '%s\n' examples/a:2: tests/bats/a.bats:3:
}

lint
