#!/bin/sh
# SPDX-License-Identifier: MIT
# docs/tree.md is what the compiled table of nodes prints; refresh it with `memfs tree --markdown >docs/tree.md`.
# shellcheck source=tests/lint/common.inc
. "$(dirname "$0")/common.inc"

check() {
	"$BUILD/memfs" tree --markdown >"$scratch/tree.md" 2>"$scratch/error" || { sed "s|^|$BUILD/memfs:0: |" "$scratch/error"; return; }
	[ -f docs/tree.md ] || { echo 'docs/tree.md:1: is not there; memfs tree --markdown prints it'; return; }
	diff -U0 docs/tree.md "$scratch/tree.md" >"$scratch/diff" ||
		sed -nE 's/^@@ -([0-9]+).*/docs\/tree.md:\1: is not what memfs tree --markdown prints/p' "$scratch/diff"
}

sample() {
	mkdir docs build
	printf 'one\ntwo\n' >docs/tree.md
	printf '#!/bin/sh\nprintf "one\\n2\\n"\n' >build/memfs
	chmod +x build/memfs
	echo docs/tree.md:2:
}

lint
