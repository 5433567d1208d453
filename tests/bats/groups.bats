#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Groups by user and by unit, with real cgroups; what a group says of pss; numa/, pressure/, vmstat.
load helpers
load programs

setup_file() {
	build_programs named
}

setup() {
	setup_memfs
	local=$MNT/local
	UNITS=
}

teardown() {
	# Ends whoever is in a cgroup of ours; only an empty one can be removed.
	teardown_memfs
	remove_units
}

# unit NAME: a memory cgroup of that name, beside others of this test; sets UNIT to its folder, UNITS to that of all.
unit() {
	if [[ -z $UNITS ]]; then
		local memory
		memory=$(awk '/ - cgroup [^ ]+ [^ ]*memory/ { print $5; exit }' /proc/self/mountinfo)
		if [[ $memory ]]; then
			UNITS=$memory$(awk -F : '$2 ~ /(^|,)memory(,|$)/ { print $3 }' /proc/self/cgroup)
		else
			UNITS=$(awk '/ - cgroup2 / { print $5; exit }' /proc/self/mountinfo)
		fi
		need_kernel 'a memory cgroup that can be made' test -w "$UNITS/cgroup.procs"
		UNITS=${UNITS%/}/memfs-$$-$BATS_TEST_NUMBER
		mkdir "$UNITS"
		[[ ! -e $UNITS/cgroup.controllers ]] || echo +memory >"$UNITS/cgroup.subtree_control"
	fi
	UNIT=$UNITS/$1
	mkdir "$UNIT"
}

remove_units() {
	[[ -n $UNITS && -d $UNITS ]] || return 0
	retry_until 20 find "$UNITS" -depth -type d -exec rmdir {} +
}

# start_in FOLDER CMD...: starts CMD in a cgroup, sets STARTED.
start_in() {
	start sh -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$@"
}

holds() {
	[[ $(cat "$1" 2>&1) == "$2" ]]
}

# Whether rss, vms, shared and swap of the group are the sums over its processes.
adds_up() {
	python3 - "$1" <<'PYTHON'
import sys
group = sys.argv[1]
pids = open(group + "/pids").read().split()
stat = {key: value for key, value in (line.split() for line in open(group + "/stat"))}
keys = {"rss": ["VmRSS"], "vms": ["VmSize"], "shared": ["RssFile", "RssShmem"], "swap": ["VmSwap"]}
for name, lines in keys.items():
    total = 0
    for pid in pids:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in open(f"/proc/{pid}/status") if ":\t" in line)
        total += sum(int(status.get(line, "0 kB").split()[0]) * 1024 for line in lines)
    assert int(stat[name]) == int(open(f"{group}/{name}").read()) == total, (name, stat[name], total)
assert int(stat["count"]) == int(open(group + "/count").read()) == len(pids), (stat, pids)
PYTHON
}

# start_as UID: three processes of that user that stand still; sets PIDS, one a line.
start_as() {
	local i
	PIDS=
	for i in 1 2 3; do
		start setpriv "--reuid=$1" --clear-groups sleep 1000
		PIDS+=$STARTED$'\n'
	done
	PIDS=$(sort -n <<<"${PIDS%$'\n'}")
}

@test 'by-user: a user without a name is a number, with the sums of all their processes' {
	local uid=$((3000000000 + $$)) group
	group=$local/by-user/$uid
	[[ ! -e $group ]]
	start_as "$uid"
	retry_until 10 holds "$group/count" 3
	retry_until 10 holds "$group/pids" "$PIDS"
	retry_until 10 adds_up "$group"
	ls "$local/by-user" | grep -qx "$uid"
	exec 9<"$group/rss"
	# shellcheck disable=SC2086 # a word each
	stop $PIDS
	retry_until 10 test ! -e "$group"
	run ls "$local/by-user"
	refute_line "$uid"
	run cat <&9
	exec 9<&-
	[[ $status == 1 && $output == *'No such process'* ]]
}

@test 'by-user: a user with a name is found by it and by number' {
	start setpriv --reuid=nobody --clear-groups sleep 1000
	retry_until 10 sh -c "grep -qx $STARTED '$local/by-user/nobody/pids'"
	grep -qx "$STARTED" "$local/by-user/$(id -u nobody)/pids"
	[[ -d $local/by-user/root && -d $local/by-user/0 ]]
	run ls "$local/by-user"
	assert_line root
	assert_line nobody
	refute_line 0
	refute_line "$(id -u nobody)"
	local none
	for none in 00 +0 -1 0x0 '' ' 0' 4294967296 18446744073709551616 no-such-user "$(id -u nobody)x"; do
		[[ -z $none || ! -e $local/by-user/$none ]] || fail "by-user/$none is there"
	done
}

@test 'by-unit: the processes of a cgroup, and its own files' {
	unit "memfs-$$.service"
	local group=$local/by-unit/memfs-$$.service v1=memory.usage_in_bytes
	[[ ! -e $group ]]
	start_in "$UNIT" sleep 1000
	local first=$STARTED
	mkdir "$UNIT/part"
	start_in "$UNIT/part" sleep 1000
	retry_until 10 holds "$group/pids" "$(printf '%s\n' "$first" "$STARTED" | sort -n)"
	retry_until 10 adds_up "$group"
	if [[ -e $UNIT/$v1 ]]; then
		retry_until 10 sh -c "[ \"\$(cat '$group/current')\" = \"\$(cat '$UNIT/$v1')\" ]"
		retry_until 10 sh -c "[ \"\$(cat '$group/peak')\" = \"\$(cat '$UNIT/memory.max_usage_in_bytes')\" ]"
		retry_until 5 holds "$group/max" max
		echo 512M >"$UNIT/memory.limit_in_bytes"
		run cat "$group/pressure"
		assert_output --partial 'No data available'
	else
		retry_until 10 sh -c "[ \"\$(cat '$group/current')\" = \"\$(cat '$UNIT/memory.current')\" ]"
		[[ ! -e $UNIT/memory.peak ]] ||
			retry_until 10 sh -c "[ \"\$(cat '$group/peak')\" = \"\$(cat '$UNIT/memory.peak')\" ]"
		retry_until 5 holds "$group/max" max
		echo 512M >"$UNIT/memory.max"
		[[ ! -e $UNIT/memory.pressure ]] || retry_until 10 cmp "$group/pressure" "$UNIT/memory.pressure"
	fi
	retry_until 5 holds "$group/max" 536870912

	# The collector's death takes no process out of its unit.
	local old generation
	old=$(collector_pid)
	generation=$(field "$MNT/status" generation)
	kill -KILL "$old"
	retry_until 20 goes_on "$old" "$((generation + 2))"
	[[ ! -e $BATS_TEST_TMPDIR/others ]] || fail "counted meanwhile: $(sort -u "$BATS_TEST_TMPDIR/others")"
	stop "$first" "$STARTED"
	retry_until 10 test ! -e "$group"
}

# goes_on COLLECTOR GENERATION: another collector got that far. What the group counts other than 2 is written down.
goes_on() {
	local count
	count=$(cat "$group/count" 2>&1)
	[[ $count == 2 ]] || echo "$count" >>"$BATS_TEST_TMPDIR/others"
	[[ $(collector_pid) != "$1" && $(field "$MNT/status" generation) -gt $2 ]]
}

@test 'by-unit: who is in the root of all has no unit, and two cgroups of one name have no number in common' {
	unit a
	mkdir "$UNITS/b" "$UNITS/a/same-$$.scope" "$UNITS/b/same-$$.scope"
	start_in "$UNITS/a/same-$$.scope" sleep 1000
	start_in "$UNITS/b/same-$$.scope" sleep 1000
	local group=$local/by-unit/same-$$.scope
	retry_until 10 holds "$group/count" 2
	adds_up "$group"
	run cat "$group/current"
	assert_output --partial 'No data available'
	run cat "$local/by-unit/"*/pids
	refute_line 2
	[[ ! -e $local/by-unit/no-such.service ]]
}

@test 'by-unit: names of any shape are directories that can be looked up' {
	local names=('a b' $'t\tb' 'x:y' 'back\sl' '-' '*' '(deleted)' $'\xff\xfe' $'\x01\x7f' '..a' "q'\"" '%s%n'
		"$(printf 'l%.0s' $(seq 250))" "$(printf '\\%.0s' $(seq 200))1" "$(printf '\\%.0s' $(seq 200))2")
	local name wanted=()
	for name in "${names[@]}"; do
		unit "$name"
		start_in "$UNIT" sleep 1000
		wanted+=("$STARTED")
	done
	retry_until 10 in_units "${wanted[@]}"
	run -0 cat "$local/by-unit/back\\134sl/count"
	assert_output 1
	[[ -d "$local/by-unit/a b" && -d "$local/by-unit/t\\011b" && ! -e "$local/by-unit/back\\sl" ]]
}

# in_units PID...: each in a unit of its own, as the listing has it.
in_units() {
	python3 - "$local/by-unit" "$@" <<'PYTHON'
import os, sys
folder, wanted, found = os.fsencode(sys.argv[1]), {int(pid) for pid in sys.argv[2:]}, {}
for name in os.listdir(folder):
    assert len(name) <= 255 and not set(name) & set(b"\n\t/"), name
    try:
        pids = [int(pid) for pid in open(folder + b"/" + name + b"/pids")]
    except (FileNotFoundError, ProcessLookupError):
        continue  # ended since it was listed
    for pid in wanted & set(pids):
        assert len(pids) == 1 and pid not in found, (name, pids)
        found[pid] = name
assert set(found) == wanted, wanted - set(found)
PYTHON
}

# bats test_tags=slow
@test 'a thousand units and names; who moves without exec is found there within half a minute' {
	unit all
	local i pids
	# shellcheck disable=SC2046 # a name each
	start_program named $(seq -f "g$$-%g" 1000)
	retry_until 20 said_lines 1000
	mapfile -t pids <"$SAID"
	retry_until 10 sh -c "[ \"\$(ls '$local/by-name' | grep -c '^g$$-')\" = 1000 ]"
	for i in $(seq 1000); do
		mkdir "$UNIT/u$i-$$.scope"
		echo "${pids[i - 1]}" >"$UNIT/u$i-$$.scope/cgroup.procs"
	done
	retry_until 40 sh -c "[ \"\$(ls '$local/by-unit' | grep -c -- '-$$.scope\$')\" = 1000 ]"
	retry_until 40 sh -c "[ \"\$(cat '$local/by-unit/'*-$$.scope/count | sort | uniq -c | tr -s ' ')\" = ' 1000 1' ]"
	assert_equal "$(cat "$local/by-unit/u77-$$.scope/pids")" "${pids[76]}"
	assert_equal "$(cat "$local/by-name/g$$-77/pids")" "${pids[76]}"
	stop "$PID"
	retry_until 20 sh -c "! ls '$local/by-unit' | grep -q -- '-$$.scope\$'"
}

@test 'pss of a group: measured when opened, and remembered with how many it is of' {
	local name=pss$$ group
	start_program named "$name" "$name" "$name"
	retry_until 5 said_lines 3
	group=$local/by-name/$name
	retry_until 10 holds "$group/count" 3
	assert_equal "$(field "$group/stat" pss_last)" -
	assert_equal "$(field "$group/stat" pss_count)" 0
	# Pages shared with others are shared with more or fewer as those come and go.
	retry_until 20 sh -c "sum=0; for pid in \$(cat '$group/pids'); do sum=\$((sum + \$(cat '$local'/\$pid/pss))); done
		[ \"\$(cat '$group/pss')\" = \$sum ]"
	retry_until 10 sh -c "awk '\$1 == \"pss_count\" { exit \$2 != 3 }' '$group/stat'"
	[[ $(field "$group/stat" pss_last) -gt 0 ]]
	# Kernel threads have none.
	run cat "$local/by-name/kthreadd/pss"
	[[ ! -e $local/by-name/kthreadd ]] || assert_output --partial 'No data available'
}

@test 'pss of a group: a collector that is silent is told, not waited for without end' {
	local name=stuck$$ group
	start_program named "$name" "$name"
	retry_until 5 said_lines 2
	group=$local/by-name/$name
	retry_until 10 holds "$group/count" 2
	kill -STOP "$(collector_pid)"
	run timeout 20 cat "$group/pss"
	kill -CONT "$(collector_pid)"
	assert_output --partial 'timed out'
}

@test 'numa, pressure and vmstat are those of the kernel' {
	local file
	for file in memory io cpu; do
		[[ ! -e /proc/pressure/$file ]] || retry_until 10 cmp "/proc/pressure/$file" "$local/pressure/$file"
	done
	[[ -e /proc/pressure ]] || [[ ! -e $local/pressure ]]
	assert_equal "$(cut -d ' ' -f 1 "$local/vmstat")" "$(cut -d ' ' -f 1 /proc/vmstat)"
	assert_equal "$(stat -c %s "$local/vmstat")" "$(wc -c <"$local/vmstat")"
	[[ -e /sys/devices/system/node/online ]] || { [[ ! -e $local/numa ]] && return; }
	assert_equal "$(ls "$local/numa" | sort)" "$(ls /sys/devices/system/node | sed -n 's/^node\([0-9]*\)$/\1/p' | sort)"
	for file in "$local"/numa/*; do
		assert_equal "$(cat "$file/total")" \
			"$(awk '$3 == "MemTotal:" { printf "%.0f", $4 * 1024 }' "/sys/devices/system/node/node${file##*/}/meminfo")"
		retry_until 10 numa_agrees "$file"
	done
	[[ ! -e $local/numa/00 && ! -e $local/numa/4095 && ! -e $local/numa/x ]]
}

# Within a hundredth of the node: others use memory meanwhile. Captured machines show the very numbers.
numa_agrees() {
	local file=/sys/devices/system/node/node${1##*/}/meminfo pair total
	total=$(cat "$1/total")
	for pair in free:MemFree used:MemUsed anon:AnonPages file:FilePages; do
		awk -v key="${pair#*:}:" -v value="$(cat "$1/${pair%:*}")" -v slack=$((total / 100)) \
			'$3 == key { off = $4 * 1024 - value; exit off > slack || off < -slack }' "$file" || return 1
	done
}
