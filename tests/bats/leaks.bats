#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# memfs: alone, for the first collector of a machine drives a region and tells of it
# leaks/ of a traced process: what it says is what the program has, whoever dies in between.
load helpers
load programs
load cgroup

setup_file() {
	build_programs leaky shadow
}

teardown() {
	exec 8>&- 9>&-
	remove_cgroup
	teardown_memfs
}

# begin_leaky [NAME=VALUE...]: a traced program that obeys what is written to fd 8; sets PID, LEAKS.
begin_leaky() {
	mkfifo "$BATS_TEST_TMPDIR/orders"
	SAID=$BATS_TEST_TMPDIR/said
	: >"$SAID"
	env LD_PRELOAD="$(realpath "$MEMFS_BUILD")/libmemfs-preload.so" MEMFS_RUN="$RUN" "$@" \
		"$BATS_FILE_TMPDIR/leaky" <"$BATS_TEST_TMPDIR/orders" >"$SAID" 3>&- &
	PID=$!
	end_later "$PID"
	exec 8>"$BATS_TEST_TMPDIR/orders"
	order ready
	LEAKS=$MNT/local/$PID/leaks
	retry_until 10 test -d "$LEAKS"
}

said_lines() {
	(($(wc -l <"$SAID") >= $1))
}

# order LINE: and waits until it is obeyed.
order() {
	local n
	n=$(wc -l <"$SAID")
	echo "$1" >&8
	retry_until 10 said_lines $((n + 1))
}

# stat_is KEY VALUE...: as often as it takes, for reading it has it counted.
stat_is() {
	local stat key value
	stat=$(cat "$LEAKS/stat") || return 1
	while (($#)); do
		value=$(awk -v key="$1" '$1 == key { print $2 }' <<<"$stat")
		[[ $value == "$2" ]] || { echo "$1 is $value, not $2"; return 1; }
		shift 2
	done
}

# caller_is SYMBOL COLUMN VALUE: of the row with that symbol.
caller_is() {
	local value
	value=$(awk -F'\t' -v symbol="$1" -v column="$2" 'NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
		$at["symbol"] == symbol { print $at[column] }' "$LEAKS/callers")
	[[ $value == "$3" ]] || { echo "$2 of $1 is '$value', not '$3'"; return 1; }
}

events_have() {
	grep -qP "$1" "$MNT/local/history/events"
}

@test "every block is counted, and named by who made it" {
	setup_memfs
	begin_leaky MEMFS_TRACE=exact
	echo 0 >"$LEAKS/min_age"
	order "leak 1000 100"
	order "leak_more 10 300000"
	retry_until 10 caller_is leak live_bytes 100000
	caller_is leak live_blocks 1000
	caller_is leak suspect_bytes 100000
	caller_is leak_more live_bytes 3000000
	caller_is leak_more module "$BATS_FILE_TMPDIR/leaky"
	order "free 400"
	caller_is leak live_blocks 600
	caller_is leak live_bytes 60000
	[[ $(awk -F'\t' 'NR > 1 && $3 == 100' "$LEAKS/records" | wc -l) == 600 ]]
	[[ $(head -n 1 "$LEAKS/records") == $'time\tpid\tsize\taddr\tcaller' ]]
	# Oldest first, of this process, at addresses.
	awk -F'\t' -v pid="$PID" 'NR > 1 && ($1 + 0 < last || $2 != pid || $4 !~ /^0x[0-9a-f]+$/ || $5 !~ /^0x[0-9a-f]+$/) { exit 1 }
		NR > 1 { last = $1 + 0 }' "$LEAKS/records"
	grep -qx "leaky;leak 60000" "$LEAKS/folded"
	grep -q "<svg.*" "$LEAKS/flame.svg"
	grep -q ">leak<\|leak_more" "$LEAKS/flame.svg"
	retry_until 10 stat_is mode exact live_blocks "$(($(wc -l <"$LEAKS/records") - 1))" lost 0 uncovered_bytes 0
	[[ $(python3 -c 'import json, sys
print(*(row["live_blocks"] for row in json.load(sys.stdin) if row["symbol"] == "leak"))' <"$LEAKS/callers.json") == 600 ]]
}

@test "a young block is no suspect, an old one is, and what is kept or the runtime's is none" {
	setup_memfs
	begin_leaky MEMFS_TRACE=exact
	order "leak 10 1000"
	[[ $(cat "$LEAKS/min_age") == 60 ]]
	retry_until 10 caller_is leak live_bytes 10000
	caller_is leak suspect_bytes 0
	[[ $(wc -l <"$LEAKS/records") == 1 ]]
	echo "leaks_min_age 1" >"$MNT/local/config"
	retry_until 10 caller_is leak suspect_bytes 10000
	echo 100000 >"$LEAKS/min_age"
	[[ $(cat "$LEAKS/min_age") == 100000 ]]
	caller_is leak suspect_bytes 0
	echo 0 >"$LEAKS/min_age"
	# The buffer of its standard output is the C library's.
	runtime_is_none() { awk -F'\t' '$9 ~ /libc\.so/ { n++; sum += $1 } END { exit !(n && !sum) }' "$LEAKS/callers"; }
	retry_until 10 runtime_is_none
	(($(awk '$1 == "runtime_bytes" { print $2 }' "$LEAKS/stat") > 0))
}

@test "tracing goes on and off while it runs, and older blocks are no leaks" {
	setup_memfs
	begin_leaky
	retry_until 10 stat_is mode off
	order "leak 1000 100"
	[[ $(cat "$LEAKS/trace") == off ]]
	echo exact >"$LEAKS/trace"
	[[ $(cat "$LEAKS/trace") == exact ]]
	echo 0 >"$LEAKS/min_age"
	order "leak 5 100"
	retry_until 10 caller_is leak live_blocks 5
	order "free 1005"
	retry_until 10 caller_is leak live_blocks ""
	retry_until 10 stat_is mode exact preattach_blocks 1000
	echo "sample 64K" >"$LEAKS/trace"
	[[ $(cat "$LEAKS/trace") == "sample 65536" ]]
	echo off >"$LEAKS/trace"
	[[ $(cat "$LEAKS/trace") == off ]]
	retry_until 10 stat_is mode off live_bytes 0
	echo exact >"$LEAKS/trace"
	order "leak 7 100"
	retry_until 10 caller_is leak live_blocks 7
}

@test "what makes no sense is refused with a reason, and so is who cannot be traced" {
	setup_memfs
	begin_leaky
	local text
	for text in on "exact 5" "sample x" "sample 1" "stacks 1 2" $'exact\noff' ""; do
		# One write(2), whatever is in it.
		run bash -c 'printf "%s\n" "$1" | dd of="$2" bs=64K iflag=fullblock status=none' - "$text" "$LEAKS/trace"
		assert_failure
	done
	[[ $(cat "$LEAKS/trace") == off ]]
	run bash -c 'echo -1 >"$0"' "$LEAKS/min_age"
	assert_failure
	run bash -c 'echo 1 2 >"$0"' "$LEAKS/min_age"
	assert_failure
	start sleep 100
	retry_until 10 test -e "$MNT/local/$STARTED/leaks/trace"
	[[ $(cat "$MNT/local/$STARTED/leaks/trace") == off ]]
	stat_is_none() { [[ $(awk '$1 == "mode" { print $2 }' "$MNT/local/$STARTED/leaks/stat") == none ]]; }
	stat_is_none
	run bash -c 'echo exact >"$0"' "$MNT/local/$STARTED/leaks/trace"
	assert_failure
	assert_output --partial "not supported"
	grep -q "^reason .*preload" "$MNT/why"
	run cat "$MNT/local/$STARTED/leaks/records"
	assert_failure
}

@test "leaks/ is for the owner and root" {
	setup_memfs
	begin_leaky MEMFS_TRACE=exact
	order "leak 10 1000"
	retry_until 10 caller_is leak live_bytes 10000
	local file
	for file in records callers folded callers.json stat trace min_age; do
		run setpriv --reuid=4001 --regid=4001 --clear-groups cat "$LEAKS/$file"
		assert_failure
	done
	run setpriv --reuid=4001 --regid=4001 --clear-groups bash -c 'echo off >"$0"' "$LEAKS/trace"
	assert_failure
	[[ $(cat "$LEAKS/trace") == exact ]]
	echo 0 >"$LEAKS/min_age"
	in_leaks() { grep -qP "^$PID\tleaky\t10000\t10\t" "$MNT/local/leaks"; }
	retry_until 10 in_leaks
	in_group() { grep -qP "\tleak\t.*leaky\t1$" "$MNT/local/by-name/leaky/leaks"; }
	retry_until 10 in_group
	[[ $(setpriv --reuid=4001 --regid=4001 --clear-groups cat "$MNT/local/leaks" | wc -l) == 1 ]]
	[[ $(setpriv --reuid=4001 --regid=4001 --clear-groups cat "$MNT/local/by-name/leaky/leaks" | wc -l) == 1 ]]
	suspect_row() { [[ $(awk -F'\t' -v pid="$PID" '$1 == pid { print $14 }' "$MNT/local/$1") -ge 10000 ]]; }
	retry_until 10 suspect_row processes
	suspect_row top/suspect
}

@test "no death of the collector loses a block" {
	setup_memfs
	begin_leaky MEMFS_TRACE=exact
	echo 0 >"$LEAKS/min_age"
	order "leak 100 1000"
	retry_until 10 caller_is leak live_blocks 100
	kill -KILL "$(collector_pid)"
	order "leak 50 1000"
	retry_until 20 caller_is leak live_blocks 150
	[[ $(cat "$LEAKS/min_age") == 0 ]]
	# In the middle of reads.
	local i
	order "leak 200000 32"
	for i in 1 2 3 4 5; do
		cat "$LEAKS/records" >"$BATS_TEST_TMPDIR/records" &
		kill -KILL "$(collector_pid)"
		wait $! || true
		other_collector() { kill -0 "$(collector_pid)" 2>/dev/null; }
		retry_until 20 other_collector
	done
	retry_until 20 caller_is leak live_blocks 200150
}

@test "what a process had is kept when it ends: exit, SIGKILL, both with the collector" {
	setup_memfs
	begin_leaky MEMFS_TRACE=exact
	echo 0 >"$LEAKS/min_age"
	order "leak 100 1000"
	retry_until 10 caller_is leak live_blocks 100
	kill -KILL "$PID"
	kept() {
		LEAKS=$(echo "$MNT/local/ended/$PID"-*/leaks)
		caller_is leak live_blocks "$1"
	}
	retry_until 15 kept 100
	kept 100
	[[ $(awk -F'\t' 'NR > 1 && $3 == 1000' "$LEAKS/records" | wc -l) == 100 ]]
	grep -qx "leaky;leak 100000" "$LEAKS/folded"
	grep -q "<svg" "$LEAKS/flame.svg"
	stat_is mode exact live_blocks "$(($(wc -l <"$LEAKS/records") - 1))"
	run setpriv --reuid=4001 --regid=4001 --clear-groups cat "$LEAKS/records"
	assert_failure

	exec 8>&-
	rm "$BATS_TEST_TMPDIR/orders"
	begin_leaky MEMFS_TRACE=exact
	order "leak 30 1000"
	kill -KILL "$PID" "$(collector_pid)"
	retry_until 20 kept 30

	exec 8>&-
	rm "$BATS_TEST_TMPDIR/orders"
	begin_leaky MEMFS_TRACE=exact
	order "leak 40 1000"
	echo exit >&8
	retry_until 15 kept 40
}

@test "what the OOM killer ends has left what it had" {
	need_kernel 'a memory cgroup and its log' can_have_oom
	setup_memfs
	begin_leaky MEMFS_TRACE=exact
	echo "$PID" >"$CGROUP/cgroup.procs"
	echo "leak 100000 1000" >&8
	remains() { echo "$MNT/local/ended/$PID"-*; }
	has_remains() { [[ -e $(remains)/leaks/stat ]]; }
	retry_until 20 has_remains
	LEAKS=$(remains)/leaks
	retry_until 5 grep -qs "^oom" "$(remains)/reason"
	local bytes
	bytes=$(awk '$1 == "live_bytes" { print $2 }' "$LEAKS/stat")
	((bytes > 4 << 20 && bytes < 16 << 20)) || fail "live_bytes $bytes"
	caller_is leak live_bytes "$(awk -F'\t' '$3 == 1000 { n++ } END { print n * 1000 }' "$LEAKS/records")"
}

@test "events tell of new suspects, once, and history has their site" {
	setup_memfs interval_ms=100
	echo "leaks_event_bytes 100K
leaks_min_age 1
growth_window_s 20" >"$MNT/local/config"
	begin_leaky MEMFS_TRACE=exact
	order "leak_more 1 200000"
	retry_until 20 events_have "\tleak\tpid/$PID\tleaky leak_more has suspects"
	[[ $(grep -cP "\tleak\tpid/$PID\t" "$MNT/local/history/events") == 1 ]]
	# And history has the site.
	in_history() {
		[[ $(sqlite3 "file:$STATE/history.db?mode=ro" "SELECT DISTINCT symbol FROM leak_minute JOIN leak_site ON id = site
			WHERE pid = $PID AND live_bytes >= 200000") == leak_more ]]
	}
	retry_until 70 in_history
}

@test "of two mounts each tells its people" {
	setup_memfs interval_ms=100
	local config='leaks_event_bytes 100K
leaks_min_age 1' first_mnt=$MNT
	echo "$config" >"$MNT/local/config"
	begin_leaky MEMFS_TRACE=exact
	order "leak_more 1 200000"
	retry_until 20 events_have "\tleak\tpid/$PID\tleaky leak_more has suspects"
	kill -KILL "$(collector_pid)"
	setup_memfs_at other interval_ms=100
	echo "$config" >"$MNT/local/config"
	retry_until 20 events_have "\tleak\tpid/$PID\tleaky leak_more has suspects"
	# A collector that died tells nothing twice.
	run grep -P "\tleak\tpid/$PID\t" "$first_mnt/local/history/events"
	[[ ${#lines[@]} == 1 ]] || fail "$output"
}

@test "with stacks, what is not freed is told by who called whom" {
	setup_memfs
	begin_leaky MEMFS_TRACE="stacks 1K"
	order "leak 20 100000"
	stack_is_told() { grep -qP "main;leak [0-9]+$" "$LEAKS/folded"; }
	retry_until 15 stack_is_told
	run grep -c "libmemfs-preload\|malloc_" "$LEAKS/folded"
	assert_output 0
	# An estimate, of so few blocks as large as these none at all.
	caller_is leak live_bytes 2000000
}

@test "stacks are taken between ticks, before the ring is full" {
	setup_memfs
	begin_leaky MEMFS_TRACE="stacks 1"
	order "leak 20 1000"
	retry_until 15 caller_is leak live_blocks 20
	# From now on a tick comes too late.
	echo 'sample_interval_ms 600000' >"$MNT/local/config"
	header() { program shadow header "$PID" | awk -v key="$1" '$1 == key { print $2 }'; }
	is_taken() { (($(header stacks_waiting) < 20)); }
	for burst in {1..10}; do
		retry_until 15 is_taken
		order "leak 100 1000"
	done
	retry_until 15 is_taken
	assert_equal "$(header stacks_dropped)" 0
	retry_until 10 stat_is stacks_lost 0
	[[ $(awk '/main;leak [0-9]+$/ { print $2 }' "$LEAKS/folded") == 1020000 ]]
}

@test "wrappers that people name are looked through" {
	setup_memfs
	begin_leaky MEMFS_TRACE="stacks 1K"
	order "wrapped_a 20 100000"
	order "wrapped_b 10 100000"
	retry_until 15 caller_is grab live_bytes 3000000
	echo 'gr?b' >"$MNT/local/leaks_skip"
	retry_until 10 caller_is wrapped_a live_bytes 2000000
	caller_is wrapped_b live_bytes 1000000
	caller_is grab live_bytes ''
	wrapped_records() { awk -F'\t' -v caller="$(awk -F'\t' '$8 == "wrapped_b" { print $7 }' "$LEAKS/callers")" \
		'$5 == caller' "$LEAKS/records" | wc -l; }
	echo 0 >"$LEAKS/min_age"
	[[ $(wrapped_records) == 10 ]]
	# Later lines count for more.
	echo '!grab' >"$MNT/local/leaks_skip"
	retry_until 10 caller_is grab live_bytes 3000000
	printf -- '-!grab\n' >"$MNT/local/leaks_skip"
	retry_until 10 caller_is wrapped_a live_bytes 2000000
	# What it had is told by the same names when it is gone.
	echo exit >&8
	remains() { cat "$MNT"/local/ended/"$PID"-*/leaks/callers; }
	has_remains() { remains | grep -q wrapped_b; }
	retry_until 20 has_remains
	LEAKS=$(echo "$MNT"/local/ended/"$PID"-*/leaks)
	caller_is wrapped_a live_bytes 2000000
	[[ $(wrapped_records) == 10 ]]
	grep -q '>leaky, ended (' "$LEAKS/flame.svg"
}

@test "without stacks a wrapper stands in brackets, also one that people named" {
	setup_memfs
	begin_leaky MEMFS_TRACE=exact
	order "wrapped_a 3 1000"
	retry_until 10 caller_is grab live_blocks 3
	echo grab >"$MNT/local/leaks_skip"
	retry_until 10 caller_is '[grab]' live_blocks 3
}

@test "leaks that are known are neither suspects nor told" {
	setup_memfs interval_ms=100
	echo "leaks_event_bytes 100K
leaks_min_age 0" >"$MNT/local/config"
	printf '# ours\nleak:^leak_m*e$\nrace:anything\n\n' >"$MNT/local/leaks_suppress"
	[[ $(cat "$MNT/local/leaks_suppress") == 'leak:^leak_m*e$' ]]
	begin_leaky MEMFS_TRACE=exact
	order "leak_more 2 200000"
	order "leak 1 200000"
	retry_until 20 events_have "\tleak\tpid/$PID\tleaky leak has suspects"
	caller_is leak_more suspect_bytes 0
	caller_is leak_more live_bytes 400000
	retry_until 10 stat_is suspect_bytes 200000
	[[ $(grep -cP "\tleak\tpid/$PID\tleaky leak_more" "$MNT/local/history/events") == 0 ]]
	# Kept over the death of the collector; without them it is one as any other.
	kill -KILL "$(collector_pid)"
	retry_until 10 stat_is suspect_bytes 200000
	retry_until 10 write_to "$MNT/local/leaks_suppress" '-leak:^leak_m*e$'
	retry_until 20 events_have "\tleak\tpid/$PID\tleaky leak_more has suspects"
}

write_to() {
	echo "$2" >"$1"
}

@test "with stacks a leak is known by any of its callers" {
	setup_memfs
	echo "leaks_min_age 0" >"$MNT/local/config"
	echo "leak:wrapped_a" >"$MNT/local/leaks_suppress"
	begin_leaky MEMFS_TRACE="stacks 1K"
	order "wrapped_a 20 100000"
	order "wrapped_b 10 100000"
	suspects() { [[ $(awk -F'\t' '$8 == "grab" { print $1, $3 }' "$LEAKS/callers" | sort | paste -sd,) == "$1" ]]; }
	retry_until 15 suspects "0 2000000,1000000 1000000"
	# A process with two leaks of one place is one process.
	of_group() { [[ $(awk -F'\t' '$8 == "grab" { print $10, $1, $3 }' "$MNT/local/by-name/leaky/leaks") == "$1" ]]; }
	retry_until 10 of_group "1 1000000 3000000"
	# However blocks are chosen from now on.
	echo "sample 1024" >"$LEAKS/trace"
	suspects "0 2000000,1000000 1000000"
	retry_until 10 stat_is suspect_bytes 1000000
	# The next collector has no stacks; what is known it knows.
	kill -KILL "$(collector_pid)"
	known_is() { [[ $(awk -F'\t' -v name="$1" '$8 == name { print $1, $3 }' "$LEAKS/callers") == "$2" ]]; }
	retry_until 15 known_is '[known leaks]' "0 2000000"
	known_is grab "1000000 1000000"
	echo '-leak:wrapped_a' >"$MNT/local/leaks_suppress"
	retry_until 10 known_is grab "3000000 3000000"
}

@test "with stacks, what the runtime keeps is the runtime's" {
	setup_memfs
	echo "leaks_min_age 0" >"$MNT/local/config"
	begin_leaky MEMFS_TRACE="stacks 1"
	order "leak 3 100000"
	retry_until 15 caller_is leak suspect_blocks 3
	caller_is main suspect_bytes ''
	runtime() { (($(awk '$1 == "runtime_bytes" { print $2 }' "$LEAKS/stat") >= 4096)); }
	retry_until 10 runtime
}

@test "patterns that make no sense are refused with their line" {
	setup_memfs
	local file=$MNT/local/leaks_skip text
	printf '# ours\nshop_*\nmodule:libshop.so.2\noperator new(unsigned long)\n' >"$file"
	[[ $(cat "$file") == $'shop_*\nmodule:libshop.so.2\noperator new(unsigned long)' ]]
	for text in '*' '!' 'module:' $'a\001b' '-absent'; do
		run write_to "$file" "$text"
		assert_failure 1
	done
	printf 'good\n**\n' >"$BATS_TEST_TMPDIR/list"
	run sh -c 'cat "$0" >"$1"' "$BATS_TEST_TMPDIR/list" "$file"
	assert_failure
	grep -q "line 2: '\*\*' would skip everything" "$MNT/why"
	[[ $(cat "$file") == $'shop_*\nmodule:libshop.so.2\noperator new(unsigned long)' ]]
	for text in leak leak: :x; do
		run write_to "$MNT/local/leaks_suppress" "$text"
		assert_failure 1
	done
	run setpriv --reuid=4001 --regid=4001 --clear-groups sh -c "echo x >'$file'"
	assert_failure
}

@test "a region that its process scribbles over harms nobody" {
	setup_memfs
	begin_leaky MEMFS_TRACE=exact
	order "leak 1000 100"
	retry_until 10 caller_is leak live_blocks 1000
	local i collector
	collector=$(collector_pid)
	for i in 1 2 3 4 5 6 7 8; do
		order "scribble $i"
		cat "$LEAKS"/{records,callers,folded,stat} >"$BATS_TEST_TMPDIR/out" 2>&1 || true
	done
	kill -KILL "$PID"
	alive() { [[ $(collector_pid) == "$collector" ]] && kill -0 "$collector"; }
	alive
	begin_again() { exec 8>&-; rm "$BATS_TEST_TMPDIR/orders"; begin_leaky MEMFS_TRACE=exact; }
	begin_again
	order "leak 10 100"
	retry_until 10 caller_is leak live_blocks 10
	alive
}
