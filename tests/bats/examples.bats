#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Every script in examples/ does what its head says.
load helpers

setup() {
	setup_memfs
	export MEMFS_BINARY=$MEMFS MEMFS=$MNT
}

teardown() {
	MEMFS=$MEMFS_BINARY
	teardown_memfs
}

# Names a process: its only argument is a number of seconds that outlives any test.
start_named() {
	[[ -e $BATS_TEST_TMPDIR/$1 ]] || cp "$(command -v sleep)" "$BATS_TEST_TMPDIR/$1"
	start "$BATS_TEST_TMPDIR/$1" 1000
}

@test "each example says what it is for, and is tried here" {
	local script
	for script in "$TOP"/examples/*; do
		[[ -x $script ]] || fail "$script cannot be run"
		sed -n 3p "$script" | grep -qE "^# (sh )?examples/$(basename "$script")\>.*: " || fail "line 3 of $script does not say what it is for"
		grep -qF "examples/$(basename "$script")" "$BATS_TEST_FILENAME" || fail "$script is tried by no test"
	done
}

@test "by-name adds up the processes of one name" {
	start_named same-name
	start_named same-name
	retry_until 10 grep -qx 2 "$MNT/local/by-name/same-name/count"
	run -0 "$TOP/examples/by-name" 1000
	assert_line --regexp '^ +[0-9]+\.[0-9] MiB +2 +same-name$'
	run -0 "$TOP/examples/by-name" 3
	assert_equal "${#lines[@]}" 3
}

@test "growing lists the growing, the fastest first" {
	run -0 "$TOP/examples/growing" 5
	[[ ${#lines[@]} -le 5 ]] || fail "more than asked: $output"
	local line
	for line in "${lines[@]}"; do
		[[ $line =~ ^\ +[0-9]+\.[0-9]\ KiB/s\ +[0-9]+\ +. ]] || fail "not understood: $line"
	done
	# A table of our own in place of the mount's: what it takes from it is known.
	mkdir -p "$BATS_TEST_TMPDIR/fake/local"
	printf 'pid\tcomm\trate_1m\n1\tslow\t1024\n2\tyoung\t-\n3\tfast thing\t4096\n4\tshrinks\t-9\n' >"$BATS_TEST_TMPDIR/fake/local/processes"
	MEMFS=$BATS_TEST_TMPDIR/fake run -0 "$TOP/examples/growing"
	assert_output "$(printf '       4.0 KiB/s       3   fast thing\n       1.0 KiB/s       1   slow')"
}

@test "lowest names a moment and an amount of the last ten minutes" {
	retry_until 20 "$TOP/examples/lowest"
	run -0 "$TOP/examples/lowest"
	assert_output --regexp '^[0-9]{2}:[0-9]{2}:[0-9]{2} [0-9]+ bytes$'
	local least
	least=$(awk '{ print $2 }' <<<"$output")
	[[ $least -le $(column "$MNT/local/history/10m" available | sort -n | tail -n 1) ]] || fail "$least is more than ever was"
}

@test "when-available runs its command when there is enough, and waits where there is not" {
	run -0 "$TOP/examples/when-available" 1 echo enough
	assert_output enough
	run -124 timeout 1 "$TOP/examples/when-available" 1000000000000000 echo enough
	assert_output ''
	run -2 "$TOP/examples/when-available" 1
}

@test "on-alert waits until its rule fires, and hands the event on" {
	start_named on-alert-test
	run -0 timeout 60 "$TOP/examples/on-alert" 'here each/on-alert-test rss > 4K for 1' sed 's/^/told: /'
	assert_output --regexp "^told: [0-9]+"$'\t'"[0-9.]+"$'\t'"alert"$'\t'"pid/$STARTED"$'\t'"here firing rss [0-9]+ > 4096$"
	run -2 "$TOP/examples/on-alert" rule
	run "$TOP/examples/on-alert" 'here node colour > 1' true
	assert_failure
}

@test "quickstart builds, mounts, shows numbers; and goes on where it is mounted already" {
	local dir=$BATS_TEST_TMPDIR/q/mnt options
	options=state=$BATS_TEST_TMPDIR/q/state,run=$BATS_TEST_TMPDIR/q/run,node=quick
	export BUILD
	BUILD=$(realpath "$MEMFS_BUILD")
	run -0 sh "$TOP/examples/quickstart" "$dir" "$options" 3>&-
	assert_line "memfs is mounted on $dir"
	assert_line "$dir/local/total:$(cat "$dir/local/total")"
	assert_line --regexp '^reason line 1: freshness_ms'
	assert_line "To unmount: $BUILD/memfs umount $dir"
	run -0 sh "$TOP/examples/quickstart" "$dir" "$options" 3>&-
	assert_line "memfs is mounted on $dir already"
}
