#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The tables of processes: processes, top/*, by-name/*, and how soon births and deaths show.
load helpers
load programs

setup_file() {
	build_programs grow named
}

setup() {
	setup_memfs
	local=$MNT/local
}

teardown() {
	teardown_memfs
}

header='pid	ppid	uid	comm	state	rss	vms	shared	text	data	swap	rate_1m	rate_10m	suspect_bytes	start_time'

# row PID COLUMN: from the table of processes.
row() {
	awk -F '\t' -v pid="$1" -v name="$2" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) at = i } $1 == pid { print $at; found = 1 }
		END { exit !found }' "$local/processes"
}

@test 'processes: its header, whole rows, ascending, and those that run are all in it' {
	start_still
	retry_until 5 row "$PID" pid
	run -0 cat "$local/processes"
	assert_line --index 0 "$header"
	echo "$output" | awk -F'\t' 'NF != 15 { print "row", NR, $0; bad = 1 } NR > 1 && $1 <= last { print "order", $0; bad = 1 } NR > 1 { last = $1 } END { exit bad }'
	echo "$output" | sed 1d | LC_ALL=C grep -avP '^\d+\t\d+\t\d+\t[^\t]*\t[RSDZTtIXPW]\t(\d+|-)\t(\d+|-)\t(\d+|-)\t(\d+|-)\t(\d+|-)\t(\d+|-)\t(-?\d+|-)\t(-?\d+|-)\t(\d+|-)\t\d{10}$' && fail 'odd rows'
	local one
	for one in 1 $$ "$PID"; do
		row "$one" pid
	done
}

@test 'a row is what the files of the process say' {
	start_still
	retry_until 5 row "$PID" pid
	local name
	for name in ppid uid comm rss vms shared text data swap; do
		retry_until 5 same "$name"
	done
	assert_equal "$(row "$PID" start_time)" "$(cut -d. -f1 "$local/$PID/start_time")"
	# Of a process whose memory does not change the rest is looked at again every few sweeps.
	retry_until 20 same state
	# From ps, which knows nothing of memfs: within the second that both may round.
	local started
	started=$(($(date +%s) - $(ps -o etimes= -p "$PID")))
	(($(row "$PID" start_time) >= started - 1 && $(row "$PID" start_time) <= started + 1))
}

same() {
	[[ $(row "$PID" "$1") == "$(cat "$local/$PID/$1")" ]]
}

@test 'births and deaths show in the table within two sweeps' {
	start sleep 1000
	PID=$STARTED
	retry_until 3 row "$PID" pid
	[[ -d $local/$PID ]]
	ls "$local" | grep -qx "$PID"
	stop "$PID"
	retry_until 3 gone_from_table
	retry_until 1 test ! -e "$local/$PID"
	[[ -z $(ls "$local" | grep -x "$PID") ]]
}

gone_from_table() {
	! row "$PID" pid
}

@test 'the listing is that of /proc' {
	retry_until 10 listing_agrees
}

ticked_since() {
	(($(field "$MNT/status" generation) > $1))
}

# Of those that are in /proc two ticks before and after, none is missing: where the kernel reports no births, a
# listing at each tick finds them.
listing_agrees() {
	local generation
	generation=$(field "$MNT/status" generation)
	ls /proc | grep -x '[0-9]*' | sort >"$BATS_TEST_TMPDIR/before"
	retry_until 5 ticked_since $((generation + 1)) >/dev/null
	ls "$local" | grep -x '[0-9]*' | sort >"$BATS_TEST_TMPDIR/here"
	ls /proc | grep -x '[0-9]*' | sort >"$BATS_TEST_TMPDIR/after"
	[[ -z $(comm -12 "$BATS_TEST_TMPDIR/before" "$BATS_TEST_TMPDIR/after" | comm -23 - "$BATS_TEST_TMPDIR/here") ]]
}

@test 'top: the same columns, largest first, at most fifty' {
	start_program grow 300 1
	retry_until 10 said_lines 1
	retry_until 5 sh -c "[ \"\$(sed 1d '$local/top/rss' | cut -f1 | head -n 5 | grep -cx $PID)\" = 1 ]"
	local name column
	for name in rss swap growth; do
		run -0 cat "$local/top/$name"
		assert_line --index 0 "$header"
		[[ ${#lines[@]} -le 51 ]]
	done
	column "$local/top/rss" rss >"$BATS_TEST_TMPDIR/rss"
	sort -c -n -r "$BATS_TEST_TMPDIR/rss"
	run ! grep -qx -- - "$BATS_TEST_TMPDIR/rss"
	# The largest of the table of all is the first here, if nothing changed in between.
	retry_until 5 sh -c "[ \"\$(sed 1d '$local/processes' | sort -t'	' -k6,6nr -k1,1n | head -n 1 | cut -f1)\" = \"\$(sed -n 2p '$local/top/rss' | cut -f1)\" ]"
}

@test 'who grows is in top/growth, with a rate' {
	echo 'sample_interval_ms 100' >"$local/config"
	start_program grow 4 16
	retry_until 5 said_lines 1
	local i
	for i in 2 3 4; do
		kill -USR1 "$PID"
		retry_until 5 said_lines "$i"
		retry_until 5 sh -c "[ \"\$(awk -F'\t' '\$1 == $PID { print \$6 }' '$local/processes')\" = \"\$(cat '$local/$PID/rss')\" ]"
	done
	retry_until 15 sh -c "grep -P 'rss_1s +-?\d' '$local/$PID/rate'"
}

@test 'by-name: pids, count and sums are of all processes of that name' {
	local name=grp$$ group
	start_program named "$name" "$name" "$name" "other$$"
	retry_until 5 said_lines 4
	group=$local/by-name/$name
	retry_until 5 sh -c "[ \"\$(cat '$group/count')\" = 3 ]"
	assert_equal "$(cat "$group/pids")" "$(head -n 3 "$SAID" | sort -n)"
	assert_equal "$(field "$group/stat" count)" 3
	local metric sum
	for metric in rss vms shared swap; do
		retry_until 5 adds_up "$metric"
		assert_equal "$(field "$group/stat" "$metric")" "$(cat "$group/$metric")"
	done
	ls "$local/by-name" | grep -qx "$name"
	stop "$PID"
	retry_until 5 test ! -e "$group"
	[[ -z $(ls "$local/by-name" | grep -x "$name") ]]
}

adds_up() {
	local pid sum=0
	for pid in $(cat "$group/pids"); do
		sum=$((sum + $(row "$pid" "$1")))
	done
	[[ $(cat "$group/$1") == "$sum" ]]
}

@test 'a group without members is not there' {
	[[ ! -e $local/by-name/no-such-name ]]
	run cat "$local/by-name/no-such-name/rss"
	assert_failure 1
	assert_output --partial 'No such file or directory'
}

@test 'pss, uss and dirty are those of smaps_rollup, and are remembered as NAME_last' {
	start_still
	local rollup=/proc/$PID/smaps_rollup
	assert_equal "$(field "$local/$PID/stat" pss_last)" -
	# Pages shared with others are shared with more or fewer as those come and go.
	retry_until 10 agrees pss '^Pss:'
	retry_until 10 agrees uss '^Private_(Clean|Dirty|Hugetlb):'
	retry_until 10 agrees dirty '^(Private|Shared)_Dirty:'
	retry_until 5 sh -c "[ \"\$(awk '\$1 == \"uss_last\" { print \$2 }' '$local/$PID/stat')\" = \"\$(cat '$local/$PID/uss')\" ]"
}

# agrees NAME LINES: the file is the sum of these lines of smaps_rollup.
agrees() {
	[[ $(cat "$local/$PID/$1") == $(($(awk -v lines="$2" '$1 ~ lines { sum += $2 } END { print sum }' "$rollup") * 1024)) ]]
}

@test 'state, ppid, threads and args follow the process' {
	start_still
	assert_equal "$(cat "$local/$PID/state")" T
	kill -CONT "$PID"
	retry_until 2 sh -c "[ \"\$(cat '$local/$PID/state')\" = S ]"
	assert_equal "$(cat "$local/$PID/args")" 'sleep 1000'
	cmp "$local/$PID/cmdline" "/proc/$PID/cmdline"
	start sh -c 'exec sleep 1000' "$(printf 'a\tb\nc\\')"
	retry_until 5 has_name sleep "$STARTED"
	start python3 -c 'import time; time.sleep(1000)' 'tab	here' $'new\nline' 'back\slash'
	PID=$STARTED
	retry_until 5 sh -c "tr '\\\\0' '\\\\n' <'/proc/$PID/cmdline' | grep -q slash"
	retry_until 5 grep -qF 'tab\011here new\012line back\134slash' "$local/$PID/args"
	assert_equal "$(wc -l <"$local/$PID/args")" 1
}

@test 'a process that lived and died while the collector slept is gone too' {
	local collector
	collector=$(collector_pid)
	kill -STOP "$collector"
	start sleep 1000
	PID=$STARTED
	test -e "$local/$PID/rss"
	stop "$PID"
	kill -CONT "$collector"
	retry_until 5 test ! -e "$local/$PID"
}
