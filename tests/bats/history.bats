#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# history/ of the node and of a process: rows in order, within what was read, over restarts, gaps shown.
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

# rows FILE N: whether it has so many rows, its header apart.
rows() {
	[[ $(sed 1d "$1" | wc -l) -ge $2 ]]
}

# in_order FILE: times ascend by whole seconds, each row is as wide as the header, nothing but numbers or `-`.
in_order() {
	awk -F'\t' 'NR == 1 { width = NF; next }
		NF != width || $1 <= last || $1 !~ /^[0-9]+$/ { print NR ": " $0; bad = 1 }
		{ last = $1; for (i = 2; i <= NF; i++) if ($i !~ /^([0-9]+(\.[0-9]+)?|-)$/) { print NR ": " $0; bad = 1 } }
		END { exit bad }' "$1"
}

@test 'of the node: a row a second, in order, up to now' {
	local names
	names=$(sed -n 1p "$local/history/10m")
	[[ $names == 'time	total	available	used	free	'* ]]
	retry_until 20 rows "$local/history/10m" 3
	in_order "$local/history/10m"
	local last
	last=$(tail -n 1 "$local/history/10m" | cut -f1)
	(($(date +%s) - last <= 5 && last <= $(date +%s) + 1))
	# Names of columns are names of files.
	local name
	for name in $(sed -n '1s/^time//p' "$local/history/10m"); do
		[[ -e $local/$name ]] || fail "there is no $name"
	done
	assert_equal "$(column "$local/history/10m" total | sort -u)" "$(cat "$local/total")"
}

@test 'any duration is found, and has no more than it says' {
	local name
	retry_until 20 rows "$local/history/10m" 4
	for name in 1s 90s 17m 36h 7d 1023d; do
		[[ -s $local/history/$name ]] || fail "there is no $name"
		in_order "$local/history/$name"
		[[ -s $local/1/history/$name && -s $MNT/self/history/$name.json ]] || fail "no $name of a process"
	done
	(($(sed 1d "$local/history/2s" | wc -l) <= 3))
	# The same by another name.
	assert_equal "$(sed -n 1p "$local/history/600s")" "$(sed -n 1p "$local/history/10m")"
	for name in 0s 10 m -1m +1m 01m 1.5h 10w 10M 1h1m 99999999999d; do
		[[ ! -e $local/history/$name ]] || fail "$name is there"
	done
	assert_equal "$(ls "$local/history" | tr '\n' ' ')" '10m 10m.svg 1d 1d.svg 1h 1h.svg 30d 30d.svg README events '
	# Below a process too, and of none other.
	(cd "$local/1/history" && [[ $(readlink 90s) == "$RUN/live/nodes/$NODE/1/history/90s" ]])
	[[ ! -e $local/4194303/history/90s ]]
}

@test 'each history is a picture too, of any duration' {
	local file
	retry_until 20 rows "$local/history/10m" 4
	for file in "$local"/history/{10m,1h,1d,30d,17m,90s}.svg "$local"/1/history/{10m,36h}.svg; do
		python3 -c 'import sys, xml.dom.minidom; assert xml.dom.minidom.parse(sys.argv[1]).documentElement.tagName == "svg"' "$file" ||
			fail "$file is no picture"
	done
	grep -q ">$NODE<" "$local/history/10m.svg"
	grep -q '(1)<' "$local/1/history/10m.svg"
	grep -q 'no data' "$local/history/1s.svg" || grep -q '<path class="line' "$local/history/1s.svg"
	[[ ! -e $local/history/0s.svg && ! -e $local/history/10.svg && ! -e $local/history/10m.svg.json ]]
}

@test 'of a process: what was read lies within what is recorded' {
	start_program grow 8 64
	retry_until 5 said_lines 1
	local small large file=$local/$PID/history/10m
	small=$(cat "$local/$PID/rss")
	retry_until 15 rows "$file" 2
	kill -USR1 "$PID"
	retry_until 5 said_lines 2
	large=$(cat "$local/$PID/rss")
	((large >= small + (64 << 20)))
	retry_until 15 reached "$file" "$large"
	in_order "$file"
	column "$file" rss >"$BATS_TEST_TMPDIR/rss"
	((($(sort -n "$BATS_TEST_TMPDIR/rss" | head -n 1)) <= small && $(sort -n "$BATS_TEST_TMPDIR/rss" | tail -n 1) >= large))
	(($(sort -n "$BATS_TEST_TMPDIR/rss" | tail -n 1) <= large + (1 << 20)))
}

reached() {
	[[ $(column "$1" rss | tail -n 1) -ge $2 ]]
}

@test 'a process that is not recorded yet has a header and no rows' {
	"$MEMFS" umount "$MNT"
	setup_memfs interval_ms=60000
	start_still
	run -0 cat "$local/$PID/history/10m"
	assert_line --index 0 --regexp '^time	rss	vms	'
}

@test 'history survives an end and a kill of memfs, and the gap stays a gap' {
	start_still
	local before after
	retry_until 15 rows "$local/$PID/history/10m" 2
	# The second that lasts is still written to; the first ones stand.
	retry_until 15 rows "$local/history/10m" 4
	before=$(sed 1d "$local/history/10m" | head -n 2)
	"$MEMFS" umount "$MNT"
	local ended
	ended=$(date +%s)
	retry_until 10 later_than $((ended + 3))
	setup_memfs interval_ms=100
	retry_until 15 newer_than "$local/history/10m" $((ended + 3))
	in_order "$local/history/10m"
	assert_equal "$(sed 1d "$local/history/10m" | head -n 2)" "$before"
	# No row tells of the time when nothing ran.
	run awk -F'\t' -v from=$((ended + 1)) -v to=$((ended + 2)) '$1 >= from && $1 <= to' "$local/history/10m"
	assert_output ''
	# The process is the same one.
	retry_until 15 newer_than "$local/$PID/history/10m" $((ended + 3))
	(($(sed -n 2p "$local/$PID/history/10m" | cut -f1) <= ended))
	in_order "$local/$PID/history/10m"
	# Now without warning.
	after=$(sed 1d "$local/history/10m" | wc -l)
	kill -KILL "$(collector_pid)"
	retry_until 15 rows "$local/history/10m" $((after + 3))
	assert_equal "$(sed 1d "$local/history/10m" | head -n 2)" "$before"
}

later_than() {
	(($(date +%s) >= $1))
}

newer_than() {
	[[ $(tail -n 1 "$1" | cut -f1) -ge $2 ]]
}

@test 'it can be read with sqlite3 while it is written, and is sound' {
	retry_until 15 rows "$local/history/10m" 2
	run -0 sqlite3 -readonly "$STATE/history.db" 'pragma quick_check'
	assert_output ok
	assert_equal "$(stat -c %a "$STATE")" 750
	assert_equal "$(stat -c %a "$STATE/history.db")" 640
}

# queries: the blocks of SQL in docs/history.md, with a NUL behind each.
queries() {
	awk '/^```sql$/ { on = 1; next } /^```$/ { if (on) printf "%c", 0; on = 0 } on' "$BATS_TEST_DIRNAME/../../docs/history.md"
}

@test 'the queries of docs/history.md work' {
	"$MEMFS" umount "$MNT" # what is open is packed
	local query n=0
	while IFS= read -r -d '' query; do
		run -0 sqlite3 -bail -readonly -tabs "$STATE/history.db" <<<"$query"
		n=$((n + 1))
		[[ $query == *node_hour* ]] || assert [ "${#lines[@]}" -ge 1 ]
	done < <(queries)
	((n >= 4))
	setup_memfs interval_ms=100
}

@test 'export tells what the mount tells, also when nothing is mounted' {
	retry_until 15 rows "$local/history/10m" 4
	local expected
	expected=$(sed 1d "$local/history/10m" | head -n 2 | cut -f1,2,4)
	run -0 "$MEMFS" history export -o "state=$STATE" --metrics total,used
	assert_line --index 0 "time	total	used"
	assert_equal "$(printf '%s\n' "${lines[@]:1:2}")" "$expected"
	run -0 "$MEMFS" history export -o "state=$STATE" --name memfs-collector --format json --metrics rss
	assert_line --index 0 --regexp '^\[\{"time":[0-9]+,"pid":[0-9]+,"start":[0-9]+,"comm":"memfs-collector","rss":[0-9]+\}'
	"$MEMFS" umount "$MNT"
	run -0 "$MEMFS" history export -o "state=$STATE" --from -1h --to last --metrics total,used
	assert_equal "$(printf '%s\n' "${lines[@]:1:2}")" "$expected"
	run -0 "$MEMFS" history export -o "state=$STATE" --level minutes --format openmetrics --metrics used,used_max
	assert_line '# TYPE memfs_node_used_bytes gauge'
	assert_line --regexp '^memfs_node_used_max_bytes [0-9]+ [0-9]+$'
	assert_line --index -1 '# EOF'
	setup_memfs interval_ms=100
}

@test 'export says what is wrong' {
	run -1 "$MEMFS" history export -o "state=$STATE" --metrics rss
	assert_output 'memfs: history has no metric "rss" of the node'
	run -1 "$MEMFS" history export -o "state=$STATE" --from yesterday
	assert_output --partial '"yesterday" is no time'
	run -1 "$MEMFS" history export -o "state=$STATE" --from -1m --to -1h
	assert_output 'memfs: --from is after --to'
	run -1 "$MEMFS" history export -o "state=$STATE" --pid 12x
	assert_output --partial 'is no PID'
	run -1 "$MEMFS" history export -o "state=$STATE" --name 'no such'
	assert_output 'memfs: no process no such was recorded in that time'
	run -1 "$MEMFS" history export -o "state=$STATE" --level days
	assert_output 'memfs: there is no level "days"'
	run -1 "$MEMFS" history export -o state=/nowhere
	assert_output --partial 'there is none'
	run -2 "$MEMFS" history export --node --pid 1
	run -2 "$MEMFS" history
}

@test 'history of a process that ended cannot be read through its old name' {
	start sleep 1000
	retry_until 15 rows "$local/$STARTED/history/10m" 1
	stop "$STARTED"
	retry_until 2 test ! -e "$local/$STARTED"
	run cat "$local/$STARTED/history/10m"
	assert_failure 1
}
