#!/bin/sh
# SPDX-License-Identifier: MIT
# No mutable file-scope or function-local static state in fs/, collector/ and schema/ but the state of the log.
# shellcheck source=tests/lint/common.inc
. "$(dirname "$0")/common.inc"

check() {
	list=$(objects 'fs_|collector_|schema_')
	[ -n "$list" ] || { echo "$BUILD:0: no objects to look at; build first"; return; }
	for object in $list; do
		# Tables of constants with pointers in them are in .data.rel.ro, which is read-only once relocated.
		objdump -t "$object" | awk 'NF > 3 && $(NF-2) ~ /^(\.data|\.bss|\.tdata|\.tbss|\*COM\*)(\.|$)/ && $(NF-2) !~ /^\.data\.rel\.ro/ &&
			$NF !~ /^\./ { print $NF }' | while read -r symbol; do
			source=$(object_source "$object")
			case $source:${symbol%.[0-9]*} in
			schema/base/log.c:*) ;;
			*) echo "$source:0: mutable state '$symbol'" ;;
			esac
		done
	done
}

sample() {
	mkdir fs build
	cat >fs/a.c <<'C'
static int counter = 1;
static const char *const names[] = { "a", "b" };
int *next(int i) { static int last; last += counter++; return names[i] ? &last : &counter; }
C
	gcc -fPIC -c fs/a.c -o build/fs_a.c.o
	printf '%s\n' "fs/a.c:0: mutable state 'counter" "fs/a.c:0: mutable state 'last"
}

lint
