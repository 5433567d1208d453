#!/bin/sh
# SPDX-License-Identifier: MIT
# The include arrows: fs/ and collector/ meet only in schema/, schema/ knows nobody, preload/ only the shadow layout.
# shellcheck source=tests/lint/common.inc
. "$(dirname "$0")/common.inc"

check() {
	files '^(fs|collector|schema|preload)/.*\.(c|h|def|inc)$' | xargs -r grep -nHE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' |
		while IFS=: read -r file line text; do
			included=$(echo "$text" | sed 's/^[^"]*"\([^"]*\)".*/\1/')
			case $file:$included in
			# Made by the build.
			schema/store/*:queries.h) ;;
			collector/sample/tasks_walk.c:tasks_walk.skel.h | collector/sample/tasks_iterator.c:tasks_iterator.skel.h) ;;
			# What reads foreign files has nothing of the collector in it.
			collector/symbols/child/*:collector/symbols/child/* | collector/symbols/child/*:collector/symbols/wire.h) ;;
			collector/symbols/child/*:schema/base/*) ;;
			collector/symbols/child/*:*) echo "$file:$line: may not include \"$included\"" ;;
			collector/*:collector/symbols/child/*) echo "$file:$line: may not include \"$included\"" ;;
			fs/*:fs/* | fs/*:schema/*) ;;
			collector/*:collector/* | collector/*:schema/*) ;;
			schema/*:schema/*) ;;
			preload/*:preload/* | preload/*:schema/shadow.h) ;;
			*) echo "$file:$line: may not include \"$included\"" ;;
			esac
		done
}

sample() {
	mkdir fs collector schema preload
	echo '#include "collector/loop.h"' >fs/a.c
	echo '#include "fs/node.h"' >collector/a.c
	printf '\n #  include "fs/node.h"\n' >schema/a.h
	echo '#include "node.h"' >fs/b.c
	echo '#include "schema/base/buf.h"' >preload/a.c
	mkdir -p collector/symbols/child
	echo '#include "collector/loop.h"' >collector/symbols/child/a.c
	echo '#include "collector/symbols/child/image.h"' >collector/symbols/a.c
	printf '%s\n' collector/symbols/child/a.c:1: collector/symbols/a.c:1: fs/a.c:1: collector/a.c:1: schema/a.h:2: fs/b.c:1: preload/a.c:1:
}

lint
