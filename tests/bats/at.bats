#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# at/TIME/: the machine and its processes as they were.
load helpers
load programs

setup_file() {
	build_programs grow
}

setup() {
	setup_memfs interval_ms=100
	local=$MNT/local
}

teardown() {
	teardown_memfs
}

recorded() {
	[[ -s $local/at/last/stat ]] && grep -q "^$1	" "$local/at/last/processes"
}

# later_than TIME: whether something of a later second was recorded.
later_than() {
	(($(field "$local/at/last/stat" time) > $1))
}

@test 'at/last is what was recorded last' {
	start sleep 1000
	retry_until 20 recorded "$STARTED"
	assert_equal "$(sed -n 1p "$local/at/last/processes")" "$(sed -n 1p "$local/processes")"
	assert_equal "$(awk -F'\t' -v pid="$STARTED" '$1 == pid { print $4 }' "$local/at/last/processes")" sleep
	assert_equal "$(field "$local/at/last/stat" total)" "$(cat "$local/total")"
	assert_equal "$(field "$local/at/last/stat" level)" seconds
	local time
	time=$(field "$local/at/last/stat" time)
	((time <= $(date +%s) && time >= $(date +%s) - 10 * PATIENCE))
	# That second may not be over.
	retry_until 10 later_than "$time"
	assert_equal "$(field "$local/at/$time/stat" processes)" "$(sed 1d "$local/at/$time/processes" | wc -l)"
}

@test 'a process is there in its time, with its size of then, and not before or after' {
	local before grown after small large
	retry_until 20 recorded 1
	before=$(field "$local/at/last/stat" time)
	retry_until 10 later_than "$before"
	start_program grow 8 64
	retry_until 5 said_lines 1
	retry_until 20 recorded "$PID"
	small=$(field "$local/at/last/stat" time)
	# The last sample of a second tells for it.
	retry_until 10 later_than "$small"
	kill -USR1 "$PID"
	retry_until 5 said_lines 2
	local rss
	rss=$(cat "$local/$PID/rss")
	retry_until 20 sh -c "[ \"\$(awk -F'\t' -v pid=$PID '\$1 == pid { print \$6 }' '$local/at/last/processes')\" -ge $((rss - 4096000)) ]"
	large=$(field "$local/at/last/stat" time)
	retry_until 10 later_than "$large"
	kill -KILL "$PID"
	retry_until 10 later_than $(($(date +%s) + 1))
	after=$(field "$local/at/last/stat" time)

	run grep -c "^$PID	" "$local/at/$before/processes"
	assert_output 0
	(($(awk -F'\t' -v pid="$PID" '$1 == pid { print $6 }' "$local/at/$large/processes") >= $(awk -F'\t' -v pid="$PID" '$1 == pid { print $6 }' "$local/at/$small/processes") + (60 << 20)))
	run grep -c "^$PID	" "$local/at/$after/processes"
	assert_output 0
	# The same instant by its other names.
	local zulu
	zulu=$(date -u -d "@$large" +%Y-%m-%dT%H:%M:%SZ)
	cmp "$local/at/$zulu/processes" "$local/at/$large/processes"
	cmp "$local/at/$(date -d "@$large" +%Y-%m-%dT%H:%M:%S)/stat" "$local/at/$large/stat"
	grep -q "^$PID	" "$local/at/$large/top/rss"
}

@test 'times that are none are not there, and of those without a record nothing is made up' {
	retry_until 20 recorded 1
	local name
	for name in 0 -1 yesterday 2026-13-01 2026-02-30T00:00 99999999999999 -0m -5 2026-11-20T25:00; do
		[[ ! -e $local/at/$name ]] || fail "at/$name is there"
	done
	run cat "$local/at/1000000000/stat"
	assert_failure
	assert_output --partial 'No data available'
	run cat "$local/at/-300d/processes"
	assert_failure
	assert_output --partial 'No data available'
	[[ -s $local/at/-1s/README ]]
	assert_equal "$(ls "$local/at/")" last
}

@test 'at is found by programs too, and in one session' {
	retry_until 20 recorded 1
	python3 - "$local/at/last" <<'PYTHON'
import json, sys
stat = json.load(open(f"{sys.argv[1]}/stat.json"))
rows = json.load(open(f"{sys.argv[1]}/processes.json"))
assert stat["level"] == "seconds" and isinstance(stat["total"], int), stat
assert rows and all(isinstance(row["comm"], str) for row in rows), rows[:3]
PYTHON
	setup_memfs_at single single,interval_ms=100
	local=$MNT/local
	retry_until 20 recorded 1
	[[ -d $local/at && ! -L $local/at ]]
}
