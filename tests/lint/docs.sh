#!/bin/sh
# SPDX-License-Identifier: MIT
# docs/tree.md, docs/settings.md and the manual pages are what the compiled tables print; refresh them with `memfs ARGUMENTS >FILE`.
# shellcheck source=tests/lint/common.inc
. "$(dirname "$0")/common.inc"

# fresh FILE ARGUMENT...: complains about FILE where it is not what memfs prints with these arguments.
fresh() {
	file=$1
	shift
	"$BUILD/memfs" "$@" >"$scratch/fresh" 2>"$scratch/error" || { sed "s|^|$BUILD/memfs:0: |" "$scratch/error"; return; }
	[ -f "$file" ] || { echo "$file:1: is not there; memfs $* prints it"; return; }
	diff -U0 "$file" "$scratch/fresh" >"$scratch/diff" ||
		sed -nE "s|^@@ -([0-9]+).*|$file:\\1: is not what memfs $* prints|p" "$scratch/diff"
}

check() {
	fresh docs/tree.md tree --markdown
	fresh docs/settings.md settings --markdown
	fresh docs/man/memfs.5 tree --man
	fresh docs/man/memfs.1 --help --man
}

sample() {
	mkdir -p docs/man build
	printf 'one\ntwo\n' | tee docs/tree.md docs/settings.md >docs/man/memfs.1
	printf '#!/bin/sh\nprintf "one\\n2\\n"\n' >build/memfs
	chmod +x build/memfs
	printf '%s\n' docs/tree.md:2: docs/settings.md:2: docs/man/memfs.5:1: docs/man/memfs.1:2:
}

lint
