#!/bin/sh
# SPDX-License-Identifier: MIT
# Parsers do no I/O, allocate nothing and log nothing: their objects refer to nothing that does.
# shellcheck source=tests/lint/common.inc
. "$(dirname "$0")/common.inc"

check() {
	list=$(objects 'schema_proc_|schema_pack|schema_settings|schema_base_when|collector_symbols_(glob|skip|suppress|noise|folded|stack_walk|wire)' | grep -v '/schema_proc_root\.c\.o$')
	[ -n "$list" ] || { echo "$BUILD:0: no objects to look at; build first"; return; }
	for object in $list; do
		nm -u "$object" | awk '{ print $2 }' | sed 's/@.*//' |
			grep -E '^(_*(v?f?printf|v?asprintf|perror|puts|fputs|fwrite|fread|fopen|fclose|getline|fgets)(_chk)?|_*(open|openat|read|pread|write|pwrite|close|mmap|ioctl|socket|send|recv)(64|_chk|_2)*|malloc|calloc|realloc|reallocarray|free|strdup|strndup|aligned_alloc|posix_memalign|syslog|log_[a-z_]*|sqlite3_.*|root_[a-z_]*|exit|abort|_exit)$' |
			while read -r symbol; do
				echo "$(object_source "$object"):0: a parser may not use $symbol"
			done
	done
}

sample() {
	mkdir -p schema/proc build
	cat >schema/proc/a.c <<'C'
#include <stdlib.h>
#include <stdio.h>
#include <fcntl.h>
char *a_parse(const char *text) { char *copy = malloc(10); printf("%s", text); return open(text, 0) < 0 ? NULL : copy; }
C
	gcc -c schema/proc/a.c -o build/schema_proc_a.c.o
	for symbol in malloc printf open; do
		echo "schema/proc/a.c:0: a parser may not use $symbol"
	done
}

lint
