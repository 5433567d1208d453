#!/bin/sh
# SPDX-License-Identifier: MIT
# Every header compiles by itself and begins by saying what it is for.
# shellcheck source=tests/lint/common.inc
. "$(dirname "$0")/common.inc"

check() {
	flags=$(pkg-config --cflags fuse3 sqlite3 uuid glib-2.0 libcap libdw)
	files '^(fs|collector|schema|preload)/.*\.h$' | while read -r file; do
		head -n 12 "$file" | sed 1d | grep -q '/\*' || echo "$file:2: does not say what it is for"
		# shellcheck disable=SC2086 # a list of options
		echo "#include \"$file\"" | gcc -std=gnu17 -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DMEMFS_VERSION='""' -I. $flags -Wall -Wno-unused \
			-fsyntax-only -x c - 2>&1 | grep -E 'error|warning' | grep -v '^<stdin>' | head -n 3
	done
}

sample() {
	mkdir fs
	printf '/* SPDX-License-Identifier: MIT */\n/* a.h: lacks an include. */\nsize_t a(void);\n' >fs/a.h
	printf '/* SPDX-License-Identifier: MIT */\nint b(void);\n' >fs/b.h
	printf '%s\n' fs/a.h:3: fs/b.h:2:
}

lint
