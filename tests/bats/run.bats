#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# memfs run: the command is what it would be without, and on record from its first call on.
load helpers
load programs

setup_file() {
	echo 'int main(void) { return 4; }' | cc -static -x c -o "$BATS_FILE_TMPDIR/static" - 2>/dev/null || true
}

setup() {
	setup_memfs interval_ms=200,log_level=3
}

teardown() {
	teardown_memfs
}

# record ARG... : memfs run with this mount.
record() {
	"$MEMFS" run -o "run=$RUN" "$@"
}

recorded_total() {
	field "$MNT/status" recorded_total
}

# recorded_since N M: whether M more than N are on record. Others of this machine are as well.
recorded_since() {
	(($(recorded_total) - $1 >= $2))
}

has_region() {
	grep -q 'memfd:memfs-shadow' "/proc/$1/maps"
}

holds_one_of() {
	local inode
	inode=$(awk '/memfd:memfs-shadow/ { print $5; exit }' "/proc/$1/maps")
	[[ $inode ]] && stat -L -c %i "/proc/$2"/fd/* 2>/dev/null | grep -qx "$inode"
}

@test 'exit status, arguments, standard output and input are the command'\''s own' {
	local status
	for status in 0 1 7 124 255; do
		run record -- sh -c "exit $status"
		assert_equal "$status" "$status"
	done
	run record -- printf '%s|' 'a b' '' --follow
	assert_output 'a b||--follow|'
	run record -- cat <<<'in and out'
	assert_output 'in and out'
	run record -- sh -c 'kill -TERM $$'
	assert_equal "$status" 143
}

@test 'no process is in between: the pid is that of memfs run' {
	start "$MEMFS" run -o "run=$RUN" -- sleep 1000
	retry_until 10 has_name sleep "$STARTED"
	retry_until 10 has_region "$STARTED"
	retry_until 10 holds_one_of "$STARTED" "$(collector_pid)"
	retry_until 10 holds_one_of "$STARTED" "$(supervisor_pid)"
	# Nothing of what was handed over is left open.
	run find "/proc/$STARTED/fd" -lname '/memfd:*'
	assert_output ''
}

# holds NAME BYTES: the call site has so many live ones.
holds() {
	[[ $(awk -F'\t' -v name="$1" '$8 == name { print $3 }' "$MNT/local/$STARTED/leaks/callers") == "$2" ]]
}

@test 'a program that is not position independent and takes the address of malloc is on record' {
	cc -no-pie -fno-pic -O1 -x c -o "$BATS_TEST_TMPDIR/fixed" - <<-'END'
		#include <stdlib.h>
		#include <unistd.h>
		void *(*volatile allocate)(size_t) = malloc;
		int main(void)
		{
			void *(*volatile here)(size_t) = malloc;
			for (int i = 0; i < 10; i++)
				here(allocate == here ? 10000 : 1);
			return pause();
		}
	END
	start "$MEMFS" run -o "run=$RUN" -- "$BATS_TEST_TMPDIR/fixed"
	retry_until 10 holds main 100000
}

# As Debian's is: it takes the address of malloc.
@test 'python3 is on record, with an allocator of its own and without' {
	local python=/usr/bin/python3 allocator
	live() { (($(field "$MNT/local/$STARTED/leaks/stat" live_bytes) >= 5000000)); }
	for allocator in pymalloc malloc; do
		start env PYTHONMALLOC="$allocator" "$MEMFS" run -o "run=$RUN" -- "$python" -c 'import time
x = [bytearray(5000) for i in range(1000)]
time.sleep(1000)'
		retry_until 15 live
		stop "$STARTED"
	done
}

@test 'the shortest of lives are on record' {
	local before i
	before=$(recorded_total)
	for i in {1..50}; do
		record -- true
	done
	retry_until 20 recorded_since "$before" 50
}

@test 'children are followed, or not' {
	local before
	before=$(recorded_total)
	run record -- env
	assert_line MEMFS_TRACE=exact
	assert_line MEMFS_FOLLOW=yes
	assert_line "MEMFS_RUN=$RUN"
	run record --follow no --trace sample=64K -- env
	assert_line MEMFS_FOLLOW=no
	assert_line 'MEMFS_TRACE=sample 65536'
	record -- sh -c 'true | cat; (exec true)'
	retry_until 20 recorded_since "$before" 5
	start "$MEMFS" run -o "run=$RUN" --follow no -- sh -c 'sleep 1000 & wait'
	child() { pgrep -P "$STARTED" -x sleep; }
	retry_until 10 child
	retry_until 10 has_region "$STARTED"
	end_later "$(child)"
	run has_region "$(child)"
	assert_failure
}

@test 'what was preloaded stays preloaded' {
	local library
	library=$(realpath "$MEMFS_BUILD")/libmemfs-preload.so
	run env LD_PRELOAD=/nonexistent/other.so "$MEMFS" run -o "run=$RUN" -- sh -c 'echo "$LD_PRELOAD"'
	assert_output --partial "$library:/nonexistent/other.so"
}

@test 'without a memfs the command runs, and is told so once; not with --require' {
	run --separate-stderr "$MEMFS" run -o run=/nonexistent -- echo fine
	assert_success
	assert_output fine
	assert_equal "${#stderr_lines[@]}" 1
	[[ ${stderr_lines[0]} == 'memfs: no memfs takes records in /nonexistent'* ]]
	run --separate-stderr "$MEMFS" run --require -o run=/nonexistent -- echo fine
	assert_equal "$status" 125
	assert_output ''
}

@test 'what cannot be recorded is said' {
	[[ -x $BATS_FILE_TMPDIR/static ]] || skip 'kernel: no static C library is installed'
	run --separate-stderr record -- "$BATS_FILE_TMPDIR/static"
	assert_equal "$status" 4
	[[ $stderr == *'is statically linked'* ]]
	run record --require -- "$BATS_FILE_TMPDIR/static"
	assert_equal "$status" 125
}

@test 'setuid programs are said to be none of ours' {
	local copy=$BATS_TEST_TMPDIR/id
	cp "$(command -v id)" "$copy"
	chown nobody "$copy"
	chmod 4755 "$copy"
	run record --require -- "$copy"
	assert_equal "$status" 125
	assert_output --partial 'has rights that you have not'
}

@test 'wrong arguments, and commands that are none' {
	run record
	assert_equal "$status" 2
	assert_output --partial 'usage: memfs run'
	run record --trace never -- true
	assert_equal "$status" 2
	assert_output --partial 'there is no mode "never"'
	run record --follow maybe -- true
	assert_equal "$status" 2
	run "$MEMFS" run -o state=/x -- true
	assert_equal "$status" 2
	run -127 record -- no-such-command
	run record -- /
	assert_equal "$status" 126
	run -127 record --report -- no-such-command
	refute_output --partial 'report'
}

@test 'with --report signals reach the command, and its end is passed on' {
	run record --report -- sh -c 'exit 9'
	assert_equal "$status" 9
	start "$MEMFS" run -o "run=$RUN" --report -- sh -c 'trap "echo got it; exit 5" TERM; echo ready; while :; do sleep 0.05; done'
	child() { pgrep -P "$STARTED" -x sh; }
	retry_until 10 child
	local status=0
	# Until its trap is set the signal would end it.
	asleep() { pgrep -P "$(child)" -x sleep; }
	retry_until 10 asleep
	kill -TERM "$STARTED"
	wait "$STARTED" || status=$?
	assert_equal "$status" 5
	run record --report -- sh -c 'kill -KILL $$'
	assert_equal "$status" 137
}

@test 'a limit of file size, few descriptors, closed standard input' {
	run bash -c "ulimit -f 100; '$MEMFS' run -o 'run=$RUN' -- echo fine"
	assert_output fine
	run bash -c "ulimit -n 8; '$MEMFS' run -o 'run=$RUN' -- echo fine"
	assert_output fine
	run bash -c "exec <&-; '$MEMFS' run -o 'run=$RUN' -- echo fine"
	assert_output fine
}

@test 'a chain of programs, and a storm of them' {
	local before
	before=$(recorded_total)
	record -- env env env sh -c 'exec env true'
	retry_until 20 recorded_since "$before" 5
	before=$(recorded_total)
	record -- sh -c 'i=0; while [ $i -lt 200 ]; do true & /bin/true & i=$((i + 1)); done; wait'
	retry_until 40 recorded_since "$before" 200
}

@test 'an ordinary user'\''s command is on record of root'\''s mount' {
	local copy=$BATS_TEST_TMPDIR/bin before
	mkdir "$copy"
	cp "$MEMFS" "$(dirname "$MEMFS")/libmemfs-preload.so" "$copy"
	chmod 755 "$copy" "$copy"/*
	before=$(recorded_total)
	run setpriv --reuid=nobody --regid=nogroup --clear-groups "$copy/memfs" run -o "run=$RUN" --require -- id -un
	assert_success
	assert_output nobody
	retry_until 20 recorded_since "$before" 1
}

@test 'an ordinary user'\''s mount takes the records of that user, over the death of its collector' {
	local folder=$BATS_TEST_TMPDIR/user memfs
	memfs=$(memfs_for_users)
	cp "$MEMFS_BUILD/libmemfs-preload.so" "${memfs%/*}"
	chmod 644 "${memfs%/*}/libmemfs-preload.so"
	mkdir -p "$folder/mnt" "$folder/state"
	cat >"$folder/inside" <<'SH'
set -eu
memfs=$1 folder=$2
"$memfs" mount -o "state=$folder/state,run=$folder/run,node=user,interval_ms=200" "$folder/mnt"
trap '"$memfs" umount "$folder/mnt"' EXIT
value() { awk -v key="$1" '$1 == key { print $2 }' "$folder/mnt/status"; }
wait_for() { for i in $(seq 600); do if "$@"; then return; fi; sleep 0.05; done; echo "not in time: $*"; return 1; }
"$memfs" run --require -o "run=$folder/run" -- sleep 1000 &
one() { [ "$(value recorded)" = 1 ]; }
wait_for one
kill -KILL "$(awk '$1 == "collector" { print $2 }' "$folder/run/state")"
again() { [ "$(value recorded_total)" -ge 2 ] && one; }
wait_for again
kill $!
none() { [ "$(value recorded)" = 0 ]; }
wait_for none
echo fine
SH
	chown -R nobody:nogroup "$folder"
	run as_user timeout 100 bash "$folder/inside" "$memfs" "$folder"
	assert_success
	assert_line fine
}
