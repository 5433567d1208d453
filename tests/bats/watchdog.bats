#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# What must never wait: a serve that hangs is replaced, and neither a stopped collector nor a stuck process holds up a
# number. And what must not be asked: requests that the kernel need not send, reads of memfs by itself.
load helpers
load programs

setup_file() {
	build_programs mmap-stuck
}

setup() {
	# Where requests and renderings are watched the ticker has nothing to do for a minute.
	case $BATS_TEST_DESCRIPTION in
	*'costs no request'* | *'renders nothing'*) options=freshness_ms=60000 ;;
	esac
	setup_memfs "${options:-}"
	local=$MNT/local
}

teardown() {
	exec 9>&-
	[[ -z ${HOLDER:-} ]] || wait "$HOLDER" || true
	teardown_memfs
}

# What local/total brings is right.
assert_total() {
	assert_equal "$(cat "$local/total")" "$(awk '$1 == "MemTotal:" { printf "%.0f", $2 * 1024 }' /proc/meminfo)"
}

replaced() {
	local pid
	pid=$(serve_pid)
	[[ $pid -gt 0 && $pid != "$1" ]]
}

@test 'a serve that hangs is replaced, and who waits gets an answer' {
	local serve reader began
	cat "$local/total"
	exec 7<"$local/processes"
	serve=$(serve_pid)
	kill -STOP "$serve"
	began=$(date +%s)
	cat "$local/processes" >"$BATS_TEST_TMPDIR/table" 3>&- &
	reader=$!
	retry_until 15 replaced "$serve"
	# Five seconds without an answer, and what comes between two pings.
	[[ $(($(date +%s) - began)) -ge 4 ]]
	wait "$reader"
	awk -F'\t' 'NF != 15 { exit 1 }' "$BATS_TEST_TMPDIR/table"
	cat <&7 | awk -F'\t' 'NF != 15 { exit 1 }'
	exec 7<&-
	assert_total
	retry_until 5 test ! -e "/proc/$serve"
}

@test 'a serve that is stopped for a moment is not replaced' {
	local serve
	serve=$(serve_pid)
	kill -STOP "$serve"
	retry_until 2 in_state T "$serve"
	kill -CONT "$serve"
	cat "$local/total"
	assert_equal "$(serve_pid)" "$serve"
}

# stick: STUCK is a process that holds its mmap lock until fd 9 is closed, which nobody else may have.
stick() {
	mkdir "$BATS_TEST_TMPDIR/stuck"
	mkfifo "$BATS_TEST_TMPDIR/hold"
	"$BATS_FILE_TMPDIR/mmap-stuck" "$BATS_TEST_TMPDIR/stuck" <"$BATS_TEST_TMPDIR/hold" >"$BATS_TEST_TMPDIR/who" 3>&- &
	HOLDER=$!
	exec 9>"$BATS_TEST_TMPDIR/hold"
	retry_until 5 test -s "$BATS_TEST_TMPDIR/who"
	STUCK=$(cat "$BATS_TEST_TMPDIR/who")
	retry_until 5 grep -q fuse_file_mmap "/proc/$STUCK/stack"
	# It is stuck indeed.
	run timeout 0.3 cat "/proc/$STUCK/cmdline"
	assert_failure 124
}

let_go() {
	exec 9>&-
	wait "$HOLDER"
	HOLDER=
}

# reads_at_once FILE...: a hundred times each, in much less than any wait would take.
reads_at_once() {
	local began file i text
	began=$(date +%s%N)
	for file; do
		for _ in {1..100}; do
			read -r text <"$file" || [[ -n $text ]]
		done
	done
	# 10 ms a read: twenty times what it takes on an idle machine.
	(($(date +%s%N) - began < $# * 1000000000)) || fail "$# files a hundred times took $((($(date +%s%N) - began) / 1000000)) ms"
}

@test 'with the collector stopped and a process stuck in its mmap lock, numbers are read at once' {
	local collector reader
	collector=$(collector_pid)
	stick
	kill -STOP "$collector"
	cat "$local/$STUCK/pss" >/dev/null 2>&1 3>&- 9>&- &
	reader=$!
	retry_until 5 grep -q request_wait_answer "/proc/$reader/stack"
	reads_at_once "$local/total" "$local/available" "$local/$STUCK/rss" "$local/$STUCK/statm" "$local/$STUCK/comm" \
		"$local/$STUCK/stat" "$local/$STUCK/cgroup" "$local/$STUCK/oom_score" "$local/$STUCK/peak" "$MNT/status"
	ls -l "$local/$STUCK/" >/dev/null
	# Others may end between their listing and a look at them.
	ls -l "$local/" >/dev/null 2>"$BATS_TEST_TMPDIR/gone" || run ! grep -v 'No such file or directory$' "$BATS_TEST_TMPDIR/gone"
	cat "$local/processes" >/dev/null
	kill -CONT "$collector"
	let_go
	wait "$reader" || true
	assert_total
}

@test 'files that wait for a stuck process, and a reset of its peak, hold up nobody else' {
	local name
	start_still
	retry_until 5 test -e "$local/$PID/regions"
	stick
	READERS=()
	for name in regions numa_maps smaps_rollup numa; do
		cat "$local/$STUCK/$name" >/dev/null 2>&1 3>&- 9>&- &
		READERS+=("$!")
	done
	bash -c 'echo reset >"$1"' bash "$local/$STUCK/peak" 2>/dev/null 3>&- 9>&- &
	READERS+=("$!")
	for name in "${READERS[@]}"; do
		retry_until 5 grep -q request_wait_answer "/proc/$name/stack"
	done
	run timeout 5 setpriv --reuid=4001 --regid=4001 --clear-groups bash -c 'cat "$1/self/regions" && echo reset >"$1/self/peak"' \
		bash "$MNT"
	assert_success
	reads_at_once "$local/total" "$local/$STUCK/rss"
	let_go
	wait "${READERS[@]}" || true
	run timeout 5 cat "$local/$PID/regions"
	assert_success
}

ticked() {
	(($(field "$MNT/status" generation) > $1 + 3))
}

@test 'a process stuck in its mmap lock does not hold up the collector, nor whoever asks for others' {
	local reader
	echo 'sample_interval_ms 100' >"$local/config"
	start_still
	retry_until 5 test -e "$local/$PID/pss"
	stick
	cat "$local/$STUCK/pss" >/dev/null 2>&1 3>&- 9>&- &
	reader=$!
	retry_until 5 grep -q request_wait_answer "/proc/$reader/stack"
	retry_until 5 ticked "$(field "$MNT/status" generation)"
	run timeout 5 cat "$local/$PID/pss" "$local/$PID/args"
	assert_success
	echo 'history_days 9' >"$local/config"
	let_go
	wait "$reader" || true
}

# --- what is not asked ----------------------------------------------------------------------------------------------

# read(2) calls of serve: each request is one.
requests() {
	awk '$1 == "syscr:" { print $2 }' "/proc/$(serve_pid)/io"
}

# Plain calls: bash asks each file it reads whether it is a terminal, which is a request.
warm() {
	python3 -c '
import os, sys
for i in range(int(sys.argv[1])):
    for name in sys.argv[2:]:
        fd = os.open(name, os.O_RDONLY)
        assert os.read(fd, 4096) and os.read(fd, 4096) == b""
        os.fstat(fd)
        os.close(fd)
' "$1" "$local/total" "$local/$PID/rss"
}

@test 'a warm read costs no request: no OPEN, no FLUSH, no GETXATTR, no READ, and links are cached' {
	local before after
	start_still
	retry_until 5 test -e "$local/$PID/rss"
	warm 5
	ls -l "$local/total" >/dev/null
	before=$(requests)
	warm 500
	ls -l "$local/total" >/dev/null
	readlink "$local" "$MNT/local" >/dev/null
	[[ -r $local/total && -d $local/$PID ]]
	after=$(requests)
	# The board is asked through memory; but a birth or a death elsewhere may drop a listing or a name.
	((after - before <= 20)) || fail "$((after - before)) requests for 1000 warm reads"
}

@test 'a listing renders nothing' {
	local listed name
	start_still
	retry_until 5 test -e "$local/$PID/uid"
	python3 -c 'import os, sys; assert len(os.listdir(sys.argv[1])) > 20' "$local/$PID"
	ls -U --color=never "$local/$PID" >/dev/null
	listed=$(date +%s.%N)
	# The time of a number is that of its rendering, and nothing is invalidated here.
	for name in rss vms statm stat; do
		awk -v then="$listed" -v rendered="$(stat -c %.9Y "$local/$PID/$name")" 'BEGIN { exit !(rendered >= then) }' ||
			fail "$name was rendered by the listing"
	done
}

@test 'nobody of memfs holds its own mount' {
	local pid link
	cat "$local/processes" "$local/history/10m" "$local/1/args" >/dev/null
	for pid in "$(serve_pid)" "$(collector_pid)" "$(supervisor_pid)"; do
		for link in "/proc/$pid/cwd" "/proc/$pid/root" "/proc/$pid"/fd/*; do
			case $(readlink "$link") in
			"$MNT" | "$MNT"/* | "$RUN"/live*) fail "$link is $(readlink "$link")" ;;
			esac
		done
		run grep -F "$MNT/" "/proc/$pid/maps"
		assert_failure 1
	done
}

waiting() {
	cat "$BATS_TEST_TMPDIR/control/$((16#$(stat -c %D "$MNT")))/waiting" "$BATS_TEST_TMPDIR/control/$1/waiting"
}

@test 'nobody of memfs asks its own mount' {
	local serve collector live before
	mkdir "$BATS_TEST_TMPDIR/control"
	need_kernel 'no fusectl' mount -t fusectl none "$BATS_TEST_TMPDIR/control"
	live=$((16#$(stat -c %D "$RUN/live")))
	serve=$(serve_pid) collector=$(collector_pid)
	waiting "$live"
	# Whoever asked now would wait, and be counted.
	kill -STOP "$serve"
	before=$(switches "$collector")
	retry_until 10 switched "$collector" $((before + 5))
	run waiting "$live"
	kill -CONT "$serve"
	umount "$BATS_TEST_TMPDIR/control"
	assert_output $'0\n0'
	assert_equal "$(serve_pid)" "$serve"
}

switches() {
	awk '$1 == "voluntary_ctxt_switches:" { n += $2 } END { print n }' /proc/"$1"/task/*/status
}

switched() {
	(($(switches "$1") >= $2))
}

@test 'pss of a group with a member stuck in its mmap lock is that of the others' {
	local group=$local/by-name/mmap-stuck
	stick
	retry_until 5 sh -c "grep -qx '$STUCK' '$group/pids'"
	run timeout 20 cat "$group/pss"
	assert_success
	((output > 0))
	retry_until 5 sh -c "awk -v n=\"\$(cat '$group/count')\" '\$1 == \"pss_count\" { exit \$2 != n - 1 }' '$group/stat'"
	let_go
}
