#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Alerts, tags, growth, and the events they make: as they are written, over every restart, and in the past.
load helpers
load programs

setup_file() {
	build_programs storm
}

setup() {
	setup_memfs
	node=$MNT/local
}

teardown() {
	teardown_memfs
}

# All that events says from now on, in $HEARD.
listen() {
	HEARD=$BATS_TEST_TMPDIR/heard
	: >"$HEARD"
	start sh -c 'exec cat "$0" >>"$1"' "$node/events" "$HEARD"
	LISTENER=$STARTED
	retry_until 5 sh -c "ls -l /proc/$LISTENER/fd | grep -q events"
}

# heard SUBJECT TEXT: the number of lines of kind alert of that subject whose text begins so.
heard() {
	awk -F '\t' -v subject="$1" -v text="$2" '$3 == "alert" && $4 == subject && index($5, text) == 1 { n++ } END { print n + 0 }' "$HEARD"
}

heard_times() {
	[[ $(heard "$1" "$2") == "$3" ]]
}

# Ticks that were finished since `before`.
ticked() {
	(($(field "$MNT/status" generation) >= $1))
}

wait_ticks() {
	retry_until 20 ticked $(($(field "$MNT/status" generation) + $1))
}

# A process of a name that no other has; sets PID.
start_named() {
	[[ -e $BATS_TEST_TMPDIR/$1 ]] || cp "$(command -v sleep)" "$BATS_TEST_TMPDIR/$1"
	start "$BATS_TEST_TMPDIR/$1" 1000
	PID=$STARTED
}

@test 'rules read back what would set them; several lines of a write are one transaction' {
	printf 'big node used > 1G for 5\nmany by-name/x count >= 3\n' >"$BATS_TEST_TMPDIR/rules"
	cat "$BATS_TEST_TMPDIR/rules" >"$node/alerts"
	assert_equal "$(cat "$node/alerts")" 'big node used > 1073741824 for 5
many by-name/x count >= 3'
	cat "$node/alerts" >"$BATS_TEST_TMPDIR/back"
	cat "$BATS_TEST_TMPDIR/back" >"$node/alerts"
	cmp "$node/alerts" "$BATS_TEST_TMPDIR/back"
	printf -- '-big\nthird each/y rss_1m > 5M\nmany by-name/x count > 9\nfourth node colour > 1\n' >"$BATS_TEST_TMPDIR/rules"
	run bash -c 'cat "$1" >"$2"' bash "$BATS_TEST_TMPDIR/rules" "$node/alerts"
	assert_failure
	assert_output --partial 'Invalid argument'
	cmp "$node/alerts" "$BATS_TEST_TMPDIR/back"
	grep -q 'line 4: a node has no "colour" in its stat or rate' "$MNT/why"
	sed -i '$d' "$BATS_TEST_TMPDIR/rules"
	cat "$BATS_TEST_TMPDIR/rules" >"$node/alerts"
	assert_equal "$(cat "$node/alerts")" 'many by-name/x count > 9
third each/y rss_1m > 5242880'
	run bash -c 'echo "-never" >"$1"' bash "$node/alerts"
	assert_failure
	grep -q 'there is no "never" to be removed' "$MNT/why"
}

@test 'too many rules are EFBIG, with the reason, and a page of them can be read' {
	local i
	for i in {1..127}; do
		echo "a$i node used > 1T"
	done >"$BATS_TEST_TMPDIR/rules"
	cat "$BATS_TEST_TMPDIR/rules" >"$node/alerts"
	assert_equal "$(wc -l <"$node/alerts")" 127
	printf 'b node used > 1\nc node used > 1\n' >"$BATS_TEST_TMPDIR/more"
	run dd if="$BATS_TEST_TMPDIR/more" of="$node/alerts" bs=64k
	assert_failure
	assert_output --partial 'File too large'
	grep -q 'line 2: there are 128 lines' "$MNT/why"
	assert_equal "$(wc -l <"$node/alerts")" 127
}

@test 'only root and who runs memfs write alerts and tags' {
	local file
	for file in alerts tags; do
		run setpriv --reuid=nobody --regid=nogroup --clear-groups sh -c 'echo "x y" >"$0"' "$node/$file"
		assert_failure
		assert_output --partial 'Permission denied'
	done
}

@test 'an alert fires once and clears once, for the sum and for each' {
	listen
	printf 'sum by-name/alert-me count >= 2\neach each/alert-me rss > 1K\nnone by-name/alert-me count < 1\n' >"$BATS_TEST_TMPDIR/rules"
	cat "$BATS_TEST_TMPDIR/rules" >"$node/alerts"
	retry_until 10 heard_times by-name/alert-me 'none firing count 0 < 1' 1
	start_named alert-me
	local first=$PID
	retry_until 10 heard_times "pid/$first" 'each firing rss ' 1
	retry_until 10 heard_times by-name/alert-me 'none cleared count 1 < 1' 1
	start_named alert-me
	retry_until 10 heard_times by-name/alert-me 'sum firing count 2 >= 2' 1
	retry_until 10 heard_times "pid/$PID" 'each firing rss ' 1
	wait_ticks 3
	stop "$PID"
	retry_until 10 heard_times by-name/alert-me 'sum cleared count 1 >= 2' 1
	retry_until 10 heard_times "pid/$PID" 'each cleared rss - > 1024' 1
	# Removed while it fires.
	echo '-each' >"$node/alerts"
	retry_until 10 heard_times "pid/$first" 'each cleared' 1
	assert_equal "$(heard "pid/$first" 'each firing')" 1
	assert_equal "$(heard by-name/alert-me 'sum firing')" 1
}

@test 'for is waited; a name with a blank is written with \040' {
	cp "$(command -v sleep)" "$BATS_TEST_TMPDIR/a b"
	local begin
	listen
	printf '%s\n' 'soon each/a\040b rss > 1 for 2' >"$node/alerts"
	begin=$(date +%s.%N)
	start "$BATS_TEST_TMPDIR/a b" 1000
	PID=$STARTED
	retry_until 20 heard_times "pid/$PID" 'soon firing' 1
	# The time of the event says how long it was waited; that of the start may be a tick late.
	awk -F '\t' -v pid="pid/$PID" -v from="$begin" '$4 == pid && $3 == "alert" { to = $2 } END { exit !(to - from >= 1.9) }' "$HEARD" || fail "$(grep -F "pid/$PID" "$HEARD")"
}

@test 'poll wakes for an alert' {
	run timeout 60 python3 - "$node" <<'PYTHON'
import os, select, sys, time
node = sys.argv[1]
fd = os.open(node + "/events", os.O_RDONLY | os.O_NONBLOCK)
poll = select.poll()
poll.register(fd, select.POLLIN)
with open(node + "/alerts", "w") as alerts:
    alerts.write("always node total > 1\n")
text, deadline = b"", time.monotonic() + 30
while b"\talert\tnode\talways firing total " not in text:
    assert time.monotonic() < deadline, text
    if poll.poll(1000):
        try:
            text += os.read(fd, 65536)
        except BlockingIOError:
            pass
print("fine")
PYTHON
	assert_success
	assert_output fine
}

@test 'rules and what fires survive the death of the collector: nothing is told twice' {
	start_named twice
	listen
	printf 'one each/twice rss > 1\ntwo node total > 1\nthree by-name/twice count == 1\n' >"$BATS_TEST_TMPDIR/rules"
	cat "$BATS_TEST_TMPDIR/rules" >"$node/alerts"
	retry_until 10 heard_times "pid/$PID" 'one firing' 1
	retry_until 10 heard_times node 'two firing' 1
	retry_until 10 heard_times by-name/twice 'three firing' 1
	cat "$node/alerts" >"$BATS_TEST_TMPDIR/before"
	local victim
	victim=$(collector_pid)
	kill -KILL "$victim"
	retry_until 20 sh -c "grep -q '^collector ' '$RUN/state' && ! grep -q '^collector $victim ' '$RUN/state'"
	retry_until 20 grep -q '^collector  *running' "$MNT/status"
	wait_ticks 3
	cmp "$node/alerts" "$BATS_TEST_TMPDIR/before"
	stop "$PID"
	retry_until 10 heard_times "pid/$PID" 'one cleared' 1
	retry_until 10 heard_times by-name/twice 'three cleared' 1
	assert_equal "$(grep -c ' firing ' "$HEARD")" 3
}

@test 'rules, tags and the numbers of events survive a restart of memfs' {
	echo 'big node used > 1T' >"$node/alerts"
	printf 'rack r12\nnote  a\\134b \\040 c\n' >"$BATS_TEST_TMPDIR/tags"
	cat "$BATS_TEST_TMPDIR/tags" >"$node/tags"
	assert_equal "$(cat "$node/tags")" 'rack r12
note a\134b   c'
	retry_until 10 grep -q 'tags changed' "$node/history/events"
	"$MEMFS" umount "$MNT"
	setup_memfs
	assert_equal "$(cat "$node/alerts")" 'big node used > 1099511627776'
	assert_equal "$(cat "$node/tags")" 'rack r12
note a\134b   c'
	local last
	last=$(tail -n 1 "$node/history/events" | cut -f 1)
	echo '-note' >"$node/tags"
	# tags are told as changed when they are, not when memfs starts.
	retry_until 10 has_changes 2
	[[ $(tail -n 1 "$node/history/events" | cut -f 1) -gt $last ]]
	awk -F '\t' 'NR > 2 && $1 <= before { print; bad = 1 } { before = $1 } END { exit bad }' "$node/history/events"
}

has_changes() {
	[[ $(grep -c 'tags changed' "$node/history/events") == "$1" ]]
}

@test 'tags are labels: keys are checked, values are any text' {
	local bad
	for bad in '1a x' 'a-b x' 'node x' '__x y' 'x' ''; do
		run bash -c 'echo "$1" >"$2"' bash "$bad" "$node/tags"
		assert_failure
		assert_output --partial 'Invalid argument'
	done
	printf 'owner Jane Doe\tDB\n' >"$node/tags"
	assert_equal "$(cat "$node/tags")" 'owner Jane Doe\011DB'
	assert_equal "$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["owner"])' "$node/tags.json")" 'Jane Doe\011DB'
}

@test 'the past has what the stream told' {
	listen
	start_named past-one
	stop "$PID"
	echo 'history_days 8' >"$node/config"
	retry_until 10 grep -q 'config' "$HEARD"
	retry_until 10 grep -q 'history_days 8' "$node/history/events"
	assert_equal "$(head -n 1 "$node/history/events")" $'seq\ttime\tkind\tsubject\ttext'
	# Each line that was heard and is kept reads the same; what is not kept is told.
	grep -P "\t(config|start|exit)\t.*(history_days|past-one)" "$HEARD" >"$BATS_TEST_TMPDIR/ours"
	[[ -s $BATS_TEST_TMPDIR/ours ]]
	if ! grep -q 'not kept' "$node/history/events"; then
		run grep -cxFf "$BATS_TEST_TMPDIR/ours" "$node/history/events"
		assert_output "$(wc -l <"$BATS_TEST_TMPDIR/ours")"
	fi
	[[ ! -e $node/$$/history/events ]]
}

@test 'steady growth is an event, its end as well; a spike is none' {
	printf 'growth_window_s 20\ngrowth_bytes 2M\n' >"$BATS_TEST_TMPDIR/settings"
	cat "$BATS_TEST_TMPDIR/settings" >"$node/config"
	listen
	start python3 -c '
import time
kept, begun = [], time.monotonic()
while time.monotonic() < begun + 60:
    kept.append(bytearray(300000))
    time.sleep(0.25)
time.sleep(1000)'
	local leak=$STARTED
	start python3 -c '
import time
kept = bytearray(30000000)
time.sleep(20)
kept += bytearray(60000000)
time.sleep(1000)'
	local spike=$STARTED
	retry_until 60 grep -qP "\tgrowth\tpid/$leak\tpython3.* grows steadily, anon \d+, from \d+ in 20 s, \d+ a second" "$HEARD"
	retry_until 90 grep -qP "\tgrowth\tpid/$leak\tpython3.* grows no longer" "$HEARD"
	assert_equal "$(grep -cP "\tgrowth\tpid/$leak\t" "$HEARD")" 2
	assert_equal "$(grep -cP "\tgrowth\tpid/$spike\t" "$HEARD")" 0
}

# Every number there is: in a line, or counted by a line of kind dropped.
accounted() {
	python3 - "$1" <<'PYTHON'
import re, sys
rows = [line.rstrip("\n").split("\t") for line in open(sys.argv[1])][1:]
numbers = [int(row[0]) for row in rows]
assert numbers == sorted(set(numbers)), "not ascending"
left_out = [row[4] for row in rows if row[2] == "dropped" and row[4].endswith(" not kept")]
missing = sum(int(n) for text in left_out for n in re.findall(r"(\d+) ", text))
told = len(rows) - len(left_out)
assert told + missing == numbers[-1], (told, missing, numbers[-1])
print(told, "told,", missing, "counted")
PYTHON
}

# Its own memory: of the board, which is shared, there is a slot for each pid that was ever used.
anon_kb() {
	awk '$1 == "RssAnon:" { print $2 }' "/proc/$(collector_pid)/status"
}

storm_is_survived() {
	local forks=$1 before after first last
	echo 'events_max 1000000' >"$node/config"
	wait_ticks 2
	first=$(field "$MNT/status" generation)
	before=$(anon_kb)
	start_program storm "$forks"
	local storm=$PID
	retry_until 3000 said_lines 1
	wait "$storm"
	after=$(anon_kb)
	# Two caches of sqlite, of 2 MiB each, are what it may come to.
	# A watched build keeps what was freed.
	((PATIENCE > 1 || after < before + 8192)) || fail "the collector grew from $before to $after kB"
	assert_equal "$(field "$MNT/status" history)" ok
	# The newest number there is: all before it are accounted for once it is in the history.
	last=$(start_and_number)
	retry_until 20 awk -F '\t' -v last="$last" '$1 == last { found = 1 } END { exit !found }' "$node/history/events"
	accounted "$node/history/events"
	ticked $((first + 1))
}

# The number of an event that comes now and is always kept.
start_and_number() {
	timeout 30 grep -m 1 -P '\tconfig\t' "$node/events" 3>&- | cut -f 1 &
	retry_until 5 sh -c "ls -l /proc/[0-9]*/fd 2>/dev/null | grep -q '$RUN/live.*events'" >/dev/null
	echo "history_days $((RANDOM % 1000 + 10))" >"$node/config"
	wait $!
}

@test 'a storm of starts and exits: every event is kept or counted, the collector does not grow' {
	storm_is_survived 5000
}

# bats test_tags=soak
@test 'a million events: every one is kept or counted, the collector does not grow' {
	storm_is_survived 500000
}
