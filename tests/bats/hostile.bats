#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Processes that do their worst: names, storms of births and deaths, pids used again.
load helpers
load programs

setup_file() {
	build_programs named storm
}

setup() {
	[[ ${MOUNT:-yes} == no ]] || setup_memfs
	local=$MNT/local
}

teardown() {
	cd "$TOP"
	teardown_memfs
}

@test 'hostile names: the tables stay tables, and every listed group can be looked up' {
	local names=($'a\nb' 'a/b' $'t\tb' $'\xff\xfe' 'back\sl' '' '.' '..' '/' $'\x01\x7f' '(x) R 1' 'x) Z 0 (' '-' ' ' '*' '%s%n' "q'\"")
	start_program named "${names[@]}"
	retry_until 5 said_lines "${#names[@]}"
	retry_until 5 sh -c "grep -q '^$(tail -n 1 "$SAID")	' '$local/processes'"
	# Names were set after the births: the table knows them with the sweep after.
	retry_until 5 sh -c "awk -F'\t' '\$1 == $(head -n 1 "$SAID") { print \$4 }' '$local/processes' | grep -qxF 'a\\012b'"
	awk -F'\t' 'NF != 15 { print NR ": " $0; bad = 1 } END { exit bad }' "$local/processes"
	local pid i=0 comm
	while read -r pid; do
		# procfs' bytes, and the table's escapes.
		cmp "$local/$pid/comm" "/proc/$pid/comm"
		comm=$(awk -F'\t' -v pid="$pid" '$1 == pid { print $4 }' "$local/processes")
		assert_equal "$(printf '%b' "${comm//\\/\\0}x")" "${names[i]}x"
		[[ $(wc -l <"$local/$pid/args") == 1 && $(wc -l <"$local/$pid/state") == 1 ]]
		i=$((i + 1))
	done <"$SAID"
	python3 - "$local" "$SAID" <<'PYTHON'
import os, sys
node, said = os.fsencode(sys.argv[1]), sys.argv[2]
wanted, members = {int(line) for line in open(said)}, set()
for name in os.listdir(node + b"/by-name"):
    assert b"/" not in name and b"\n" not in name and b"\t" not in name, name
    try:
        group = {int(pid) for pid in open(node + b"/by-name/" + name + b"/pids")}
        count = int(open(node + b"/by-name/" + name + b"/count").read())
    except (FileNotFoundError, ProcessLookupError):
        continue  # ended since it was listed
    members |= group
    if group & wanted:
        assert count == len(group), (name, count, group)
        stat = open(node + b"/by-name/" + name + b"/stat", "rb").read()
        assert all(len(line.split()) == 2 for line in stat.splitlines()), stat
assert wanted <= members, wanted - members
PYTHON
	[[ -d $local/by-name/'\056\056' && -d $local/by-name/'\056' && -d $local/by-name/'\000' && -d $local/by-name/'a\057b' ]]
}

@test 'hostile names: a line of events is a line' {
	timeout 30 cat "$local/events" >"$BATS_TEST_TMPDIR/events" 3>&- &
	local reader=$!
	retry_until 5 reads_events "$reader"
	start_program named $'ev\nil' $'ev\til' ''
	retry_until 5 said_lines 3
	local last
	last=$(tail -n 1 "$SAID")
	retry_until 10 grep -qP "\tstart\tpid/$last\t" "$BATS_TEST_TMPDIR/events"
	stop "$PID"
	retry_until 10 grep -qP "\texit\tpid/$last\t" "$BATS_TEST_TMPDIR/events"
	kill "$reader"
	wait "$reader" || true
	awk -F'\t' 'NF != 5 { print NR ": " $0; bad = 1 } END { exit bad }' "$BATS_TEST_TMPDIR/events"
}

# Parked in a read of the stream.
reads_events() {
	readlink "/proc/$1/fd/3" /proc/"$(cat "/proc/$1/task/$1/children" | tr -d ' ')"/fd/3 2>/dev/null | grep -q events
}

scaled() {
	local tenth=${MEMFS_TEST_SCALE:-1}
	echo $(($1 / tenth))
}

@test 'ten thousand forks and exits: ls, find and cat meet nothing but ENOENT and ESRCH' {
	start_program storm "$(scaled 10000)"
	local round
	for round in 1 2 3; do
		LC_ALL=C ls -lR "$MNT/" >/dev/null 2>>"$BATS_TEST_TMPDIR/errors" || true
		LC_ALL=C find "$MNT/" -type f -size +0 >/dev/null 2>>"$BATS_TEST_TMPDIR/errors" || true
		LC_ALL=C cat "$local"/[0-9]*/statm "$local"/[0-9]*/rss >/dev/null 2>>"$BATS_TEST_TMPDIR/errors" || true
		LC_ALL=C cat "$local"/[0-9]*/args "$local"/by-name/*/pids >/dev/null 2>>"$BATS_TEST_TMPDIR/errors" || true
		awk -F'\t' 'NF != 15 { print NR ": " $0; bad = 1 } END { exit bad }' "$local/processes"
	done
	run grep -vE 'No such file or directory|No such process' "$BATS_TEST_TMPDIR/errors"
	assert_output ''
	retry_until 60 said_lines 1
	assert_equal "$(cat "$SAID")" "$(scaled 10000)"
	# Afterwards the listing is of those that live: who is listed and dead now is not listed for long.
	local dead
	dead=$(for pid in $(ls "$local" | grep -x '[0-9]*'); do [[ -d /proc/$pid ]] || echo "$pid"; done)
	retry_until 5 none_listed "$dead"
	assert_equal "$(field "$MNT/status" collector)" running
}

none_listed() {
	local pid listed
	listed=" $(ls "$local" | tr '\n' ' ') "
	for pid in $1; do
		[[ $listed != *" $pid "* || -d /proc/$pid ]] || return 1
	done
}

# The rest runs where the next pid can be chosen: in a pid namespace with its own /proc.
@test 'a pid used again: what was open or known of the dead one never shows the newcomer' {
	need_kernel 'no pid namespaces' unshare --pid --fork --mount-proc true
	need_kernel 'no ns_last_pid' test -e /proc/sys/kernel/ns_last_pid
	"$MEMFS" umount "$MNT"
	local dir=$BATS_TEST_TMPDIR/reuse
	mkdir -p "$dir/mnt" "$dir/state"
	cat >"$dir/inside" <<'BASH'
set -eu
MEMFS=$1 dir=$2 named=$3
mnt=$dir/mnt
"$MEMFS" mount -o "state=$dir/state,run=$dir/run,node=reuse" "$mnt"
trap 'exec 4<&- 5<&- 6<&- 7<&-; "$MEMFS" umount "$mnt"' EXIT
local=$mnt/local
wanted=20000
reused=0
until_true() {
	for _ in $(seq 400); do
		"$@" && return 0
		sleep 0.01
	done
	echo "not in time: $*"
	return 1
}
begin() { # NAME: a process of that name with the wanted pid
	echo $((wanted - 1)) >/proc/sys/kernel/ns_last_pid
	sh -c 'echo "$1" >/proc/self/comm; exec 3>"$2"; rm -f "$2"; while :; do read -r x; done' sh "$1" "$dir/$1" \
		<>"$dir/never" >/dev/null 4<&- 5<&- 6<&- 7<&- &
	born=$!
	until_true grep -qx "$1" "/proc/$born/comm" 2>/dev/null
}
mkfifo "$dir/never"
for attempt in 1 2 3; do
	begin departed
	[ "$born" = "$wanted" ] || { kill -9 "$born"; wait "$born" || true; continue; }
	until_true grep -qx departed "$local/$wanted/comm"
	exec 4<"$local/$wanted" 5<"$local/$wanted/comm" 6<"$local/$wanted/statm" 7<"$local/$wanted/args"
	cat "$local/$wanted/comm" "$local/$wanted/stat" "$local/$wanted/start_time" >/dev/null
	old_start=$(cat "$local/$wanted/start_time")
	# A start time is known to a hundredth of a second.
	while [ "$(cut -d' ' -f1 /proc/uptime)" = "$(awk -v s="$old_start" 'BEGIN { print s }')" ]; do :; done
	sleep 0.03
	kill -9 "$born"
	wait "$born" || true
	begin newcomer
	[ "$born" = "$wanted" ] || { kill -9 "$born"; wait "$born" || true; exec 4<&- 5<&- 6<&- 7<&-; continue; }
	reused=1
	end=$(($(date +%s%N) + 1500000000))
	while [ "$(date +%s%N)" -lt "$end" ]; do
		for known in "/proc/self/fd/5" "/proc/self/fd/4/comm"; do
			if text=$(cat "$known" 2>/dev/null) && [ "$text" = newcomer ]; then
				echo "$known shows the newcomer"
				exit 1
			fi
		done
		text=$(cat <&7 2>/dev/null) || true
		case $text in *newcomer*) echo 'the open table shows the newcomer'; exit 1 ;; esac
	done
	until_true grep -qx newcomer "$local/$wanted/comm"
	# Below the dead one's directory, which is open still, no link leads to the newcomer.
	[ ! -e /proc/self/fd/4/args ] && [ ! -e /proc/self/fd/4/pss ]
	[ "$(cat "$local/$wanted/start_time")" != "$old_start" ]
	until_true sh -c "! grep departed '$local/processes'"
	if cat <&6 2>/dev/null; then
		[ "$(cat /proc/self/fd/6 2>/dev/null)" != "$(cat "$local/$wanted/statm")" ] || { echo 'an open number shows the newcomer'; exit 1; }
	fi
	kill -9 "$born"
	wait "$born" || true
	exec 4<&- 5<&- 6<&- 7<&-
	break
done
[ "$reused" = 1 ] || { echo 'the pid could not be had again'; exit 1; }
echo fine
BASH
	run unshare --pid --fork --mount-proc --propagation private bash "$dir/inside" "$MEMFS" "$dir" "$BATS_FILE_TMPDIR/named" 3>&-
	assert_success
	assert_line fine
}
