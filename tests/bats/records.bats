#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# memfs: alone, for the first collector of a machine drives a region and tells of it
# How a program's records and the collector find each other, and that no death of either, in any order, loses them.
load helpers
load programs

setup_file() {
	build_programs shadow-maker
}

setup() {
	setup_memfs interval_ms=200,log_level=3
	need_kernel 'the proc connector, which tells of births, is not in this pid namespace' retry_until 5 births_are_reported
}

teardown() {
	resume
	teardown_memfs
}

births_are_reported() {
	[[ $(field "$MNT/status" births) == connector ]]
}

# Whether what a test stopped goes on: nothing that is stopped could be ended.
resume() {
	local pid
	for pid in ${STOPPED:-}; do
		kill -CONT "$pid" 2>/dev/null || true
	done
	STOPPED=
}

# make ARG...: a process with a region; sets PID and INODE.
make() {
	MEMFS_RUN=$RUN start_program shadow-maker "$@"
	retry_until 5 said_lines 1
	INODE=$(awk '$1 == "region" { print $2; exit }' "$SAID")
}

# holds PROCESS INODE: whether it has that file open.
holds() {
	stat -L -c %i "/proc/$1"/fd/* 2>/dev/null | grep -qx "$2"
}

holds_not() {
	! holds "$@"
}

# logged TEXT: the collector, or supervisor, said so.
logged() {
	grep -qF -- "$1" "$RUN/log"
}

# says FIELD: what the region's header has, as its process sees it.
says() {
	local lines
	lines=$(wc -l <"$SAID")
	kill -USR1 "$PID"
	retry_until 5 said_lines $((lines + 1)) >/dev/null
	tail -n 1 "$SAID" | awk -v name="$1" '{ for (i = 1; i < NF; i += 2) if ($i == name) print $(i + 1) }'
}

# By a collector that lives: by ours, unless another mount of this machine was quicker.
is_owned() {
	local owner
	owner=$(says owner)
	[[ $owner -gt 1 && $(readlink "/proc/$owner/exe") == */memfs-collector ]]
}

# Both have it, and a collector drives it.
assert_safe() {
	retry_until 30 holds "$(collector_pid)" "$INODE"
	retry_until 30 holds "$(supervisor_pid)" "$INODE"
	retry_until 30 is_owned
}

assert_let_go() {
	retry_until 30 holds_not "$(collector_pid)" "$1"
	retry_until 30 holds_not "$(supervisor_pid)" "$1"
}

replaced() {
	local pid
	pid=$("$1_pid")
	[[ $pid -gt 0 && $pid != "$2" && -d /proc/$pid ]]
}

kill_collector() {
	local pid
	pid=$(collector_pid)
	kill -KILL "$pid"
	retry_until 30 replaced collector "$pid"
}

is_gone() {
	[[ ! -d /proc/$1 || $(in_state Z "$1" && echo zombie) ]]
}

# stop_supervisor: nobody starts the next collector until resume.
stop_supervisor() {
	SUPERVISOR=$(supervisor_pid)
	STOPPED+=" $SUPERVISOR"
	kill -STOP "$SUPERVISOR"
	retry_until 5 in_state T "$SUPERVISOR"
}

# --- how they find each other ---------------------------------------------------------------------------------------

@test 'what is offered is held by collector and supervisor, and driven; at its end both let go' {
	make
	assert_safe
	kill -KILL "$PID"
	assert_let_go "$INODE"
	logged "region $INODE of pid=$PID ended: death"
}

@test 'anyone can offer: a user of the machine has the socket of root'\''s mount' {
	local copy=$BATS_TEST_TMPDIR/maker
	cp "$BATS_FILE_TMPDIR/shadow-maker" "$copy"
	chmod 755 "$copy"
	MEMFS_RUN=$RUN start setpriv --reuid=nobody --regid=nogroup --clear-groups "$copy"
	retry_until 30 logged "pid=$STARTED has region"
}

@test 'what was not offered is found in the maps of its process' {
	make --quiet
	assert_safe
}

@test 'a process that began before memfs is found' {
	"$MEMFS" umount "$MNT"
	MEMFS_RUN=/nonexistent make --quiet
	setup_memfs interval_ms=200,log_level=3
	assert_safe
}

@test 'a child that has its parent'\''s region mapped is not taken for its process' {
	make --quiet --fork
	retry_until 30 logged "pid=$PID has region"
	run grep -c 'has region' <(grep -F "region $INODE" "$RUN/log")
	assert_output 1
}

@test 'in another pid namespace, and where the socket cannot be seen' {
	SAID=$BATS_TEST_TMPDIR/said
	start sh -c 'said=$0; exec unshare --mount --pid --fork --kill-child --mount-proc --propagation private sh -c "$@" >"$said"' "$SAID" \
		'mount -t tmpfs none "$1" && exec "$2" --quiet' sh "$RUN" "$BATS_FILE_TMPDIR/shadow-maker"
	retry_until 5 said_lines 1
	PID=$(cat "/proc/$STARTED/task/$STARTED/children")
	PID=${PID% } INODE=$(cut -d ' ' -f 2 "$SAID")
	retry_until 30 logged "pid=$PID has region $INODE"
	kill -KILL "$PID"
	retry_until 30 logged "region $INODE of pid=$PID ended: death"
}

@test 'hundreds that end at once are all taken, and let go' {
	local before i makers=()
	before=$(field "$MNT/status" recorded_total)
	for i in {1..300}; do
		MEMFS_RUN=$RUN program shadow-maker --brief --blocks 1 >/dev/null &
		makers+=($!)
	done
	# Not all children: one of them counts the time that this test has.
	wait "${makers[@]}"
	# More may run on this machine.
	all() { (($(field "$MNT/status" recorded_total) - before >= 300)); }
	retry_until 40 all
}

# --- programs of one process ----------------------------------------------------------------------------------------

@test 'a process that runs another program ends the records of the former one' {
	make -- "$BATS_FILE_TMPDIR/shadow-maker"
	assert_safe
	local first=$INODE
	kill -USR2 "$PID"
	retry_until 5 said_lines 2
	INODE=$(awk '$1 == "region" { inode = $2 } END { print inode }' "$SAID")
	assert_safe
	retry_until 30 logged "region $first of pid=$PID ended: exec"
	assert_let_go "$first"
}

@test 'the same where the next program has no records' {
	make -- sleep 1000
	assert_safe
	kill -USR2 "$PID"
	retry_until 30 logged "region $INODE of pid=$PID ended: exec"
	assert_let_go "$INODE"
}

@test 'the same where it runs the next one before anybody looked' {
	local i
	for i in 1 2 3 4 5 6 7 8; do
		make --exec -- sleep 1000
		retry_until 30 logged "region $INODE of pid=$PID ended: exec"
	done
}

@test 'a chain of programs' {
	local maker=$BATS_FILE_TMPDIR/shadow-maker
	make --exec -- "$maker" --exec -- "$maker" --exec -- "$maker" --exec -- "$maker"
	retry_until 5 said_lines 5
	INODE=$(tail -n 1 "$SAID" | cut -d ' ' -f 2)
	assert_safe
	three() { [[ $(grep -c "of pid=$PID ended: exec" "$RUN/log") == 4 ]]; }
	retry_until 30 three
}

# --- deaths ---------------------------------------------------------------------------------------------------------

@test 'kill -9 collector: the next one has it, and drives it on' {
	make --mode 1
	assert_safe
	ticks() { (($(says epoch) > 0)); }
	retry_until 30 ticks
	local epoch
	epoch=$(says epoch)
	kill_collector
	assert_safe
	logged "pid=$PID has region $INODE, as it had"
	later() { (($(says epoch) > epoch)); }
	retry_until 30 later
	assert_equal "$(says mode)" 1
}

@test 'kill -9 collector, then process: the supervisor has the records until the next collector took them' {
	make
	assert_safe
	stop_supervisor
	kill -KILL "$(collector_pid)"
	kill -KILL "$PID"
	retry_until 5 is_gone "$PID"
	holds "$SUPERVISOR" "$INODE"
	resume
	retry_until 30 logged "region $INODE of pid=$PID ended: death"
	assert_let_go "$INODE"
}

@test 'kill -9 process, then collector, before it was told' {
	make
	assert_safe
	local collector
	collector=$(collector_pid)
	stop_supervisor
	kill -STOP "$collector"
	kill -KILL "$PID"
	retry_until 5 is_gone "$PID"
	kill -KILL "$collector"
	holds "$SUPERVISOR" "$INODE"
	resume
	retry_until 30 logged "region $INODE of pid=$PID ended: death"
	assert_let_go "$INODE"
}

@test 'what is offered while no collector lives waits' {
	local before i
	before=$(field "$MNT/status" recorded_total)
	stop_supervisor
	kill -KILL "$(collector_pid)"
	for i in {1..100}; do
		MEMFS_RUN=$RUN program shadow-maker --brief --blocks 1 >/dev/null
	done
	resume
	all() { (($(field "$MNT/status" recorded_total) - before >= 100)); }
	retry_until 40 all
}

@test 'kill -9 supervisor: the next one is given what the collector has' {
	make
	assert_safe
	local supervisor
	supervisor=$(supervisor_pid)
	kill -KILL "$supervisor"
	retry_until 5 is_gone "$supervisor"
	"$MEMFS" mount -o "state=$STATE,run=$RUN,node=$NODE,interval_ms=200,log_level=3" "$MNT" 3>&-
	assert_safe
	kill_collector
	assert_safe
}

@test 'kill -9 supervisor and collector: a program that lives is found again' {
	make
	assert_safe
	local supervisor collector
	supervisor=$(supervisor_pid) collector=$(collector_pid)
	kill -KILL "$supervisor" "$collector"
	retry_until 5 is_gone "$supervisor"
	retry_until 5 is_gone "$collector"
	"$MEMFS" mount -o "state=$STATE,run=$RUN,node=$NODE,interval_ms=200,log_level=3" "$MNT" 3>&-
	assert_safe
}

@test 'two mounts: the first drives, and when it is gone the other' {
	make
	assert_safe
	local first first_mnt=$MNT
	first=$(collector_pid)
	setup_memfs_at other interval_ms=200,log_level=3
	retry_until 30 holds "$(collector_pid)" "$INODE"
	retry_until 30 is_owned
	"$MEMFS" umount "$first_mnt"
	retry_until 30 is_owned
	[[ $(says owner) != "$first" ]]
}

# --- the hostile ----------------------------------------------------------------------------------------------------

# refused: how many offers were.
refused() {
	field "$MNT/status" recorded_refused_total
}

@test 'what is no region is refused, and harms nobody' {
	local before wish
	make
	assert_safe
	before=$(refused)
	while read -r wish; do
		# shellcheck disable=SC2086
		MEMFS_RUN=$RUN program shadow-maker --brief --blocks 1 $wish >/dev/null
	done <<-'END'
		--no-seals
		--cut 4096
		--pipe
		--no-file
		--scribble
		--version 77
		--shift 40
		--leaves 1000000
	END
	eight() { (($(refused) - before >= 8)); }
	retry_until 30 eight
	assert_safe
}

@test 'a region of a future that never comes, and one that is another'\''s to drive' {
	make --far-clock --mode 1
	assert_safe
	assert_equal "$(says epoch)" 0
	# Of pid 1, and of nobody.
	make --owner $((1 << 42))
	retry_until 30 holds "$(collector_pid)" "$INODE"
	retry_until 30 is_owned
}

@test 'one user cannot take all the places' {
	local before i copy=$BATS_TEST_TMPDIR/maker
	cp "$BATS_FILE_TMPDIR/shadow-maker" "$copy"
	chmod 755 "$copy"
	before=$(refused)
	# The same one again is nothing new.
	MEMFS_RUN=$RUN setpriv --reuid=nobody --regid=nogroup --clear-groups "$copy" --times 5000 --brief >/dev/null
	make
	assert_safe
	assert_equal "$(refused)" "$before"
}

@test 'no descriptor of what was refused stays' {
	local i
	make
	assert_safe
	count() { find "/proc/$(collector_pid)/fd" -mindepth 1 -lname '*memfd:memfs-shadow*' | wc -l; }
	for i in {1..50}; do
		MEMFS_RUN=$RUN program shadow-maker --brief --no-seals >/dev/null
	done
	kill -KILL "$PID"
	assert_let_go "$INODE"
	none() { ! find "/proc/$(collector_pid)/fd" -mindepth 1 -printf '%l\n' | grep -q "$INODE"; }
	none
}
