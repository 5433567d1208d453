#!/bin/sh
# SPDX-License-Identifier: MIT
# What the shim is made of: the C library alone, no thread-local storage, nothing seen but what preload/shim.map says.
# shellcheck source=tests/lint/common.inc
. "$(dirname "$0")/common.inc"

check() {
	shim=$BUILD/libmemfs-preload.so
	[ -f "$shim" ] || { echo "$shim:0: is not there; build first"; return; }
	readelf -dW "$shim" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | grep -v '^libc\.so\.6$' | sed "s|^|preload/shim.c:0: needs |"
	readelf -lW "$shim" | awk '$1 == "TLS" { print "preload/shim.c:0: has thread-local storage" }'
	nm -D --undefined-only "$shim" | awk '{ print $NF }' | grep -vE '@GLIBC_|^(_ITM_|__gmon_start__|__cxa_finalize)' |
		sed 's|^|preload/shim.c:0: uses of others |'
	# fork and signals come at any time: nothing that locks, allocates or may be cancelled.
	nm -D --undefined-only "$shim" | awk '{ sub(/@.*/, "", $NF); print $NF }' |
		grep -E '^(_*(v?f?printf|v?asprintf|perror|puts|fputs|fopen|getline|strdup|getenv|abort|exit|open|read|write|close|mmap|socket|sendmsg|opendir|sem_.*|pthread_mutex_.*|__tls_get_addr)(64|_chk)*)$' |
		sed 's|^|preload/shim.c:0: may not use |'
	sed -n '/global:/,/local:/p' preload/shim.map | tr -d ' \t\n' | sed 's/global://;s/local:.*//' | tr ';' '\n' | grep . |
		sed 's/\*/[A-Za-z0-9_]*/g; s/^/^/; s/$/$/' >"$scratch/allowed"
	nm -D --defined-only "$shim" | awk '{ print $NF }' | grep -vEf "$scratch/allowed" | sed 's|^|preload/shim.map:0: does not name |'
}

sample() {
	mkdir -p build preload
	printf '# map\n{\nglobal:\n\tmalloc; memfs_*;\nlocal: *;\n};\n' >preload/shim.map
	cat >a.c <<'C'
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
static __thread int depth;
double memfs_a(double x) { depth++; printf("%s", getenv("X")); return cos(x) + depth; }
int stray(void) { return depth; }
C
	gcc -shared -fPIC -fno-builtin -o build/libmemfs-preload.so a.c -lm
	printf '%s\n' 'preload/shim.c:0: needs libm.so.6' 'preload/shim.c:0: has thread-local storage' \
		'preload/shim.c:0: may not use printf' 'preload/shim.c:0: may not use getenv' 'preload/shim.map:0: does not name stray'
}

lint
