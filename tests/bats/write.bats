#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Settings: what is written takes effect, reads back as what would set it, and survives; all of a write, or none.
load helpers

setup() {
	setup_memfs
	config=$MNT/local/config
}

teardown() {
	teardown_memfs
}

setting() {
	field "$config" "$1"
}

@test 'a setting takes effect and reads back what would set it' {
	echo 'sample_interval_ms 50' >"$config"
	assert_equal "$(setting sample_interval_ms)" 50
	local before
	before=$(field "$MNT/status" generation)
	retry_until 5 ticked 20 "$before"
	echo 'sample_interval_ms 60000' >"$config"
	assert_equal "$(setting sample_interval_ms)" 60000
}

ticked() {
	(($(field "$MNT/status" generation) >= $1 + $2))
}

@test 'what config says can be written to it' {
	printf '%s\n' 'freshness_ms 250' 'history_days 11' 'history_max_bytes 1g' >"$config"
	assert_equal "$(setting history_max_bytes)" $((1 << 30))
	cat "$config" >"$BATS_TEST_TMPDIR/config"
	echo 'freshness_ms 300' >"$config"
	cat "$BATS_TEST_TMPDIR/config" >"$config"
	cmp "$config" "$BATS_TEST_TMPDIR/config"
	cp "$BATS_TEST_TMPDIR/config" "$config"
	dd if="$BATS_TEST_TMPDIR/config" of="$config" bs=64k status=none
	cmp "$config" "$BATS_TEST_TMPDIR/config"
}

@test 'settings survive a restart of memfs' {
	printf '%s\n' 'freshness_ms 250' 'history_days 12' >"$config"
	cat "$config" >"$BATS_TEST_TMPDIR/config"
	"$MEMFS" umount "$MNT"
	setup_memfs
	cmp "$config" "$BATS_TEST_TMPDIR/config"
	retry_until 5 sh -c "grep -q 'freshness_ms  *250' '$MNT/status'"
}

@test 'what an option fixes is what config and status say, and is refused to be written otherwise' {
	echo 'freshness_ms 250' >"$config"
	"$MEMFS" umount "$MNT"
	setup_memfs freshness_ms=500,interval_ms=300
	assert_equal "$(setting freshness_ms) $(setting sample_interval_ms)" '500 300'
	assert_equal "$(field "$MNT/status" freshness_ms)" 500
	local line
	for line in 'freshness_ms 20' 'sample_interval_ms 20' $'history_days 12\nfreshness_ms 20'; do
		# bash would write each line alone.
		echo "$line" >"$BATS_TEST_TMPDIR/line"
		run dd if="$BATS_TEST_TMPDIR/line" of="$config" status=none
		assert_failure
		assert_output --partial 'busy'
		grep -q 'reason .* is fixed at [35]00 by an option of this mount' "$MNT/why"
	done
	assert_equal "$(setting freshness_ms) $(setting sample_interval_ms) $(setting history_days)" '500 300 30'
	# Not by the way, and not for ever.
	cat "$config" >"$BATS_TEST_TMPDIR/config"
	cat "$BATS_TEST_TMPDIR/config" >"$config"
	kill -KILL "$(collector_pid)"
	retry_until 5 sh -c "echo 'history_days 12' >'$config'"
	assert_equal "$(setting freshness_ms) $(setting sample_interval_ms) $(setting history_days)" '500 300 12'
	# The next supervisor may be told otherwise: so is the collector.
	kill -KILL "$(supervisor_pid)"
	retry_until 5 bash -c '"$@" 3>&-' bash "$MEMFS" mount -o "state=$STATE,run=$RUN,node=$NODE,freshness_ms=400" "$MNT"
	retry_until 5 grep -qx 'freshness_ms 400' "$config"
	assert_equal "$(setting sample_interval_ms)" 1000
	"$MEMFS" umount "$MNT"
	setup_memfs
	assert_equal "$(setting freshness_ms)" 250
}

@test 'bash, dash and busybox write' {
	local shell n=20
	for shell in bash dash 'busybox sh'; do
		[[ $shell != busybox* ]] || command -v busybox >/dev/null || continue
		$shell -c 'echo "history_days $1" >"$2"' sh $n "$config"
		assert_equal "$(setting history_days)" $n
		$shell -c 'printf "history_days %d\n" $1 >>"$2"' sh $((n + 1)) "$config"
		assert_equal "$(setting history_days)" $((n + 1))
		n=$((n + 2))
	done
}

@test 'one write is applied whole or not at all' {
	cat "$config" >"$BATS_TEST_TMPDIR/before"
	printf '%s\n' 'freshness_ms 300' 'history_days 9' 'no_such_setting 1' >"$BATS_TEST_TMPDIR/bad"
	run bash -c 'cat "$1" >"$2"' bash "$BATS_TEST_TMPDIR/bad" "$config"
	assert_failure 1
	assert_output --partial 'Invalid argument'
	cmp "$config" "$BATS_TEST_TMPDIR/before"
	printf '%s\n' 'history_days 0' 'freshness_ms 300' >"$BATS_TEST_TMPDIR/bad"
	run dd if="$BATS_TEST_TMPDIR/bad" of="$config" bs=64k
	assert_failure 1
	assert_output --partial 'Numerical result out of range'
	cmp "$config" "$BATS_TEST_TMPDIR/before"
	run python3 -c '
import os, sys
fd = os.open(sys.argv[1], os.O_WRONLY)
text = b"freshness_ms 300\nhistory_days 9\n"
assert os.write(fd, text) == len(text)
assert os.pwrite(fd, b"history_days 10\n", 12345) == 16, "offsets are ignored"
try:
    os.write(fd, b"history_days 11\nhistory_days\n")
except OSError as error:
    print(error.errno)
' "$config"
	assert_output 22
	assert_equal "$(setting freshness_ms)" 300
	assert_equal "$(setting history_days)" 10
}

@test 'nothing carries over from one write to the next' {
	run python3 -c '
import os, sys
fd = os.open(sys.argv[1], os.O_WRONLY)
for part in b"history_da", b"ys 9\n":
    try:
        os.write(fd, part)
    except OSError as error:
        print(error.errno)
' "$config"
	assert_output "$(printf '22\n22')"
	assert_equal "$(setting history_days)" 30
}

@test 'truncation alone does nothing, touch is accepted' {
	cat "$config" >"$BATS_TEST_TMPDIR/before"
	: >"$config"
	truncate -s 0 "$config"
	touch "$config" "$MNT/local/total" "$MNT/local"
	cmp "$config" "$BATS_TEST_TMPDIR/before"
	run truncate -s 5 "$config"
	assert_failure 1
	assert_output --partial 'Invalid argument'
	cmp "$config" "$BATS_TEST_TMPDIR/before"
}

@test 'limits of a setting: the ends are taken, beyond is ERANGE, no number is EINVAL' {
	local value
	for value in 10 60000; do
		echo "freshness_ms $value" >"$config"
		assert_equal "$(setting freshness_ms)" "$value"
	done
	for value in 9 60001 0 18446744073709551616 99999999999999999999999; do
		run bash -c 'echo "freshness_ms $1" >"$2"' bash "$value" "$config"
		assert_failure 1
		assert_output --partial 'Numerical result out of range'
	done
	for value in '' -5 +5 0x10 1.5 1e3 '100 200' 100x ' '; do
		run bash -c 'echo "freshness_ms $1" >"$2"' bash "$value" "$config"
		assert_failure 1
		assert_output --regexp '(Invalid argument|Numerical result out of range)'
	done
	assert_equal "$(setting freshness_ms)" 60000
}

@test 'eight writers at once: each write whole, the last of each is one of theirs' {
	local writer writers=''
	for writer in 1 2 3 4 5 6 7 8; do
		# Not bash's own printf: that writes each line by itself, and a write is a transaction.
		bash -c 'for i in 1 2 3 4 5 6 7 8 9 10; do env printf "history_days %d\nfreshness_ms %d\n" $((10 + $1)) $((1000 + $1)) >"$2" || exit; done' \
			bash $writer "$config" 3>&- &
		writers+=" $!"
	done
	for writer in $writers; do
		wait "$writer"
	done
	# Both of one reading: the freshness that was just set allows the next to be another.
	local text
	text=$(cat "$config")
	assert_equal "$(awk '$1 == "history_days" { print $2 - 10 }' <<<"$text")" "$(awk '$1 == "freshness_ms" { print $2 - 1000 }' <<<"$text")"
}
