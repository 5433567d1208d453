#!/bin/sh
# SPDX-License-Identifier: MIT
# One door per power: sqlite in schema/store/, libfuse in fs/fuse/, the kernel's files through schema/proc/root.
# shellcheck source=tests/lint/common.inc
. "$(dirname "$0")/common.inc"

# door ALLOWED-FILES PATTERN WHAT: complains about lines of code that match outside of the files allowed.
door() {
	set -- "$1" "$2" "$3" "$(files '^(fs|collector|schema|preload)/.*\.(c|h|def|inc)$' | grep -vE "$1")"
	[ -n "$4" ] || return 0
	# shellcheck disable=SC2086 # a list of files
	code $4 | grep -E "^[^:]*:[0-9]*:.*($2)" | sed -E "s|^([^:]*:[0-9]*):.*|\\1: $3|"
}

check() {
	door '^schema/store/' '\<sqlite3_[a-z]|<sqlite3\.h>' 'sqlite belongs to schema/store/'
	# Our own names begin with fuse_ as well, so what is libfuse's is asked of its headers.
	libfuse=$(grep -ohE '\<fuse_[a-z0-9_]+ *\(' "$(pkg-config --variable=includedir fuse3)"/fuse3/*.h | tr -d ' (' | sort -u | paste -s -d '|')
	door '^fs/fuse/' "\\<(${libfuse:-fuse_[a-z_]+})\\>|<fuse[^>]*\.h>" 'libfuse belongs to fs/fuse/'
	door '^collector/sample/tasks[^/]*$' '\<(lib)?bpf_[a-z_]+ *\(|<bpf/|\.skel\.h' 'libbpf belongs to collector/sample/tasks*'
	door '^collector/symbols/child/' '\<(dwarf|dwfl|dwelf|gelf|elf)_[a-z_]+ *\(|<(elfutils/|libelf|gelf|dwarf)' 'libdw belongs to collector/symbols/child/'
	door '^collector/symbols/child/demangle\.c$' '\<(cplus|rust)_demangle|<libiberty/' 'libiberty belongs to collector/symbols/child/demangle.c'
	# supervisor.c and its like read their own mounts and hold their own descriptors, which no fixture root has:
	# /proc/self and /proc/thread-self are about us, not about the machine that is watched.
	# The shim is libc only, and asks what kind of machine it is on.
	door '^schema/proc/root\.[ch]$|^preload/' '"/(proc|sys)(/[^" ,]*)?"' 'the kernel'\''s files are opened through schema/proc/root' |
		while IFS=: read -r file line text; do
			sed -n "${line}p" "$file" | grep -qE '"/proc/(thread-)?self(/|")' || echo "$file:$line:$text"
		done
}

sample() {
	mkdir -p fs collector schema/proc
	printf '/* sqlite3_open */\nint x = sqlite3_open(0);\n' >fs/a.c
	echo '#include <fuse3/fuse_lowlevel.h>' >collector/a.c
	echo 'int r = bpf_iter_create(1);' >collector/c.c
	echo 'int y = fuse_reply_err (0, 1);' >fs/b.c
	mkdir -p collector/symbols
	printf '#include <elfutils/libdw.h>\nint z = dwarf_tag(0);\nchar *p = cplus_demangle(0, 0);\n' >collector/symbols/peer.c
	printf 'open("/proc/self/mounts");\nopen("/proc/meminfo");\nopen("/sys/x"); /* why */\n' >collector/b.c
	printf '%s\n' fs/a.c:2: collector/a.c:1: fs/b.c:1: collector/b.c:2: collector/b.c:3: collector/c.c:1: \
		collector/symbols/peer.c:1: collector/symbols/peer.c:2: collector/symbols/peer.c:3:
}

lint
