#!/bin/sh
# SPDX-License-Identifier: MIT
# Nothing of the machine it was written on, no promise in place of work, no sleep in place of a condition.
# shellcheck source=tests/lint/common.inc
. "$(dirname "$0")/common.inc"

check() {
	files '' | grep -vE '^(LICENSE$|tests/fixtures/|tests/golden/|tests/fuzz/corpus/)' | while read -r file; do
		grep -nHIE '(^|[^A-Za-z0-9_./$}*-])/(home|Users|work|workspace|builds|srv|scratch)/[A-Za-z0-9]' "$file" |
			sed -E 's/^([^:]*:[0-9]+):.*/\1: a path of one machine/'
		# Split so that this file does not find itself.
		grep -nHIE '\<(TO''DO|FIX''ME|X''XX)\>' "$file" | sed -E 's/^([^:]*:[0-9]+):.*/\1: a note to do it later/'
	done
	files '^tests/.*\.(bats|bash)$' | grep -v '/helpers\.bash$' | while read -r file; do
		grep -nHE '^[^#]*\<sleep +([1-9][0-9]?(\.[0-9]+)?|0?\.[1-9][0-9]*)s? *($|;|#)' "$file" |
			sed -E 's/^([^:]*:[0-9]+):.*/\1: sleep as synchronisation; retry_until polls (less than 0.1 s is a poll, from 100 s on a victim)/'
	done
}

sample() {
	mkdir -p docs tests/bats
	printf 'see\n/ho''me/someone/notes\n// TO''DO\n' >docs/a.md
	printf '@test "a" {\n\tsleep 1\n}\n' >tests/bats/a.bats
	printf '%s\n' docs/a.md:2: docs/a.md:3: tests/bats/a.bats:2:
}

lint
