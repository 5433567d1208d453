#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# What was found by attacking memfs: each attack, and that it holds.
load helpers
load programs

teardown() {
	cd "$TOP"
	local dir
	for dir in "$BATS_TEST_TMPDIR"/stuck-*; do
		umount -l "$dir" 2>/dev/null || true
	done
	teardown_memfs
}

@test 'a write that the kernel cuts is refused, never half of a number set' {
	setup_memfs
	run -0 python3 - "$MNT/local/config" "$BATS_TEST_TMPDIR/pages" <<'PYTHON'
import errno, mmap, os, sys
config = os.open(sys.argv[1], os.O_RDWR)
def freshness():
    return next(line.split()[1] for line in open(sys.argv[1]) if line.startswith("freshness_ms"))
def write(act):
    try:
        return act()
    except OSError as error:
        assert error.errno == errno.EINVAL, error
        return 0
line = b"freshness_ms 400\n"
# Across two pages of the file: what a shell comes to that writes many times to one descriptor.
for at in range(4096 - len(line) - 1, 4097):
    os.pwrite(config, b"freshness_ms 100\n", 0)
    taken = write(lambda: os.pwrite(config, line, at))
    assert (taken, freshness()) in ((0, "100"), (len(line), "400")), (at, taken, freshness())
# Across two pages of the writer's memory, of which the second is not present.
pages = os.open(sys.argv[2], os.O_RDWR | os.O_CREAT)
os.write(pages, b"\n" * (4096 - len(line) + 2) + line + b"\n" * 8192)
memory = mmap.mmap(pages, 8192, prot=mmap.PROT_READ)
for _ in range(5):
    os.pwrite(config, b"freshness_ms 100\n", 0)
    memory[0]
    memory.madvise(mmap.MADV_DONTNEED, 4096, 4096)
    begin = 4096 - len(line) + 2
    taken = write(lambda: os.pwrite(config, memoryview(memory)[begin:begin + len(line)], 0))
    assert (taken, freshness()) in ((0, "100"), (len(line), "400")), (taken, freshness())
PYTHON
	run bash -c 'printf "freshness_ms 40" >"$1"' bash "$MNT/local/config"
	assert_failure
	assert_output --partial 'Invalid argument'
	grep -q 'reason .*ends with a newline' "$MNT/why"
}

# stuck_processes N: processes whose mmap lock is held for ever; sets STUCK to their pids, HOLDERS to those who end them.
stuck_processes() {
	local i
	HOLDERS=()
	build_programs mmap-stuck
	mkfifo "$BATS_TEST_TMPDIR/hold"
	for ((i = 0; i < $1; i++)); do
		mkdir "$BATS_TEST_TMPDIR/stuck-$i"
		# shellcheck disable=SC2016
		start bash -c 'exec "$0" "$1" <>"$2" >"$3"' "$BATS_FILE_TMPDIR/mmap-stuck" "$BATS_TEST_TMPDIR/stuck-$i" \
			"$BATS_TEST_TMPDIR/hold" "$BATS_TEST_TMPDIR/who-$i"
		HOLDERS+=("$STARTED")
	done
	retry_until 20 bash -c '[[ $(cat "$1"/who-* | wc -l) == "$2" ]]' bash "$BATS_TEST_TMPDIR" "$1"
	mapfile -t STUCK < <(cat "$BATS_TEST_TMPDIR"/who-*)
}

# read_as UID FILE...: each in a process of its own, in the background; sets READERS.
read_as() {
	local uid=$1 file
	shift
	READERS=()
	for file; do
		start setpriv --reuid="$uid" --regid="$uid" --clear-groups cat "$file" >/dev/null 2>&1
		READERS+=("$STARTED")
	done
}

# All wait for an answer of memfs: none has ended, and none is on its way.
all_wait() {
	local pid
	for pid; do
		grep -q '^[DS] ' <(sed 's/.*) //' "/proc/$pid/stat") && [[ $(cat "/proc/$pid/wchan") == request_wait_answer ]] || return 1
	done
}

@test 'processes whose command line cannot be read keep nobody from the tables' {
	setup_memfs
	stuck_processes 24
	# shellcheck disable=SC2046
	read_as 4001 $(printf "$MNT/local/%s/cmdline " "${STUCK[@]}")
	retry_until 10 all_wait "${READERS[@]}"
	timeout -s KILL 5 cat "$MNT/local/top/rss" >/dev/null
	timeout -s KILL 5 cat "$MNT/local/$$/cmdline" >/dev/null
	timeout -s KILL 5 setpriv --reuid=4002 --regid=4002 --clear-groups cat "$MNT/local/processes" >/dev/null
	kill "${HOLDERS[@]}"
	# Those that waited behind them are answered, too.
	retry_until 10 bash -c '! kill -0 "$@" 2>/dev/null' bash "${READERS[@]}"
	timeout -s KILL 5 setpriv --reuid=4001 --regid=4001 --clear-groups cat "$MNT/local/processes" >/dev/null
}

@test 'processes that cannot be measured keep nobody from settings, nor others from being measured' {
	setup_memfs
	stuck_processes 6
	# shellcheck disable=SC2046
	read_as 0 $(printf "$MNT/local/%s/pss " "${STUCK[@]}")
	start setpriv --reuid=4002 --regid=4002 --clear-groups sleep 1000
	local other=$STARTED
	retry_until 10 all_wait "${READERS[@]}"
	retry_until 5 grep -q "^$other	" "$MNT/local/processes"
	timeout -s KILL 5 bash -c 'echo "freshness_ms 250" >"$1"' bash "$MNT/local/config"
	[[ $(timeout -s KILL 5 cat "$MNT/local/$other/pss") -gt 0 ]]
	# Nor do they hold up the end.
	local began=$SECONDS
	"$MEMFS" umount "$MNT"
	((SECONDS - began < 5 * PATIENCE))
	retry_until 10 none_left
}

@test 'an ordinary user with thousands of open tables keeps nobody from opening more' {
	setup_memfs
	run -0 python3 - "$MNT/local" <<'PYTHON'
import errno, os, resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (5000, 5000))
table, opened = sys.argv[1] + "/processes", []
os.seteuid(4001)
try:
    while True:
        opened.append(os.open(table, os.O_RDONLY))
except OSError as error:
    assert error.errno == errno.EMFILE and 100 < len(opened) < 4096, (error, len(opened))
os.seteuid(0)
os.seteuid(4002)
for _ in range(100):
    assert os.read(os.open(table, os.O_RDONLY), 4) == b"pid\t"
os.seteuid(0)
assert os.read(os.open(table, os.O_RDONLY), 4) == b"pid\t"
os.seteuid(4001)
assert os.read(opened[0], 4) == b"pid\t"
os.close(opened.pop())
# Closing is told without waiting for it.
for _ in range(1000):
    try:
        opened.append(os.open(table, os.O_RDONLY))
        break
    except OSError:
        pass
else:
    raise AssertionError("what was closed cannot be opened again")
PYTHON
}

@test 'mounted without standard input, output and error' {
	export_sanitizers
	MNT=$BATS_TEST_TMPDIR/m/mnt STATE=$BATS_TEST_TMPDIR/m/state RUN=$BATS_TEST_TMPDIR/m/run
	mkdir -p "$MNT" "$STATE"
	timeout 20 bash -c 'exec "$@" <&- >&- 2>&- 3>&-' bash "$MEMFS" mount -o "state=$STATE,run=$RUN,node=closed" "$MNT"
	[[ $(cat "$MNT/local/total") -gt 0 ]]
	"$MEMFS" umount "$MNT"
	start bash -c 'exec "$@" <&- >&- 2>&- 3>&-' bash "$MEMFS" mount -f -o "state=$STATE,run=$RUN,node=closed" "$MNT"
	retry_until 10 test -s "$MNT/local/total"
	# Nobody writes a log into what took the number of standard error.
	assert_equal "$(readlink "/proc/$STARTED/fd/2" "/proc/$(serve_pid)/fd/2" "/proc/$(collector_pid)/fd/2")" "$(printf '/dev/null\n%.0s' 1 2 3)"
	"$MEMFS" umount "$MNT"
	wait "$STARTED"
}

@test 'what another has mounted over memfs is not unmounted as memfs' {
	setup_memfs
	mount -t tmpfs over "$MNT"
	run "$MEMFS" umount "$MNT"
	umount "$MNT"
	assert_failure
	assert_output --partial 'no memfs is mounted'
	[[ $(cat "$MNT/local/total") -gt 0 ]]
}

@test 'a mount point with blanks and control bytes in its name' {
	local name
	for name in 'a b' $'a\nserve 1 1' $'a\x01\x7f\r' 'a\b#'; do
		setup_memfs_at "$name"
		[[ $(cat "$MNT/local/total") -gt 0 ]]
		run "$MEMFS" mount -o "state=$STATE-2,run=$RUN-2,node=second" "$MNT"
		assert_failure
		assert_output --partial 'mounted'
		"$MEMFS" umount "$MNT"
		retry_until 10 none_left
	done
}

@test 'a stopped collector does not hold up the end' {
	setup_memfs
	kill -STOP "$(collector_pid)"
	local began=$SECONDS
	"$MEMFS" umount "$MNT"
	((SECONDS - began < 5 * PATIENCE))
}

# running NAME: how many of that name there are for this test.
running() {
	local pid
	for pid in $(memfs_pids); do
		cat "/proc/$pid/comm" 2>/dev/null
	done | grep -cx "$1"
}

# Both are written down anew, whether or not they have begun.
both_are_new() {
	local serve collector
	serve=$(serve_pid) collector=$(collector_pid)
	((serve && collector && serve != $1 && collector != $2))
}

one_of_each() {
	[[ $(running memfs-collector) == 1 && $(running memfs-serve) == 1 ]]
}

@test 'children killed again and again, all at once: one of each is left' {
	setup_memfs
	local i supervisor serve collector
	supervisor=$(supervisor_pid)
	for i in {1..15}; do
		serve=$(serve_pid) collector=$(collector_pid)
		# Stopped meanwhile, the supervisor learns of all in one turn.
		kill -STOP "$supervisor"
		kill -KILL "$serve" "$collector"
		kill -CONT "$supervisor"
		retry_until 10 both_are_new "$serve" "$collector"
	done
	[[ $(cat "$MNT/local/total") -gt 0 ]]
	retry_until 10 one_of_each
}

@test 'what root splices out of errors and why is not in the pages that others are given' {
	local options
	for options in log_level=1 single; do
		setup_memfs_at "$options" "$options"
		run -0 python3 - "$MNT" "$BATS_TEST_TMPDIR" <<'PYTHON'
import os, sys
mount, folder = sys.argv[1:]
def spliced(fd, name):
    out = os.open(folder + "/" + name, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    os.fstat(fd)
    os.sendfile(out, fd, 0, 4096)
    return os.pread(out, 4096, 0)
for name in "local/errors", "why":
    os.seteuid(4001)
    early = os.open(f"{mount}/{name}", os.O_RDONLY)
    os.seteuid(0)
    try:
        os.chmod(mount + "/local/total", 0o777)
        raise AssertionError("not refused")
    except PermissionError:
        pass
    own = os.open(f"{mount}/{name}", os.O_RDONLY)
    assert b"nodes/" in spliced(own, "root"), name
    assert b"nodes/" not in spliced(early, "user"), name
    # Nor is root's open file another's to open.
    os.seteuid(4001)
    try:
        os.open(f"/proc/self/fd/{own}", os.O_RDONLY)
        raise AssertionError("root's own was opened")
    except PermissionError:
        pass
    os.seteuid(0)
PYTHON
	done
	MNT=$BATS_TEST_TMPDIR/log_level=1/mnt
}

@test 'what /proc hides from others is not shown to them' {
	export_sanitizers
	mkdir "$BATS_TEST_TMPDIR/mnt"
	local mode
	for mode in 1 2; do
		# In a pid namespace, whose /proc is another.
		run unshare --mount --pid --fork --mount-proc --propagation private bash -c '
			mount -o remount,hidepid="$1" /proc || exit 77
			"$2" mount -o "run=$3/run,state=$3/state" "$3/mnt" && { "$2" umount "$3/mnt"; exit 1; }
			mount -o remount,hidepid=0 /proc
			"$2" mount -o "run=$3/run,state=$3/state" "$3/mnt" && "$2" umount "$3/mnt" && echo then it mounts' \
			bash "$mode" "$MEMFS" "$BATS_TEST_TMPDIR" 3>&-
		[[ $status != 77 ]] || skip 'kernel: no hidepid'
		assert_success
		assert_output --partial 'hidepid=0'
		assert_output --partial 'then it mounts'
	done
}

# foreign_run MODE OWNER: a run directory made beforehand, full of links to what is precious, whose state names a
# process of somebody's; sets RUN, MNT, STATE, PRECIOUS, VICTIM.
foreign_run() {
	export_sanitizers
	MNT=$BATS_TEST_TMPDIR/mnt RUN=$BATS_TEST_TMPDIR/made STATE=$BATS_TEST_TMPDIR/state PRECIOUS=$BATS_TEST_TMPDIR/precious
	mkdir -p "$MNT" "$RUN" "$STATE"
	echo precious >"$PRECIOUS"
	chmod "$1" "$RUN"
	start sleep 1000
	VICTIM=$STARTED
	printf 'supervisor %d %d\nserve %d %d\ncollector %d %d\nmount %s %s / 0\ncollected %s /\n' \
		"$VICTIM" "$(start_ticks "$VICTIM")" "$VICTIM" "$(start_ticks "$VICTIM")" "$VICTIM" "$(start_ticks "$VICTIM")" \
		"$MNT" forged "$STATE" >"$RUN/state"
	chown -R "$2" "$RUN"
}

start_ticks() {
	sed 's/.*) //' "/proc/$1/stat" | cut -d ' ' -f 20
}

# Refused with that reason, and nobody's file or process is touched.
assert_mount_refused() {
	run -1 "$MEMFS" mount -o "state=$STATE,run=$RUN,node=forged" "$MNT"
	assert_output --partial "$1"
	assert_equal "$(cat "$PRECIOUS")" precious
	kill -0 "$VICTIM"
	[[ $(sed 's/.*) //' "/proc/$VICTIM/stat") != Z* ]]
	run ! mountpoint -q "$MNT"
}

@test 'a run directory that another user made beforehand is refused' {
	foreign_run 777 4001
	ln -s "$PRECIOUS" "$RUN/log"
	assert_mount_refused 'belongs to user 4001'
	# Nor a link of another's to a directory of ours.
	mkdir "$BATS_TEST_TMPDIR/own"
	ln -s "$BATS_TEST_TMPDIR/own" "$BATS_TEST_TMPDIR/link"
	chown -h 4001 "$BATS_TEST_TMPDIR/link"
	RUN=$BATS_TEST_TMPDIR/link
	assert_mount_refused 'belongs to user 4001'
	assert_equal "$(ls -A "$BATS_TEST_TMPDIR/own")" ''
	# Nor one below a directory that others may rename.
	mkdir -m 777 "$BATS_TEST_TMPDIR/open"
	RUN=$BATS_TEST_TMPDIR/open/run
	assert_mount_refused 'can be written by others'
}

@test 'a run directory of ours that others can write to is refused, and so is such a state directory' {
	foreign_run 777 0
	assert_mount_refused 'can be written by others'
	chmod 770 "$RUN"
	assert_mount_refused 'can be written by others'
	RUN=$BATS_TEST_TMPDIR/run
	chmod 777 "$STATE"
	assert_mount_refused 'can be written by others'
	chmod 755 "$STATE"
	chown 4001 "$STATE"
	assert_mount_refused 'belongs to user 4001'
}

@test 'links in the run directory are not followed' {
	local name
	for name in lock state log; do
		foreign_run 755 0
		rm -f "$RUN"/*
		ln -s "$PRECIOUS" "$RUN/$name"
		assert_mount_refused "$name"
	done
	mkdir -p "$RUN" "$BATS_TEST_TMPDIR/elsewhere"
	rm -f "$RUN"/*
	ln -s "$BATS_TEST_TMPDIR/elsewhere" "$RUN/live"
	assert_mount_refused 'live'
	rm -rf "$RUN"
	rm -f "$STATE/id"
	ln -s "$PRECIOUS" "$STATE/id"
	assert_mount_refused 'id'
}

@test 'who was written down but is no memfs of ours is neither ended nor adopted' {
	foreign_run 755 0
	"$MEMFS" mount -o "state=$STATE,run=$RUN,node=forged" "$MNT" 3>&-
	[[ $(cat "$MNT/local/total") -gt 0 ]]
	kill -0 "$VICTIM"
	# A memfs of another user's is not ours either, whatever it calls itself.
	cp "$(command -v sleep)" "$BATS_TEST_TMPDIR/memfs-collector"
	start setpriv --reuid=4001 --regid=4001 --clear-groups "$BATS_TEST_TMPDIR/memfs-collector" 1000
	retry_until 5 grep -qx memfs-collector "/proc/$STARTED/comm"
	"$MEMFS" umount "$MNT"
	mkdir -p "$RUN"
	printf 'collector %d %d\nmount %s forged / 0\ncollected %s /\n' "$STARTED" "$(start_ticks "$STARTED")" "$MNT" "$STATE" >"$RUN/state"
	"$MEMFS" mount -o "state=$STATE,run=$RUN,node=forged" "$MNT" 3>&-
	kill -0 "$STARTED" "$VICTIM"
	# memfs_pids would take it for one of ours.
	kill "$STARTED"
}
