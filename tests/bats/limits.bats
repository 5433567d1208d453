#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Bad days: few descriptors, no space, no writable disk, a damaged database. Numbers go on, and status tells.
load helpers

teardown() {
	teardown_memfs
	local dir
	for dir in "$BATS_TEST_TMPDIR"/disk; do
		! mountpoint -q "$dir" || umount "$dir"
	done
}

# serves: numbers, tables and the listing are there.
serves() {
	assert_equal "$(cat "$MNT/local/total")" $(($(field /proc/meminfo MemTotal: | cut -d' ' -f1) * 1024))
	[[ $(wc -l <"$MNT/local/processes") -gt 1 && -s $MNT/self/rss && -d $MNT/local/1 ]]
	assert_equal "$(field "$MNT/status" collector)" running
}

history_is() {
	[[ $(field "$MNT/status" history) == "$1" ]]
}

# disk SIZE: a file system of its own as state directory.
disk() {
	mkdir -p "$BATS_TEST_TMPDIR/disk" "$BATS_TEST_TMPDIR/mnt"
	mount -t tmpfs -o "size=$1,mode=755" memfs-test "$BATS_TEST_TMPDIR/disk"
}

mount_on_disk() {
	MNT=$BATS_TEST_TMPDIR/mnt STATE=$BATS_TEST_TMPDIR/disk RUN=$BATS_TEST_TMPDIR/run
	export_sanitizers
	"$MEMFS" mount -o "state=$STATE,run=$RUN,interval_ms=100${1:+,$1}" "$MNT" 3>&-
}

@test '64 descriptors are enough for all of memfs' {
	(ulimit -n 64 && setup_memfs)
	MNT=$BATS_TEST_TMPDIR/m/mnt RUN=$BATS_TEST_TMPDIR/m/run
	run -0 python3 - "$MNT/local" <<'PYTHON'
import os, subprocess, sys
tables = [os.open(sys.argv[1] + "/processes", os.O_RDONLY) for _ in range(300)]
streams = [os.open(sys.argv[1] + "/events", os.O_RDONLY) for _ in range(100)]
child = subprocess.Popen(["sleep", "1000"])
assert all(os.read(fd, 100).startswith(b"pid\t") for fd in tables)
assert all(os.read(fd, 65536) for fd in streams)
readers = [subprocess.Popen(["cat", f"{sys.argv[1]}/{pid}/pss", f"{sys.argv[1]}/{pid}/history/10m"], stdout=subprocess.DEVNULL)
           for pid in [os.getpid()] * 40]
assert not any(reader.wait() for reader in readers)
child.kill()
child.wait()
PYTHON
	serves
	echo 'history_days 9' >"$MNT/local/config"
	grep -q '^Max open files  *64 ' "/proc/$(serve_pid)/limits"
	grep -q '^Max open files  *64 ' "/proc/$(collector_pid)/limits"
}

@test 'a limit on the size of files stops history, and nothing else' {
	setup_memfs interval_ms=100
	retry_until 5 history_is ok
	prlimit --pid "$(collector_pid)" --fsize=16384:unlimited
	retry_until 15 sh -c "! grep -q 'history  *ok' '$MNT/status'"
	serves
	prlimit --pid "$(collector_pid)" --fsize=unlimited
	retry_until 30 history_is ok
}

@test 'a full disk: numbers go on, status tells, and history is kept again when there is space' {
	disk 16m # more than the write-ahead log ever takes
	mount_on_disk
	retry_until 5 history_is ok
	head -c 32m /dev/zero >"$BATS_TEST_TMPDIR/disk/fill" 2>/dev/null || true
	retry_until 30 history_is full
	serves
	grep -q 'history is not kept: no space' "$RUN/log"
	local last
	last=$(tail -n 1 "$MNT/local/history/10m" | cut -f1)
	rm "$BATS_TEST_TMPDIR/disk/fill"
	retry_until 30 history_is ok
	retry_until 10 newer_than "$last"
	grep -q 'history is kept again' "$RUN/log"
	serves
}

newer_than() {
	[[ $(tail -n 1 "$MNT/local/history/10m" | cut -f1) -gt $1 ]]
}

@test 'a disk full from the start' {
	disk 64k
	head -c 1m /dev/zero >"$BATS_TEST_TMPDIR/disk/fill" 2>/dev/null || true
	mount_on_disk
	serves
	run ! history_is ok
	run cat "$MNT/local/history/10m"
	assert_failure 1
	mount -o remount,size=4m "$BATS_TEST_TMPDIR/disk"
	retry_until 30 history_is ok
	retry_until 10 newer_than 0
}

@test 'a damaged database is set aside, and a new one begins' {
	setup_memfs interval_ms=100
	retry_until 10 newer_than 0
	"$MEMFS" umount "$MNT"
	head -c 100000 /dev/urandom >"$STATE/history.db"
	rm -f "$STATE"/history.db-*
	cp "$STATE/history.db" "$BATS_TEST_TMPDIR/damaged"
	setup_memfs interval_ms=100,log_level=2
	history_is ok
	local aside
	aside=$(find "$STATE" -name 'history.db.damaged-*')
	cmp "$aside" "$BATS_TEST_TMPDIR/damaged"
	retry_until 5 grep -q "history was damaged; it is kept as ${aside##*/}" "$RUN/log"
	retry_until 10 newer_than 0
	serves
}

@test 'a database deleted under memfs comes back' {
	setup_memfs interval_ms=100
	retry_until 10 newer_than 0
	rm "$STATE"/history.db*
	retry_until 15 test -s "$STATE/history.db"
	retry_until 15 newer_than 0
	serves
}

@test 'a damaged id is replaced by another' {
	setup_memfs
	local id
	id=$(cat "$MNT/local/id")
	"$MEMFS" umount "$MNT"
	setup_memfs
	assert_equal "$(cat "$MNT/local/id")" "$id"
	"$MEMFS" umount "$MNT"
	echo nonsense >"$STATE/id"
	setup_memfs
	[[ $(cat "$MNT/local/id") =~ ^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$ ]]
	assert_equal "$(cat "$STATE/id")" "$(cat "$MNT/local/id")"
}

@test 'a state directory that cannot be written: no history, and all the rest' {
	disk 1M
	mount -o remount,ro "$BATS_TEST_TMPDIR/disk"
	mount_on_disk
	serves
	retry_until 5 history_is read-only
	cat "$MNT/self/pss" >/dev/null
}
