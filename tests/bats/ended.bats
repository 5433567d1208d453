#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# memfs: alone, for in a storm of others only so many are kept, and these are counted
# What remains of processes that ended: how each ended, what it had last, over deaths of memfs itself, and in a storm.
load helpers
load programs
load cgroup

setup_file() {
	build_programs storm grow
}

setup() {
	setup_memfs
	ended=$MNT/local/ended
	need_kernel 'the proc connector, which tells how processes end, is not in this pid namespace' \
		retry_until 5 births_are_reported
}

teardown() {
	remove_cgroup
	teardown_memfs
}

# Not before the kernel has answered.
births_are_reported() {
	[[ $(field "$MNT/status" births) == connector ]]
}

# remains PID: prints the directory of what remains of it.
remains() {
	local found
	found=$(compgen -G "$ended/$1-*") && echo "$found"
}

# has_reason PID TEXT
has_reason() {
	local dir reason
	dir=$(remains "$1") || { ls "$ended" | tail -n 3; return 1; }
	reason=$(<"$dir/reason")
	[[ $reason == "$2" ]] || { echo "$dir: $reason"; return 1; }
}

# Whether a tick that has the process is in the database.
is_recorded() {
	sqlite3 "file:$STATE/history.db?mode=ro" 'SELECT pid FROM subject WHERE end_s = 0' | grep -qx "$1"
}

# end_with STATUS CMD...: runs CMD once its shell is recorded; sets PID.
end_with() {
	local status=0 wanted=$1
	shift
	start sh -c 'while [ ! -e "$0" ]; do sleep 0.05; done; "$@"' "$BATS_TEST_TMPDIR/go" "$@"
	PID=$STARTED
	retry_until 10 is_recorded "$PID"
	touch "$BATS_TEST_TMPDIR/go"
	wait "$PID" || status=$?
	rm "$BATS_TEST_TMPDIR/go"
	assert_equal "$status" "$wanted"
}

tell_collector() {
	kill "-$1" "$(collector_pid)"
}

collector_runs() {
	[[ $(field "$MNT/status" collector) == running ]]
}

# What ended well within seconds may be left out while others storm: tests end with a code.
@test 'an exit code, a signal and a core dump are told apart' {
	ulimit -c 0
	end_with 3 exit 3
	retry_until 10 has_reason "$PID" 'exit 3'
	end_with 255 exit 255
	retry_until 10 has_reason "$PID" 'exit 255'
	# shellcheck disable=SC2016 # for the shell that ends
	end_with 143 eval 'kill -TERM $$'
	retry_until 10 has_reason "$PID" 'signal 15 SIGTERM'
	# shellcheck disable=SC2016
	end_with 139 eval 'kill -SEGV $$'
	retry_until 10 has_reason "$PID" 'signal 11 SIGSEGV'
}

@test 'the files are those of the process, as they were last' {
	local dir before now generation
	start_still
	before=$(<"$MNT/local/$PID/rss")
	now=$(date +%s)
	# Its command line is read after a tick that it has lived to.
	generation=$(field "$MNT/status" generation)
	retry_until 10 eval "[ \$(field $MNT/status generation) -ge $((generation + 3)) ]"
	kill -KILL "$PID"
	wait "$PID" || true
	retry_until 10 has_reason "$PID" 'signal 9 SIGKILL'
	dir=$(remains "$PID")
	assert_equal "$(<"$dir/rss")" "$before"
	assert_equal "$(field "$dir/stat" rss)" "$before"
	assert_equal "$(<"$dir/comm")" sleep
	assert_equal "$(<"$dir/args")" 'sleep 1000'
	assert_equal "$(<"$dir/ppid")" "$$"
	assert_equal "$(<"$dir/uid") $(<"$dir/gid") $(<"$dir/threads")" "$(id -u) $(id -g) 1"
	assert_regex "$(<"$dir/state")" '^[ST]$'
	assert_equal "$(field "$dir/rate" rss_1s)" 0
	assert_regex "$(<"$dir/ended")" '^[0-9]+\.[0-9]{3}$'
	(($(cut -d . -f 1 "$dir/ended") >= now))
	assert_equal "$(basename "$dir")" "$PID-$(cut -d . -f 1 "$dir/start_time")"
	# No pid directory, the same through the link of the main session and in the live one, nothing to write.
	[[ ! -e $MNT/local/$PID ]]
	[[ -d $MNT/nodes/$NODE/ended/$(basename "$dir") ]]
	run sh -c "echo 1 >'$dir/rss'"
	assert_failure
	# Never measured: what is not known has no file, and is unknown in a table.
	[[ ! -e $dir/pss ]]
	assert_equal "$(field "$dir/stat" pss_last)" -
	python3 -c 'import json, sys; assert json.load(open(sys.argv[1]))["rss"] == int(sys.argv[2])' "$dir/stat.json" "$before"
}

@test 'its history ends with it' {
	local dir last
	end_with 1 exit 1
	retry_until 10 has_reason "$PID" 'exit 1'
	dir=$(remains "$PID")
	last=$(column "$dir/history/10m" time | tail -n 1)
	[[ -n $last ]]
	((last <= $(cut -d . -f 1 "$dir/ended") + 1))
	[[ $(column "$dir/history/10m" rss | tail -n 1) -gt 0 ]]
}

@test 'an unknown name is not there' {
	local name
	end_with 2 exit 2
	retry_until 10 has_reason "$PID" 'exit 2'
	name=$(basename "$(remains "$PID")")
	for name in 1-1 "$PID" "$PID-" "-$PID" "$name-" "$name-1" "$name-02" "0$name" "+$name" "$name/none" a; do
		run cat "$ended/$name/reason"
		assert_failure
		assert_output --partial 'No such file'
	done
	run mkdir "$ended/x"
	assert_failure
	run rmdir "$(remains "$PID")"
	assert_failure
}

@test 'who is gone before anybody looked is there with what the kernel told' {
	local dir i pids=''
	[[ $(readlink /proc/self/ns/pid) == 'pid:[4026531836]' ]] || skip 'kernel: the proc connector in the first pid namespace'
	for i in {1..50}; do
		pids+=" $(sh -c 'echo $$; exit 77' || true)"
	done
	# Of this test: others on the machine may end so, too.
	ours() {
		# shellcheck disable=SC2012 # names that memfs makes
		ls "$ended" | awk -F- -v pids="$pids" -v ended="$ended" '
			BEGIN { n = split(pids, pid, " "); for (i = 1; i <= n; i++) ours[pid[i]] = 1 }
			$1 in ours { print ended "/" $0 "/reason" }' | xargs -r grep -slx 'exit 77' | xargs -r -n 1 dirname
	}
	told() {
		[[ $(ours | wc -l) -eq 50 ]]
	}
	retry_until 20 told
	for dir in $(ours); do
		[[ -e $dir/ended && -e $dir/start_time ]]
	done
}

@test 'several threads end as one process' {
	start python3 -c 'import os, threading, time
for _ in range(8): threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
print("ready", flush=True)
while not os.path.exists("'"$BATS_TEST_TMPDIR"'/go"): time.sleep(0.05)
os._exit(9)' >"$BATS_TEST_TMPDIR/said"
	PID=$STARTED
	retry_until 20 grep -q ready "$BATS_TEST_TMPDIR/said"
	retry_until 10 eval "[ \$(cat $MNT/local/$PID/threads) -eq 9 ]"
	touch "$BATS_TEST_TMPDIR/go"
	wait "$PID" || true
	retry_until 10 has_reason "$PID" 'exit 9'
	[[ $(<"$(remains "$PID")/threads") -ge 1 ]]
}

# shellcheck disable=SC2016 # for the shell in the group
grow_in_cgroup() {
	start sh -c 'echo $$ >"$0/cgroup.procs" && exec python3 -c "x = bytearray(256 << 20)"' "$CGROUP"
	PID=$STARTED
	wait "$PID" || true
}

@test 'whom the OOM killer ends has the reason oom, in events too' {
	need_kernel 'a memory cgroup and its log' can_have_oom
	exec 9< <(timeout 60 cat "$MNT/local/events" 3>&-)
	grow_in_cgroup
	retry_until 10 has_reason "$PID" oom
	while read -r -u 9 -t 30 line; do
		[[ $line != *$'\texit\tpid/'"$PID"$'\t'* ]] || break
	done
	exec 9<&-
	assert_regex "$line" ' oom$'
	# The same signal from somebody else is what it is.
	end_with 137 eval 'kill -KILL $$'
	retry_until 10 has_reason "$PID" 'signal 9 SIGKILL'
}

@test 'a death while no collector looks is found by the next one' {
	local before dir
	start_still
	retry_until 10 is_recorded "$PID"
	before=$(<"$MNT/local/$PID/rss")
	# It cannot see the end: stopped, then killed.
	tell_collector STOP
	kill -KILL "$PID"
	wait "$PID" || true
	tell_collector KILL
	retry_until 20 has_reason "$PID" unknown
	dir=$(remains "$PID")
	assert_equal "$(<"$dir/rss")" "$before"
	assert_equal "$(<"$dir/comm")" sleep
}

@test 'a collector killed after a death loses neither it nor those before' {
	local first second
	end_with 4 exit 4
	first=$PID
	retry_until 10 has_reason "$first" 'exit 4'
	end_with 5 exit 5
	second=$PID
	tell_collector KILL
	# How it ended may be lost with the tick that it was in; that it did is not.
	retry_until 20 remains "$second"
	assert_regex "$(<"$(remains "$second")/reason")" '^(exit 5|unknown)$'
	has_reason "$first" 'exit 4'
	retry_until 20 collector_runs
	end_with 6 exit 6
	retry_until 20 has_reason "$PID" 'exit 6'
	run sqlite3 "file:$STATE/history.db?mode=ro" 'PRAGMA integrity_check'
	assert_output ok
}

@test 'it is there after memfs was away, with those that ended meanwhile' {
	local first name
	end_with 4 exit 4
	first=$PID
	retry_until 10 has_reason "$first" 'exit 4'
	name=$(basename "$(remains "$first")")
	start_still
	retry_until 10 is_recorded "$PID"
	"$MEMFS" umount "$MNT"
	kill -KILL "$PID"
	wait "$PID" || true
	"$MEMFS" mount -o "state=$STATE,run=$RUN,node=$NODE" "$MNT" 3>&-
	assert_equal "$(<"$ended/$name/reason")" 'exit 4'
	retry_until 20 has_reason "$PID" unknown
	assert_equal "$(<"$(remains "$PID")/comm")" sleep
	# No sample of it was on a board: its last values are in its history.
	[[ ! -e $(remains "$PID")/rss ]]
	[[ $(column "$(remains "$PID")/history/10m" rss | tail -n 1) -gt 0 ]]
}

@test 'ended_keep says how long, and 0 that none are kept' {
	end_with 2 exit 2
	retry_until 10 has_reason "$PID" 'exit 2'
	echo 'ended_keep 0' >"$MNT/local/config"
	none() {
		[[ -z $(ls "$ended") ]]
	}
	retry_until 20 none
	end_with 3 exit 3
	retry_until 10 eval "[ \$(field $MNT/status generation) -ge $(($(field "$MNT/status" generation) + 2)) ]"
	none
	run sh -c "echo 'ended_keep -1' >'$MNT/local/config'"
	assert_failure
}

@test 'a storm leaves a bounded number, and what failed before it' {
	end_with 3 exit 3
	retry_until 10 has_reason "$PID" 'exit 3'
	program storm 12000 >"$BATS_TEST_TMPDIR/stormed"
	generation=$(field "$MNT/status" generation)
	retry_until 20 eval "[ \$(field $MNT/status generation) -ge $((generation + 3)) ]"
	has_reason "$PID" 'exit 3'
	# Brief ones are at most 5,000; others on this machine end as well.
	run sqlite3 "file:$STATE/history.db?mode=ro" 'SELECT count(*) <= 5000 FROM ended WHERE brief'
	assert_output 1
	run bash -c 'ls "$0" | wc -l' "$ended"
	assert_success
	((output > 100))
}
