#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Ordinary users: a mount of their own, and reading root's. And how little serve may do.
load helpers

teardown() {
	teardown_memfs
}

# with_own_mount: what comes in on standard input, by nobody, with a memfs of nobody's on $mnt.
with_own_mount() {
	local folder=$BATS_TEST_TMPDIR/user
	mkdir -p "$folder/mnt" "$folder/state"
	cat >"$folder/inside" <<'SH'
set -eu
MEMFS=$1 folder=$2
mnt=$folder/mnt local=$folder/mnt/local
"$MEMFS" mount -o "state=$folder/state,run=$folder/run,node=user" "$mnt"
trap '"$MEMFS" umount "$mnt"' EXIT
SH
	cat >>"$folder/inside"
	echo 'echo fine' >>"$folder/inside"
	chown -R nobody:nogroup "$folder"
	run as_user timeout 60 bash "$folder/inside" "$(memfs_for_users)" "$folder"
	assert_success
	assert_line fine
}

@test 'an ordinary user mounts, reads everybody'\''s numbers, and the own pss' {
	with_own_mount <<'SH'
[ "$(cat "$local/total")" = $(($(awk '/^MemTotal/ { print $2 }' /proc/meminfo) * 1024)) ]
[ "$(cat "$mnt/self/comm")" = cat ] && [ "$(cat "$mnt/self/uid")" = 65534 ]
[ -s "$local/1/rss" ] && [ -s "$local/1/args" ]
for i in $(seq 100); do
	if grep -q "^$$	" "$local/processes"; then break; fi
	sleep 0.05
done
grep -q "^$$	" "$local/processes"
awk -F'\t' 'NF != 15 { exit 1 }' "$local/processes"
[ "$(cat "$mnt/self/pss")" -gt 0 ] && [ "$(cat "$mnt/self/uss")" -gt 0 ]
if text=$(cat "$local/1/pss" 2>&1); then echo "pss of root's: $text"; exit 1; fi
case $text in *'Permission denied'*) ;; *) echo "$text"; exit 1 ;; esac
SH
}

@test 'an ordinary user'\''s mount has settings, history, events and reasons' {
	with_own_mount <<'SH'
echo 'history_days 9' >"$local/config"
grep -qx 'history_days 9' "$local/config"
if echo 'history_days 0' >"$local/config"; then exit 1; fi
grep -q '^errno ERANGE$' "$mnt/why"
[ "$(wc -l <"$local/errors")" = 2 ]
timeout 20 cat "$local/events" >"$folder/events" &
reader=$!
for i in $(seq 200); do
	true & wait $!
	[ ! -s "$folder/events" ] || break
	sleep 0.05
done
kill "$reader"
wait "$reader" || true
[ -s "$folder/events" ]
for i in $(seq 200); do
	[ "$(wc -l <"$local/history/10m")" -lt 2 ] || break
	sleep 0.05
done
[ "$(wc -l <"$local/history/10m")" -ge 2 ]
SH
}

@test 'umount by fusermount3 ends an ordinary user'\''s memfs' {
	with_own_mount <<'SH'
trap - EXIT
fusermount3 -u "$mnt"
for i in $(seq 400); do
	[ -e "$folder/run" ] || break
	sleep 0.05
done
[ ! -e "$folder/run" ]
if grep " $folder/" /proc/self/mounts; then exit 1; fi
SH
	[[ ! -e $BATS_TEST_TMPDIR/user/run ]]
}

@test 'other users read root'\''s mount, and what is theirs there' {
	setup_memfs
	run -0 setpriv --reuid=nobody --regid=nogroup --clear-groups sh -c '
		cat "$1/local/total" "$1/self/rss" "$1/self/pss" "$1/local/1/rss" >/dev/null &&
			[ "$(cat "$1/self/uid")" = 65534 ] && head -n 1 "$1/local/processes" && cat "$1/local/history/10m" >/dev/null' sh "$MNT"
	assert_output --regexp '^pid	'
	# Numbers are for all, those too that the kernel would not tell them.
	start sleep 1000
	run ! setpriv --reuid=nobody --regid=nogroup --clear-groups cat "/proc/$STARTED/smaps_rollup"
	run -0 setpriv --reuid=nobody --regid=nogroup --clear-groups cat "$MNT/local/$STARTED/pss"
	[[ $output -gt 0 ]]
	# A directory belongs to whom /proc shows.
	setpriv --reuid=nobody --regid=nogroup --clear-groups sleep 1000 3>&- &
	end_later $!
	retry_until 5 sh -c "[ \"\$(stat -c %u '$MNT/local/$!')\" = 65534 ]"
	assert_equal "$(stat -c %u "$MNT/local/1")" "$(stat -c %u /proc/1)"
}

@test 'serve runs as another user, without capabilities and without a way to new ones' {
	setup_memfs
	local status
	status=/proc/$(serve_pid)/status
	assert_equal "$(field "$status" CapEff:)" 0000000000000000
	assert_equal "$(field "$status" CapPrm:)" 0000000000000000
	assert_equal "$(field "$status" NoNewPrivs:)" 1
	[[ $(field "$status" Uid:) != 0* && $(field "$status" Groups: 2>/dev/null) == '' ]]
	# Nothing of another user's is readable to it, and the mount is not below its own feet.
	[[ $(readlink "/proc/$(serve_pid)/cwd") == / ]]
	run ls -l "/proc/$(serve_pid)/fd"
	refute_output --partial "$MNT"
}

@test 'the run directory shows others no more than they need' {
	setup_memfs
	assert_equal "$(stat -c %a "$RUN/lock")" 600
	assert_equal "$(stat -c %a "$RUN/state")" 600
	assert_equal "$(stat -c %a "$RUN/log")" 600
	assert_equal "$(stat -c %a "$RUN/control.sock")" 660
	run setpriv --reuid=1 --regid=1 --clear-groups cat "$STATE/history.db"
	assert_failure
}

# refused_as_user PREPARE: nobody's mount on $BATS_TEST_TMPDIR/user/mnt after PREPARE, in a mount namespace of its own, fails.
refused_as_user() {
	local folder=$BATS_TEST_TMPDIR/user
	mkdir -p "$folder/mnt"
	chown nobody:nogroup "$folder"
	run ! ls "$folder/run"
	run -1 as_user_after "$1" "$(memfs_for_users)" mount -o "state=$folder/state,run=$folder/run" "$folder/mnt"
}

# As as_user, where more is done to what the user finds.
as_user_after() {
	local node=$BATS_TEST_TMPDIR/fuse
	[[ -c $node ]] || { mknod "$node" c 10 229 && chmod 666 "$node"; }
	unshare --mount --propagation slave sh -c 'mount --bind "$0" /dev/fuse && eval "$1" && shift && exec setpriv --reuid=nobody \
		--regid=nogroup --clear-groups env HOME=/nonexistent "$@"' "$node" "$@" 3>&-
}

@test 'an ordinary user whose mount fails is told why' {
	refused_as_user true
	assert_output --partial 'write access'
	chown nobody:nogroup "$BATS_TEST_TMPDIR/user/mnt"
	refused_as_user 'mount --bind /dev/null "$(command -v fusermount3)"'
	assert_output --partial 'package fuse3'
	refused_as_user 'chmod 600 "$0"'
	assert_output --partial '/dev/fuse'
	refute_output --partial 'above'
}
