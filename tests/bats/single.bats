#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# `-o single`: one session, without links. The essential of every class.
load helpers
load programs

setup_file() {
	build_programs ways thread-self grow
}

setup() {
	setup_memfs single
	local=$MNT/local
}

teardown() {
	cd "$TOP"
	teardown_memfs
}

@test 'one mount, no links but local, self and by-id' {
	assert_equal "$(mounts_here)" "$MNT"
	assert_equal "$(field "$MNT/status" live)" single
	# Processes may end while find is about to look into them.
	run bash -c 'find "$1" -maxdepth 5 -type l 2>/dev/null' bash "$MNT"
	assert_output "$(printf '%s\n' "$MNT/local" "$MNT/self" "$MNT/by-id/$(cat "$MNT/local/id")")"
}

@test 'numbers, settings and tables, in every way to read' {
	start_still
	cd "$local/$PID"
	run -0 program ways comm statm state rss stat start_time README cmdline args pss history/10m
	assert_output ''
	cd "$local"
	run -0 program ways README processes top/rss errors history/10m config total by-name/sleep/pids "$MNT/README"
	assert_output ''
	assert_equal "$(cat "$local/$PID/args")" 'sleep 1000'
	run -0 python3 "$TOP/tests/programs/agree.py" "$local"
	assert_output --partial ' 0 wrong'
}

@test 'self answers the thread group' {
	local said
	said=$(program thread-self "$MNT/self")
	assert_equal "${said#* }" "$MNT/nodes/$NODE/${said%% *}"
	assert_equal "$(cat "$MNT/self/comm")" cat
}

@test 'a change is seen within the freshness bound' {
	start_program grow 1 64
	retry_until 5 said_lines 1
	local before
	before=$(cat "$local/$PID/rss")
	kill -USR1 "$PID"
	retry_until 5 said_lines 2
	retry_until 1 sh -c "[ \"\$(cat '$local/$PID/rss')\" -ge $((before + (64 << 20))) ]"
}

@test 'writes are taken and refused, with a reason' {
	echo 'history_days 9' >"$local/config"
	assert_equal "$(field "$local/config" history_days)" 9
	printf '%s\n' 'history_days 8' 'no_such 1' >"$BATS_TEST_TMPDIR/bad"
	run bash -c 'cat "$2" >"$1/config"' bash "$local" "$BATS_TEST_TMPDIR/bad"
	assert_failure 1
	assert_output --partial 'Invalid argument'
	assert_equal "$(field "$local/config" history_days)" 9
	grep -q '^errno EINVAL$' "$MNT/why"
	run mkdir "$local/new"
	assert_failure 1
	run bash -c 'echo 1 >"$1/total"' bash "$local"
	assert_failure 1
	assert_equal "$(tail -n 1 "$local/errors" | cut -f5)" EPERM
	: >"$local/config"
	touch "$local/config"
	assert_equal "$(field "$local/config" history_days)" 9
}

@test 'events block, poll and are interrupted' {
	run -0 timeout 60 python3 - "$local/events" <<'PYTHON'
import os, select, signal, subprocess, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
child = subprocess.Popen(["sleep", "1000"])
text, wanted = b"", b"\tstart\tpid/%d\t" % child.pid
while wanted not in text:
    assert select.select([fd], [], [], 20)[0]
    text += os.read(fd, 65536)
child.kill()
child.wait()
class Stop(Exception):
    pass
def stop(number, frame):
    raise Stop
signal.signal(signal.SIGALRM, stop)
signal.setitimer(signal.ITIMER_REAL, 0.1)
try:
    while True:
        os.read(fd, 65536)
except Stop:
    print("fine")
PYTHON
	assert_output fine
}

@test 'a process that ended is gone' {
	start sleep 1000
	retry_until 5 test -s "$local/$STARTED/args"
	exec 7<"$local/$STARTED/rss"
	stop "$STARTED"
	retry_until 1 test ! -e "$local/$STARTED"
	run cat <&7
	assert_failure
	exec 7<&-
	assert_output --partial 'No such process'
}
