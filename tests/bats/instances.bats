#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Beginning and ending: several memfs side by side, what cannot be mounted, and that nothing is left.
load helpers

teardown() {
	cd "$TOP"
	teardown_memfs
}

# mounted_on DIR: how many mounts there are on it.
mounted_on() {
	awk -v dir="$1" '$5 == dir { n++ } END { print n + 0 }' /proc/self/mountinfo
}

# nothing_left: of the latest mount.
nothing_left() {
	[[ $(mounted_on "$MNT") == 0 && ! -e $RUN && -z $(memfs_pids) ]]
}

@test 'two instances side by side do not meet' {
	setup_memfs_at one
	local one=$MNT one_run=$RUN
	echo 'history_days 11' >"$one/local/config"
	setup_memfs_at two
	echo 'history_days 12' >"$MNT/local/config"
	assert_equal "$(field "$one/local/config" history_days)" 11
	[[ $(cat "$one/local/id") != $(cat "$MNT/local/id") ]]
	assert_equal "$(cat "$one/local/total")" "$(cat "$MNT/local/total")"
	"$MEMFS" umount "$MNT"
	[[ ! -e $RUN && -e $one_run ]]
	[[ -s $one/self/rss && $(field "$one/status" collector) == running ]]
}

@test 'what one instance has, another is refused, with a reason' {
	setup_memfs_at one
	local other=$BATS_TEST_TMPDIR/other
	mkdir -p "$other/mnt" "$other/state"
	run "$MEMFS" mount -o "state=$STATE,run=$other/run" "$other/mnt"
	assert_failure 1
	assert_output --regexp '^memfs: .*state directory is in use.*state='
	[[ ! -e $other/run && $(mounted_on "$other/mnt") == 0 ]]
	run "$MEMFS" mount -o "state=$other/state,run=$other/run" "$MNT"
	assert_failure 1
	assert_output "memfs: a memfs is mounted on $MNT already"
	[[ ! -e $other/run && $(mounted_on "$MNT") == 1 ]]
	run "$MEMFS" mount -o "state=$other/state,run=$RUN" "$other/mnt"
	assert_failure 1
	assert_output --regexp '^memfs: another memfs runs in .*run='
	[[ $(mounted_on "$other/mnt") == 0 ]]
	# None of it has hurt the first.
	[[ -s $MNT/local/total && -s $MNT/self/args && $(field "$MNT/status" collector) == running ]]
}

@test 'memfs umount leaves nothing' {
	setup_memfs
	cat "$MNT/self/pss" "$MNT/local/processes" >/dev/null
	run "$MEMFS" umount "$MNT"
	assert_success
	assert_output ''
	nothing_left
}

@test 'a plain umount leaves nothing' {
	setup_memfs
	umount "$MNT"
	retry_until 15 nothing_left
}

@test 'SIGTERM and SIGINT to the supervisor leave nothing' {
	local signal
	for signal in TERM INT; do
		setup_memfs
		kill -"$signal" "$(supervisor_pid)"
		retry_until 15 nothing_left
	done
}

@test 'umount of a mount in use is refused and nothing ends' {
	setup_memfs
	start sh -c 'cd "$0" && exec sleep 1000' "$MNT/local"
	retry_until 5 sh -c "readlink /proc/$STARTED/cwd | grep -q nodes"
	run "$MEMFS" umount "$MNT"
	assert_failure 1
	assert_output --regexp '^memfs: .*busy'
	[[ -s $MNT/local/total && $(field "$MNT/status" collector) == running ]]
	kill -KILL "$STARTED"
	retry_until 5 "$MEMFS" umount "$MNT"
	nothing_left
}

@test 'a dead mount found at the start is replaced, nothing is stacked' {
	setup_memfs
	local supervisor serve collector
	supervisor=$(supervisor_pid) serve=$(serve_pid) collector=$(collector_pid)
	kill -KILL "$supervisor" "$serve" "$collector"
	retry_until 10 dead "$MNT"
	run "$MEMFS" status "$MNT"
	assert_failure 1
	assert_output --partial dead
	"$MEMFS" mount -o "state=$STATE,run=$RUN,node=$NODE" "$MNT" 3>&-
	assert_equal "$(mounted_on "$MNT")" 1
	assert_equal "$(mounted_on "$RUN/live")" 1
	[[ -s $MNT/local/total && -s $MNT/self/args ]]
}

dead() {
	! ls "$1" >/dev/null 2>&1
}

@test 'memfs umount removes a dead mount' {
	setup_memfs
	kill -KILL "$(supervisor_pid)" "$(serve_pid)" "$(collector_pid)"
	retry_until 10 dead "$MNT"
	"$MEMFS" umount "$MNT"
	assert_equal "$(mounted_on "$MNT")" 0
	# What the killed ones left beside the mount goes with the next one.
	setup_memfs
	"$MEMFS" umount "$MNT"
	nothing_left
}

@test 'odd directories: relative, with blanks, with a TAB, through a link, with a slash at the end' {
	local base=$BATS_TEST_TMPDIR/base dir
	mkdir -p "$base/plain" "$base/a b/$(printf 'c\td')" "$base/state"
	ln -s plain "$base/link"
	cd "$base"
	for dir in plain ./plain/ "a b/$(printf 'c\td')" link; do
		"$MEMFS" mount -o "state=state,run=run,node=odd" "$dir" 3>&-
		[[ -s $dir/local/total && -s $dir/self/args && -s $dir/local/README ]] || fail "$dir does not work"
		run -0 "$MEMFS" status "$dir"
		assert_line --regexp '^node  *odd$'
		run -0 "$MEMFS" umount "$dir"
		[[ ! -e run ]]
	done
}

@test 'what cannot be mounted on: a file, nothing, and how it is said' {
	local base=$BATS_TEST_TMPDIR/base
	mkdir -p "$base/state"
	: >"$base/file"
	run "$MEMFS" mount -o "state=$base/state,run=$base/run" "$base/file"
	assert_failure 1
	assert_output "memfs: $base/file is not a directory"
	run "$MEMFS" mount -o "state=$base/state,run=$base/run" "$base/nowhere"
	assert_failure 1
	assert_output "memfs: $base/nowhere: No such file or directory"
	[[ ! -e $base/run ]]
	run "$MEMFS" umount "$base"
	assert_failure 1
	assert_output "memfs: no memfs is mounted on $base"
	run "$MEMFS" status "$base"
	assert_failure 1
}

@test 'bad usage: status 2 and a message on standard error, nothing begun' {
	local base=$BATS_TEST_TMPDIR/base words
	mkdir -p "$base"
	for words in '' frobnicate 'mount' 'mount -x D' 'mount -o no_such=1 D' 'mount -o freshness_ms=1 D' 'mount -o freshness_ms=x D' \
		'mount -o single=1 D' 'mount -o node= D' 'mount D D' 'umount' 'umount -f D' 'status -x' 'tree --html'; do
		# shellcheck disable=SC2086 # words
		run --separate-stderr "$MEMFS" ${words//D/$base}
		[[ $status == 2 ]] || fail "memfs $words: status $status"
		[[ -z $output && -n $stderr ]] || fail "memfs $words says it in the wrong place"
	done
	[[ -z $(memfs_pids) ]]
}

@test 'help, version and tree are for standard output' {
	run -0 "$MEMFS" --help
	assert_line --regexp '^usage: '
	run -0 "$MEMFS" --version
	assert_output --regexp '^memfs [0-9]+\.[0-9]+'
	run -0 "$MEMFS" tree
	assert_line --regexp '^nodes/NODE/PID/rss	'
	run -0 "$MEMFS" tree --markdown
	assert_line --index 0 --regexp '^# '
}

@test 'in the foreground it stays, and ends with its signal' {
	local base=$BATS_TEST_TMPDIR/f
	MNT=$base/mnt RUN=$base/run STATE=$base/state
	mkdir -p "$MNT" "$STATE"
	export_sanitizers
	start "$MEMFS" mount -f -o "state=$STATE,run=$RUN" "$MNT"
	retry_until 10 test -s "$MNT/local/total"
	kill -TERM "$STARTED"
	wait "$STARTED"
	nothing_left
}

@test 'node= names the node; a name that may not be is mapped' {
	setup_memfs_at one
	"$MEMFS" umount "$MNT"
	"$MEMFS" mount -o "state=$STATE,run=$RUN,node=my node/1" "$MNT" 3>&-
	assert_equal "$(ls "$MNT/nodes")" my_node_1
	assert_equal "$(cat "$MNT/local/hostname")" "$(cat /proc/sys/kernel/hostname)"
	assert_equal "$(field "$MNT/status" node)" my_node_1
}

@test 'a second mount on the same directory, with the same run directory, is refused as mounted already' {
	setup_memfs
	run -1 "$MEMFS" mount -o "state=$STATE,run=$RUN,node=$NODE" "$MNT"
	assert_output "memfs: a memfs is mounted on $MNT already"
	# What is wrong with the directory is said before whose the run directory is.
	run -1 "$MEMFS" mount -o "state=$STATE,run=$RUN" "$BATS_TEST_TMPDIR/nowhere"
	assert_output "memfs: $BATS_TEST_TMPDIR/nowhere: No such file or directory"
	[[ $(cat "$MNT/local/total") -gt 0 ]]
}

@test 'nothing is mounted on the root directory' {
	local dir
	for dir in / /tmp/..; do
		# In a namespace of its own, should it be mounted after all.
		run -1 unshare --mount --pid --fork --mount-proc --propagation private "$MEMFS" mount \
			-o "state=$BATS_TEST_TMPDIR/state,run=$BATS_TEST_TMPDIR/run" "$dir" 3>&-
		assert_output --partial 'root directory'
	done
	[[ ! -e $BATS_TEST_TMPDIR/run ]]
}

@test 'a user who may not unmount is told so' {
	setup_memfs
	run -1 setpriv --reuid=nobody --regid=nogroup --clear-groups "$(memfs_for_users)" umount "$MNT"
	assert_output "memfs: $MNT: Operation not permitted"
	[[ $(cat "$MNT/local/total") -gt 0 ]]
}

@test 'unmounted here alone, memfs says whom to end before it mounts again' {
	setup_memfs
	local supervisor
	supervisor=$(supervisor_pid)
	start unshare --mount --propagation private sleep 1000
	retry_until 5 grep -q " $MNT " "/proc/$STARTED/mounts"
	umount "$MNT"
	run -1 "$MEMFS" mount -o "state=$STATE,run=$RUN,node=$NODE" "$MNT"
	assert_output --partial "kill $supervisor"
	kill "$supervisor"
	retry_until 10 none_left
	"$MEMFS" mount -o "state=$STATE,run=$RUN,node=$NODE" "$MNT" 3>&-
	[[ $(cat "$MNT/local/total") -gt 0 ]]
}

@test 'memfs umount ends memfs though another mount namespace has a copy' {
	setup_memfs
	start unshare --mount --propagation private sleep 1000
	retry_until 5 grep -q " $MNT " "/proc/$STARTED/mounts"
	run "$MEMFS" umount "$MNT"
	assert_success
	nothing_left
}

@test 'a run directory that serve cannot reach is refused; such a state directory means no history, and the log says so' {
	local closed=$BATS_TEST_TMPDIR/closed dir=$BATS_TEST_TMPDIR/reach
	mkdir -m 700 "$closed" && mkdir -p "$dir/mnt" "$closed/state"
	run -1 "$MEMFS" mount -o "state=$dir/state,run=$closed/run,node=reach" "$dir/mnt"
	assert_output --partial "cannot reach run=$closed/run: let others search"
	run ! mountpoint -q "$dir/mnt"
	[[ ! -e $closed/run ]] || fail 'something is left'
	"$MEMFS" mount -o "state=$closed/state,run=$dir/run,node=reach" "$dir/mnt" 3>&-
	grep -q "no history.*cannot reach state=$closed/state" "$dir/run/log"
	[[ $(cat "$dir/mnt/self/pss") -gt 0 ]]
	run cat "$dir/mnt/local/history/10m"
	assert_output --partial 'No data available'
}
