#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The files of a process that its memory is walked for, and those that are the kernel's own: they agree with /proc.
load helpers
load programs

setup_file() {
	build_programs mappings zombie-leader
}

setup() {
	setup_memfs
	local=$MNT/local
}

teardown() {
	exec 9>&-
	teardown_memfs
}

# start_mappings N: a process with N mappings that stands still; sets PID.
start_mappings() {
	mkfifo "$BATS_TEST_TMPDIR/hold"
	SAID=$BATS_TEST_TMPDIR/mappings
	"$BATS_FILE_TMPDIR/mappings" "$1" <"$BATS_TEST_TMPDIR/hold" >"$SAID" 3>&- &
	PID=$!
	end_later "$PID"
	exec 9>"$BATS_TEST_TMPDIR/hold"
	retry_until 20 said_lines 1
}

@test 'the kernel'\''s own files have its bytes' {
	local name
	start_still
	retry_until 5 test -e "$local/$PID/cgroup"
	for name in comm statm cgroup oom_score cmdline smaps_rollup numa_maps; do
		[[ -e /proc/$PID/$name ]] || continue
		# oom_score follows the memory of the machine, shares in smaps_rollup who else has the libraries.
		retry_until 10 cmp "/proc/$PID/$name" "$local/$PID/$name"
	done
	assert_equal "$(cat "$local/$PID/exe")" "$(readlink "/proc/$PID/exe")"
}

# The rows of smaps, made another way.
regions_of() {
	awk -v OFS='\t' '
		function row() {
			if (at) print at, end, perms, n["Rss"], n["Pss"], n["Swap"], n["Referenced"], "-", name == "" ? "-" : name
		}
		/^[0-9a-f]+-/ {
			row()
			split($1, range, "-")
			sub(/^0+/, "", range[1]); sub(/^0+/, "", range[2])
			at = "0x" range[1]; end = "0x" range[2]; perms = $2
			name = $0
			sub(/^[^ ]+ [^ ]+ [^ ]+ [^ ]+ [^ ]+ */, "", name)
			next
		}
		{ sub(/:/, "", $1); n[$1] = $2 * 1024 }
		END { row() }' "/proc/$1/smaps"
}

@test 'regions has the mappings of smaps, in bytes' {
	start_mappings 500
	head -n 1 "$local/$PID/regions" | cmp - <(printf 'start\tend\tperms\trss\tpss\tswap\treferenced\tpattern\tname\n')
	# What is Referenced, and the shares of libraries, may change between two looks.
	diff <(tail -n +2 "$local/$PID/regions" | cut -f 1-4,6,8-) <(regions_of "$PID" | cut -f 1-4,6,8-)
	run -0 awk -F'\t' 'NR > 1 && $5 > 0 { n++ } NR > 1 && $7 > 0 { r++ } END { print (n > 100), (r > 100) }' "$local/$PID/regions"
	assert_output '1 1'
}

@test 'regions of a process with as many mappings as a process may have' {
	local most
	most=$(cat /proc/sys/vm/max_map_count)
	((most <= 65530)) || most=65530
	start_mappings "$most"
	run -0 sh -c "wc -l <'$local/$PID/regions'"
	assert_equal "$output" $(($(cat "$SAID") + 1))
	((output > most - 10)) || fail "$output lines for $most mappings"
	cmp <(tail -n +2 "$local/$PID/regions" | cut -f 1-4) <(regions_of "$PID" | cut -f 1-4)
	cmp <(awk '{ print $1, $2 }' "$local/$PID/numa_maps") <(awk '{ print $1, $2 }' "/proc/$PID/numa_maps")
	# More than the size of one answer's part, and read in pieces.
	[[ $(stat -L -c %s "$local/$PID/regions") -gt $((1 << 20)) ]]
	cmp <(cut -f 1-4,6,8- "$local/$PID/regions") <(dd if="$local/$PID/regions" bs=7777 status=none | cut -f 1-4,6,8-)
}

@test 'names of mappings that hold blanks, tabs, newlines and backslashes' {
	local file
	file=$BATS_TEST_TMPDIR/$'a b\tc\nd\\e'
	cp "$(command -v sleep)" "$file"
	start "$file" 1000
	retry_until 5 test -e "$local/$STARTED/regions"
	retry_until 5 sh -c "grep -q 'r-xp.*a b' '/proc/$STARTED/maps'"
	run -0 column "$local/$STARTED/regions" name
	assert_line "$BATS_TEST_TMPDIR/a b\\011c\\012d\\134e"
	assert_equal "$(cat "$local/$STARTED/exe")" "$BATS_TEST_TMPDIR/a b\\011c\\012d\\134e"
	rm "$file"
	assert_equal "$(cat "$local/$STARTED/exe")" "$BATS_TEST_TMPDIR/a b\\011c\\012d\\134e (deleted)"
	column "$local/$STARTED/regions" name | grep -qF '\134e (deleted)'
}

@test 'numa has what is on each node' {
	[[ -e /proc/self/numa_maps ]] || skip 'kernel: no NUMA'
	start_mappings 500
	local page
	page=$(getconf PAGESIZE)
	# One node at least, whose sums are those of the pages of all mappings.
	run -0 awk -v page="$page" '
		{ for (i = 3; i <= NF; i++) if ($i ~ /^N[0-9]+=/) { split(substr($i, 2), n, "="); pages[n[1]] += n[2] } }
		{ for (i = 3; i <= NF; i++) if ($i ~ /^anon=/) anon += substr($i, 6) }
		END { for (node in pages) printf "%d %.0f\n", node, pages[node] * page; printf "anon %.0f\n", anon * page }' "/proc/$PID/numa_maps"
	assert_equal "$(awk 'NR > 1 { printf "%d %.0f\n", $1, $2 + $3; anon += $2 } END { printf "anon %.0f\n", anon }' "$local/$PID/numa")" \
		"$output"
	assert_equal "$(head -n 1 "$local/$PID/numa")" $'node\tanon\tfile'
}

@test 'a process whose leader ended has the regions of a thread that lives' {
	start_program zombie-leader 16
	retry_until 5 said_lines 1
	in_state Z "$PID"
	run -0 column "$local/$PID/regions" rss
	[[ $(awk '{ n += $1 } END { print n }' <<<"$output") -ge $((16 << 20)) ]]
	[[ $(cat "$local/$PID/peak") -ge $((16 << 20)) ]]
	assert_equal "$(cat "$local/$PID/exe")" "$BATS_FILE_TMPDIR/zombie-leader"
	# The kernel has this file for processes, not for threads.
	run cat "$local/$PID/smaps_rollup"
	assert_failure
	assert_output --partial 'No data available'
}

@test 'kernel threads and zombies have none of these files' {
	local name pid
	start_memoryless
	for pid in $MEMORYLESS; do
		for name in smaps_rollup numa_maps exe regions regions.json numa peak; do
			[[ ! -e $local/$pid/$name && ! -L $local/$pid/$name ]] || fail "$pid has $name"
		done
		cmp "/proc/$pid/oom_score" "$local/$pid/oom_score"
		[[ ! -e /proc/$pid/cgroup ]] || cmp "/proc/$pid/cgroup" "$local/$pid/cgroup"
	done
}

@test 'without a collector these files say so, and those that need none are there' {
	local supervisor collector name
	start_still
	retry_until 5 test -e "$local/$PID/regions"
	supervisor=$(supervisor_pid) collector=$(collector_pid)
	kill -STOP "$supervisor"
	kill -KILL "$collector"
	[[ -s $local/$PID/cgroup && -s $local/$PID/oom_score && -s $local/$PID/peak ]]
	cat "$local/$PID/regions" >"$BATS_TEST_TMPDIR/late" 3>&- &
	kill -CONT "$supervisor"
	# Who asks meanwhile waits for the next one.
	wait $!
	[[ $(head -n 1 "$BATS_TEST_TMPDIR/late") == $'start\tend'* ]]
}
