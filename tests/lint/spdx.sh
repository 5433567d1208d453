#!/bin/sh
# SPDX-License-Identifier: MIT
# Every source says its licence in its first three lines, and the one we chose.
# shellcheck source=tests/lint/common.inc
. "$(dirname "$0")/common.inc"

sources() {
	files '(\.(c|h|sh|bash|bats|inc|py|sql|def|map|js|css)|/?meson\.build|meson_options\.txt)$' | grep -vE '^tests/(fixtures|golden)/'
	files '' | grep -vE '\.[a-z]+$|^tests/(fixtures|golden|fuzz)/' | while read -r file; do
		head -c 2 "$file" | grep -aq '^#!' && echo "$file"
	done
}

check() {
	sources | sort -u | while read -r file; do
		head -n 3 "$file" | grep -q 'SPDX-License-Identifier: MIT' || echo "$file:1: no SPDX-License-Identifier: MIT"
	done
}

sample() {
	mkdir fs examples
	echo 'int x;' >fs/a.c
	printf '#!/bin/sh\n' >examples/a
	printf '%s\n' fs/a.c:1: examples/a:1:
}

lint
