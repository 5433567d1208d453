#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# What the memfs command says and answers, apart from the tree: help, usage, mount, umount, status.
load helpers

setup() {
	export_sanitizers
	MNT=$BATS_TEST_TMPDIR/none
	mkdir "$MNT"
}

teardown() {
	teardown_memfs
}

@test "--help names every command and every option of mount" {
	run -0 "$MEMFS" --help
	for word in 'memfs mount' 'memfs umount' 'memfs status' 'memfs tree' node state run proc single freshness_ms interval_ms log_level; do
		assert_output --partial "$word"
	done
}

@test "COMMAND --help is the command's own: its usage, what it does, and a line for each argument and option" {
	local command words word
	for command in mount umount status tree history settings; do
		run -0 --separate-stderr "$MEMFS" "$command" --help
		assert_equal "$stderr" ''
		assert_line --index 0 --regexp "^usage: memfs $command( |\$)"
		words=${lines[0]#usage: memfs "$command"}
		for word in $(grep -oE -- '(-[a-z]|--[a-z]+|DIR)' <<<"$words" | sort -u); do
			[[ $word == DIR && $words == *state=DIR* ]] || assert_line --regexp "^  $word( |\$)"
		done
	done
	run -0 "$MEMFS" mount --help
	local mount_help=$output
	run -0 "$MEMFS" mount -f --help
	assert_output "$mount_help"
	run -0 "$MEMFS" mount -h
	assert_output "$mount_help"
	for word in $("$MEMFS" complete mount -o ''); do
		assert_line --partial "  $word"
	done
	run -0 "$MEMFS" history export --from -1h --help
	assert_line --partial '--pid PID[-START]'
	# A word that is no command has none.
	run -2 "$MEMFS" frobnicate --help
	# Called wrongly, it says where to look.
	run -2 --separate-stderr "$MEMFS" umount
	[[ $stderr == *'memfs umount --help'* ]] || fail "$stderr"
}

@test "README.md names every option of mount" {
	local option
	for option in $("$MEMFS" complete mount -o ''); do
		sed -n '/-o freshness_ms=/,/mount --help/p' "$TOP/README.md" | grep -qw -- "${option%=}" || fail "README.md says nothing of $option"
	done
}

@test "settings lists every setting as config has it; both names of the interval's option are understood" {
	setup_memfs interval_ms=100
	run -0 "$MEMFS" settings
	assert_equal "$(awk '{ print $1 }' <<<"$output")" "$(awk '{ print $1 }' "$MNT/local/config")"
	assert_equal "$(field "$MNT/local/config" sample_interval_ms)" 100
	setup_memfs_at other sample_interval_ms=200
	assert_equal "$(field "$MNT/local/config" sample_interval_ms)" 200
	run -2 "$MEMFS" settings all
}

@test "--version is the version of the build" {
	run -0 "$MEMFS" --version
	assert_output --regexp '^memfs [0-9]+\.[0-9]+\.[0-9]+$'
	assert_output "memfs $(sed -n "s/^ *version: '\(.*\)',/\1/p" "$TOP/meson.build")"
}

@test "without a command, and with one that is none, usage on stderr and status 2" {
	run -2 --separate-stderr "$MEMFS"
	assert_output ''
	[[ $stderr == *usage* ]]
	run -2 --separate-stderr "$MEMFS" frobnicate
	assert_output ''
	[[ $stderr == *frobnicate* ]]
}

@test "an option of mount that is none, or out of its range, is named and nothing is mounted" {
	run -2 "$MEMFS" mount -o colour=red "$MNT"
	assert_output --partial colour
	run -2 "$MEMFS" mount -o freshness_ms=abc "$MNT"
	assert_output --partial freshness_ms
	run -2 "$MEMFS" mount -o log_level=9 "$MNT"
	assert_output --partial log_level
	run ! mountpoint -q "$MNT"
}

@test "mounting on what is no directory fails and says which" {
	run -1 "$MEMFS" mount -o "run=$BATS_TEST_TMPDIR/run,state=$BATS_TEST_TMPDIR/state" "$BATS_TEST_TMPDIR/absent"
	assert_output --partial "$BATS_TEST_TMPDIR/absent"
}

@test "umount of what is not mounted fails and says so" {
	run -1 "$MEMFS" umount "$MNT"
	assert_output --partial "$MNT"
}

@test "status of what is not mounted fails and says so" {
	run -1 "$MEMFS" status "$MNT"
	assert_output --partial "$MNT"
}

@test "mount answers when the tree does, and umount when all is gone" {
	setup_memfs
	run -0 cat "$MNT/local/total"
	mountpoint -q "$MNT"
	run -0 "$MEMFS" status "$MNT"
	assert_output --partial "$(field "$MNT/status" version)"
	run -0 "$MEMFS" umount "$MNT"
	run ! mountpoint -q "$MNT"
	assert none_left
	[[ ! -e $RUN ]] || fail "left in $RUN: $(ls -A "$RUN")"
}

@test "a second mount on the same directory is refused, and the first goes on" {
	setup_memfs
	run -1 "$MEMFS" mount -o "run=$BATS_TEST_TMPDIR/other/run,state=$BATS_TEST_TMPDIR/other/state" "$MNT"
	assert_output --partial "$MNT"
	run -0 cat "$MNT/local/total"
	[[ $(grep -c " $MNT " /proc/self/mounts) == 1 ]] || fail 'stacked mounts'
}

@test "two instances share the machine" {
	setup_memfs_at a
	local first=$MNT
	setup_memfs_at b
	assert_equal "$(cat "$first/local/total")" "$(cat "$MNT/local/total")"
	assert_not_equal "$(field "$first/status" node)" "$(field "$MNT/status" node)"
}

@test "mount -f stays in the foreground and unmounts when told to end" {
	MNT=$BATS_TEST_TMPDIR/f/mnt
	mkdir -p "$MNT"
	start "$MEMFS" mount -f -o "run=$BATS_TEST_TMPDIR/f/run,state=$BATS_TEST_TMPDIR/f/state" "$MNT"
	retry_until 10 cat "$MNT/local/total"
	kill -TERM "$STARTED"
	wait "$STARTED"
	run ! mountpoint -q "$MNT"
	assert none_left
}

@test "umount of what is in use is refused as by umount(8), and the tree goes on" {
	setup_memfs
	exec 8<"$MNT/local/total"
	run -1 "$MEMFS" umount "$MNT"
	assert_output --partial busy
	run -0 cat "$MNT/local/total"
	exec 8<&-
	run -0 "$MEMFS" umount "$MNT"
	assert none_left
}

@test "a mount refused because its run directory is taken leaves that as it is" {
	setup_memfs
	mkdir "$BATS_TEST_TMPDIR/second"
	run -1 "$MEMFS" mount -o "run=$RUN,state=$BATS_TEST_TMPDIR/second/state" "$BATS_TEST_TMPDIR/second"
	assert_output --partial "$RUN"
	[[ -S $RUN/control.sock && -f $RUN/state ]] || fail "$(ls -A "$RUN")"
	run -0 cat "$MNT/local/total"
	echo 'freshness_ms 100' >"$MNT/local/config"
}
