#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Numbers are the kernel's: of all processes, of each kind of process, of the node, and as fresh as promised.
load helpers
load programs

setup_file() {
	build_programs grow zombie-leader
}

setup() {
	setup_memfs
	local=$MNT/local
}

teardown() {
	teardown_memfs
}

@test 'every number of every process, and of the node, is what /proc says at the same moment' {
	start_program zombie-leader 8
	# A parent that never waits has a zombie.
	start sh -c 'true & exec sleep 1000'
	retry_until 5 said_lines 1
	run -0 python3 "$TOP/tests/programs/agree.py" "$local"
	assert_output --regexp '^[0-9]+ processes, [1-9][0-9]* of them without memory, 0 wrong$'
}

@test 'a zombie and a kernel thread have no rss, vms and the like; what they have is there' {
	local name pid
	start_memoryless
	for pid in $MEMORYLESS; do
		for name in rss vms shared text data anon file shmem swap lib pss uss dirty; do
			[[ ! -e $local/$pid/$name && ! -L $local/$pid/$name ]] || fail "$pid has $name"
		done
		for name in comm state ppid uid gid threads start_time statm; do
			[[ -s $local/$pid/$name ]] || fail "$pid has no $name"
		done
		assert_equal "$(field "$local/$pid/stat" rss)" -
	done
	assert_equal "$(cat "$local/$ZOMBIE/state")" Z
	assert_equal "$(cat "$local/$ZOMBIE/ppid")" "$STARTED"
}

@test 'a process whose leader ended is read through a thread that lives' {
	start_program zombie-leader 16
	retry_until 5 said_lines 1
	in_state Z "$PID"
	[[ $(cat "$local/$PID/rss") -ge $((16 << 20)) ]]
	[[ $(field "$local/$PID/stat" rss) -ge $((16 << 20)) ]]
	[[ $(cut -d' ' -f2 "$local/$PID/statm") -ge $(((16 << 20) / $(getconf PAGESIZE))) ]]
	assert_equal "$(cat "$local/$PID/threads")" 2
	run -0 cat "$local/$PID/args"
	assert_output --partial 'zombie-leader 16'
}

@test 'flat-keyed and one-value files of a node agree' {
	local name
	for name in total swap_total; do
		assert_equal "$(cat "$local/$name")" "$(field "$local/stat" "$name")"
	done
	assert_equal "$(cat "$local/total")" $(($(field /proc/meminfo MemTotal: | cut -d' ' -f1) * 1024))
	# Keys of meminfo in their order; its bytes are compared where they stand still, in tree.bats.
	cmp <(sed 's/[0-9]\+ kB$/N kB/; s/  */ /' /proc/meminfo) <(sed 's/[0-9]\+ kB$/N kB/; s/  */ /' "$local/meminfo")
}

@test 'files of several values keep their size' {
	local file before
	start_program grow 4 64
	retry_until 5 said_lines 1
	for file in "$MNT/status" "$local/stat" "$local/rate" "$local/$PID/stat" "$local/$PID/rate"; do
		before+="$(stat -c '%n %s' "$file") "
	done
	kill -USR1 "$PID"
	retry_until 10 said_lines 2
	# Rates of the newcomer are unknown at first and then not.
	retry_until 10 sh -c "! grep -q 'rss_1s  *-' '$local/$PID/rate'"
	local after
	for file in "$MNT/status" "$local/stat" "$local/rate" "$local/$PID/stat" "$local/$PID/rate"; do
		after+="$(stat -c '%n %s' "$file") "
	done
	assert_equal "$after" "$before"
	# Values are right-aligned in 20 columns.
	run -0 awk 'length($0) != length($1) + 21' "$MNT/status" "$local/stat" "$local/rate" "$local/$PID/stat" "$local/$PID/rate"
	assert_output ''
}

# seen_within MS PID BYTES: whether a reader that never pauses sees at least so much within so long.
seen_within() {
	local until=$(($(date +%s%N) + $1 * 1000000)) value=0
	while (($(date +%s%N) < until)); do
		read -r value <"$local/$2/rss"
		((value < $3)) || return 0
	done
	echo "after $1 ms it is still $value, not $3"
	return 1
}

# grows_within MS: a growth of 64 MiB is seen. The machine may be busy with others, hence a second attempt.
grows_within() {
	local attempt value
	start_program grow 1 64
	retry_until 5 said_lines 1
	for attempt in 1 2 3; do
		read -r value <"$local/$PID/rss"
		kill -USR1 "$PID"
		retry_until 10 said_lines $((attempt + 1))
		! seen_within "$1" "$PID" $((value + (64 << 20))) || return 0
	done
	return 1
}

@test 'a change is seen within freshness_ms: 100' {
	assert_equal "$(field "$MNT/status" freshness_ms)" 100
	grows_within 250
}

@test 'a change is seen within freshness_ms: 1000, and the setting acts' {
	echo 'freshness_ms 1000' >"$local/config"
	retry_until 5 sh -c "grep -q 'freshness_ms  *1000' '$MNT/status'"
	grows_within 1250
	# Between two invalidations the number stands: of many reads in a row most are one snapshot.
	run -0 sh -c "for i in \$(seq 200); do stat -c %.Y '$local/used'; done | uniq | wc -l"
	[[ $output -le 20 ]] || fail "200 reads at freshness_ms 1000 were $output snapshots"
}
