#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# -o sweep=: how processes are asked, and that either way says the same.
load helpers
load programs

setup_file() {
	build_programs grow
}

teardown() {
	teardown_memfs
}

# need_bpf: skips where this build or kernel has no BPF sweep; the reason is in the log.
need_bpf() {
	[[ $(field "$MNT/status" sweep) == bpf ]] && return
	run -0 grep -o 'no BPF sweep: .*' "$RUN/log"
	skip "this kernel or build: $output"
}

grows_are_seen() {
	start_program grow 1 64
	retry_until 5 said_lines 1
	local before
	before=$(cat "$MNT/local/$PID/rss")
	retry_until 5 sh -c "[ \"\$(awk -F '\t' -v pid=$PID '\$1 == pid { print \$6 }' '$MNT/local/processes')\" -ge $before ]"
	kill -USR1 "$PID"
	retry_until 5 said_lines 2
	retry_until 5 sh -c "[ \"\$(awk -F '\t' -v pid=$PID '\$1 == pid { print \$6 }' '$MNT/local/processes')\" -ge $((before + (64 << 20))) ]"
}

@test 'sweep=portable is obeyed, and growth shows' {
	setup_memfs sweep=portable,log_level=2
	assert_equal "$(field "$MNT/status" sweep)" portable
	grows_are_seen
}

@test 'sweep=bpf is taken where it works, and growth shows' {
	setup_memfs sweep=bpf,log_level=2
	need_bpf
	run -0 grep 'sweeps are by BPF' "$RUN/log"
	grows_are_seen
}

@test 'the portable sweep and BPF side by side have the same processes' {
	setup_memfs_at one sweep=bpf,log_level=2
	need_bpf
	local bpf=$MNT
	setup_memfs_at two sweep=portable
	start sleep 1000
	retry_until 5 test -e "$bpf/local/$STARTED/stat"
	retry_until 5 test -e "$MNT/local/$STARTED/stat"
	row() { awk -F '\t' -v pid="$1" '$1 == pid { print $1, $2, $3, $4, $6, $7, $8, $9, $10, $11, $15 }' "$2/local/processes"; }
	same() { [[ -n $(row "$1" "$bpf") && $(row "$1" "$bpf") == "$(row "$1" "$MNT")" ]]; }
	retry_until 5 same "$STARTED"
	retry_until 5 same 1
}

@test 'another word is refused with a reason' {
	run -2 setup_memfs sweep=fast
	assert_output --partial 'option sweep takes portable|bpf|bpf-iterator'
}

@test 'an ordinary user gets the portable sweep, and the reason is in the log' {
	mkdir "$BATS_TEST_TMPDIR/u"
	cat >"$BATS_TEST_TMPDIR/u/inside" <<'INSIDE'
folder=$2
mkdir "$folder/mnt"
"$1" mount -o "state=$folder/state,run=$folder/run,node=user,log_level=2" "$folder/mnt"
awk '$1 == "sweep" { print $2 }' "$folder/mnt/status"
grep -c 'no BPF sweep: ' "$folder/run/log"
"$1" umount "$folder/mnt"
INSIDE
	chown nobody:nogroup "$BATS_TEST_TMPDIR/u"
	run -0 as_user timeout 60 bash "$BATS_TEST_TMPDIR/u/inside" "$(memfs_for_users)" "$BATS_TEST_TMPDIR/u"
	assert_output $'portable\n1'
}
