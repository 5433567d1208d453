#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The shape of the tree: over machines of four kernels it equals what is on record (see tests/golden/golden.sh for how
# to bring that up to date), and on this one what `memfs tree` tells.
load helpers
load programs

teardown() {
	teardown_memfs
}

golden() {
	[[ $(getconf PAGESIZE) == 4096 ]] || skip 'kernel: pages are not of 4096 bytes'
	TMPDIR=$BATS_TEST_TMPDIR run sh "$TOP/tests/golden/golden.sh" "$MEMFS" "$1"
	assert_success
	assert_output ''
}

@test 'a machine of Linux 6.18 equals its golden tree' {
	golden linux-6.18
}

@test 'a machine of Linux 5.10 equals its golden tree' {
	golden linux-5.10
}

@test 'a machine of Linux 4.19 equals its golden tree' {
	golden linux-4.19
}

@test 'a machine of Linux 3.10 equals its golden tree' {
	golden linux-3.10
}

@test 'files named as in procfs have its bytes' {
	local machine pid name
	machine=$(fixture linux-6.18)
	setup_memfs "proc=$machine"
	cmp "$MNT/local/meminfo" "$machine/proc/meminfo"
	for pid in 2 11881 11887 11891 11897 11901 11905 11909; do
		for name in comm statm cmdline; do
			cmp "$MNT/local/$pid/$name" "$machine/proc/$pid/$name"
		done
	done
}

@test 'of a captured machine all is an instant: it does not age and none of it comes from this one' {
	setup_memfs "proc=$(fixture linux-5.10)"
	[[ -d $MNT/local/4100000 && ! -e $MNT/local/$$ ]]
	assert_equal "$(ls "$MNT/local" | grep -cx '[0-9]*')" "$(ls "$TOP/tests/fixtures/linux-5.10/proc" | grep -cx '[0-9]*')"
	[[ ! -e $MNT/self/ ]]
}

@test 'what memfs tree tells of is there, with its type and mode, and nothing else' {
	setup_memfs
	start_still
	# Without a cgroup that is not the root there is no unit to look into.
	local unit
	unit=$(ls "$MNT/local/by-unit" | head -n 1)
	"$MEMFS" tree | cut -f1 | sed "s,^NODE\$,$NODE,; s,NODE/,$NODE/,; s,/PID/,/$PID/,; s,/COMM/,/sleep/,; s,/USER/,/root/,; s,/UNIT/,/$unit/,; s,/N/,/0/,; s,/UUID\$,/$(cat "$MNT/local/id"),; s,/DURATION,/17m,; s,/TIME,/$(date +%s),; s,/\$,," | sort >"$BATS_TEST_TMPDIR/told"
	local path
	while read -r path; do
		[[ $path =~ /(PID|COMM|USER|UNIT|N)$ || -e $MNT/$path || -L $MNT/$path || $path == *PID-STARTTIME* || (-z $unit && $path == */by-unit//*) ]] || fail "there is no $path"
	done <"$BATS_TEST_TMPDIR/told"
	# The other way round: at the top, of the node, of a process, of a group.
	local dir
	for dir in '' "nodes/$NODE" "nodes/$NODE/$PID" "nodes/$NODE/by-name/sleep" "nodes/$NODE/top"; do
		for path in $(ls "$MNT/$dir" | grep -vx '[0-9]*'); do
			grep -qx "${dir:+$dir/}$path" "$BATS_TEST_TMPDIR/told" || fail "$dir/$path is told of nowhere"
		done
	done
}

@test 'types and modes are those of the classes' {
	setup_memfs
	local local=$MNT/local
	assert_equal "$(stat -c '%A' "$local/total")" -r--r--r--
	assert_equal "$(stat -c '%A' "$local/config")" -rw-r--r--
	assert_equal "$(stat -c '%A' "$local/processes")" lrwxrwxrwx
	assert_equal "$(stat -L -c '%A' "$local/processes")" -r--r--r--
	assert_equal "$(stat -c '%A' "$local/1")" dr-xr-xr-x
	assert_equal "$(stat -L -c '%A' "$local/events")" -r--r--r--
	assert_equal "$(stat -f -c %T "$MNT")" fuseblk
	# The time of a number is that of its sample.
	local age=$(($(date +%s) - $(stat -c %Y "$local/available")))
	((age >= 0 && age <= 2 * PATIENCE + 8))
}

@test 'each key of status is explained' {
	local key rest
	setup_memfs
	while read -r key rest; do
		grep -qE "^\| ([a-z_]+, )*${key}[ ,]" "$TOP/docs/status.md" || fail "docs/status.md has no $key"
	done <"$MNT/status"
}
