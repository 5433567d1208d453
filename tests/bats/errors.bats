#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# What is refused: the errno at once, the reason in `why` and `errors`, each to those whom it concerns.
load helpers

setup() {
	setup_memfs
	local=$MNT/local
}

teardown() {
	teardown_memfs
}

@test 'a bad write from bash, dash and busybox: status 1, a message, and the reason in why' {
	local shell
	for shell in bash dash 'busybox sh'; do
		[[ $shell != busybox* ]] || command -v busybox >/dev/null || continue
		run setsid -w $shell -c 'echo "freshness_ms soon" >"$1/local/config"; echo "status $?"; cat "$1/why"' sh "$MNT"
		assert_line 'status 1'
		assert_line --regexp 'rror'
		assert_line "path nodes/$NODE/config"
		assert_line 'written freshness_ms soon'
		assert_line 'errno EINVAL'
		assert_line --regexp '^reason .*freshness_ms'
		assert_line --regexp '^time [0-9]+\.[0-9]{3}$'
	done
}

@test 'why is of the last refusal of the own login session' {
	setsid -w bash -c 'echo "freshness_ms 1" >"$1/local/config" || true' bash "$MNT" 2>/dev/null
	run setsid -w cat "$MNT/why"
	assert_output ''
	run setsid -w bash -c 'echo "history_days 0" >"$1/local/config"; echo nothing >"$1/local/config"; cat "$1/why"' bash "$MNT"
	assert_line 'written nothing'
	refute_line 'written history_days 0'
}

# As what init or a container's runtime started directly is: without a session that has a number here.
@test 'why is there also where the session has no number' {
	need_kernel 'no pid namespaces' unshare --pid --fork --mount-proc true
	"$MEMFS" umount "$MNT"
	cat >"$BATS_TEST_TMPDIR/inside" <<'BASH'
set -eu
MEMFS=$1 options=$2 mnt=$3
read -r _ _ _ _ _ session _ </proc/self/stat
[ "$session" = 0 ]
"$MEMFS" mount -o "$options" "$mnt"
trap '"$MEMFS" umount "$mnt"' EXIT
! echo 'freshness_ms soon' >"$mnt/local/config" || exit 1
cat "$mnt/why"
setsid -w cat "$mnt/why" >"$mnt.other"
[ ! -s "$mnt.other" ]
echo fine
BASH
	run unshare --pid --fork --mount-proc --propagation private bash "$BATS_TEST_TMPDIR/inside" "$MEMFS" \
		"state=$STATE,run=$RUN,node=$NODE" "$MNT" 3>&-
	assert_success
	assert_line 'written freshness_ms soon'
	assert_line fine
}

# refused TEXT COMMAND...: it fails with this text, and errors says why.
refused() {
	local text=$1 before
	shift
	before=$(wc -l <"$local/errors")
	run "$@"
	assert_failure
	assert_output --partial "$text"
	[[ $(wc -l <"$local/errors") -gt $before ]] || fail "errors has no line of: $*"
	assert_equal "$(tail -n 1 "$local/errors" | cut -f5)" EPERM
	[[ -n $(tail -n 1 "$local/errors" | cut -f6) ]]
}

@test 'names and modes cannot be changed: EPERM, with a reason in errors' {
	local no='Operation not permitted'
	refused "$no" mkdir "$local/new"
	refused "$no" rmdir "$local/top"
	refused "$no" rm "$local/total"
	refused "$no" mv "$local/total" "$local/new"
	refused "$no" ln "$local/total" "$local/new"
	refused "$no" ln -s total "$local/new"
	refused "$no" chmod 600 "$local/total"
	refused "$no" chown 1 "$local/total"
	refused "$no" mkfifo "$local/new"
	refused "$no" bash -c ': >"$1/new"' bash "$local"
	refused "$no" bash -c 'echo 1 >"$1/new"' bash "$MNT"
	refused "$no" mkdir "$local/1/new"
	assert_equal "$(column "$local/errors" path | sort -u | grep -c "^nodes/$NODE/new\$")" 1
	[[ ! -e $local/new && -e $local/total ]]
}

@test 'a number cannot be written' {
	refused 'Operation not permitted' bash -c 'echo 5 >"$1/total"' bash "$local"
	refused 'Operation not permitted' bash -c 'echo 5 >"$1/self/rss"' bash "$MNT"
	assert_equal "$(column "$local/errors" path | head -n 1)" "nodes/$NODE/total"
}

@test 'a table cannot be written' {
	run bash -c 'echo 5 >"$1/processes"' bash "$local"
	assert_failure
	run bash -c 'echo 5 >"$1/events"' bash "$local"
	assert_failure
	[[ $(wc -l <"$local/processes") -gt 1 ]]
}

@test 'an ordinary user changes no setting, and sees the own refusals alone' {
	local nobody='setpriv --reuid=nobody --regid=nogroup --clear-groups'
	echo 'freshness_ms 1' >"$local/config" 2>/dev/null || true
	run $nobody bash -c 'echo "history_days 9" >"$1/config"' bash "$local"
	assert_failure 1
	assert_output --partial 'Permission denied'
	run $nobody mkdir "$local/mine"
	assert_failure 1
	assert_equal "$(field "$local/config" history_days)" 30
	run -0 $nobody cat "$local/errors"
	assert_line --index 0 "$(printf 'time\tuid\tpid\tpath\terrno\treason')"
	refute_output --partial ERANGE
	run -0 cat "$local/errors"
	assert_output --partial ERANGE
}

@test 'errors is a table, however odd what was written' {
	local bytes
	for bytes in $'a\tb\nc' $'\xff\x01\\' "$(head -c 4000 /dev/zero | tr '\0' x)"; do
		printf '%s' "$bytes" >"$local/config" 2>/dev/null || true
		mkdir "$local/$(printf '%s' "$bytes" | head -c 200)" 2>/dev/null || true
	done
	head -c 200000 /dev/zero | tr '\0' '\n' >"$local/config" 2>/dev/null || true
	awk -F'\t' 'NF != 6 { print NR ": " $0; bad = 1 } END { exit bad || NR < 6 }' "$local/errors"
	cat "$MNT/why" >/dev/null
}

@test 'errors keeps the last hundred' {
	local i
	for i in $(seq 1 105); do
		echo "history_days 9999$i" >"$local/config" 2>/dev/null || true
	done
	assert_equal "$(wc -l <"$local/errors")" 101
	tail -n 1 "$local/errors" | grep -q '"9999105"'
}

# A shell is told of its children's ends while it writes.
@test 'a signal that is no end of the writer fails no write' {
	run -0 bash -c 'for i in {1..150}; do
		sleep 100 & kill $!
		echo "history_days $((i % 30 + 1))" >"$1/config" || exit
	done' bash "$local"
	refute_output --partial Interrupted
	[[ $(field "$local/config" history_days) == 1 ]]
}

@test 'a write that waits can be interrupted' {
	local collector
	collector=$(collector_pid)
	kill -STOP "$collector"
	# It is stopped, not dead: the write waits and can be interrupted.
	run timeout -s INT 1 bash -c 'echo "history_days 8" >"$1/config"' bash "$local"
	assert_failure
	kill -CONT "$collector"
	retry_until 5 sh -c "[ \"\$(cat '$local/config' | wc -l)\" -ge 4 ]"
}
