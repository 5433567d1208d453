#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Deaths: whichever process of memfs is killed, in whatever order, no read fails, and what was open goes on.
load helpers
load programs

setup_file() {
	build_programs chaos
}

setup() {
	setup_memfs interval_ms=200
	local=$MNT/local
}

teardown() {
	teardown_memfs
}

# What local/total brings is right.
assert_total() {
	assert_equal "$(cat "$local/total")" "$(awk '$1 == "MemTotal:" { printf "%.0f", $2 * 1024 }' /proc/meminfo)"
}

# Whether another serve, or collector, than that one runs.
replaced() {
	local pid
	pid=$("$1_pid")
	[[ $pid -gt 0 && $pid != "$2" && -d /proc/$pid ]]
}

# kill_serve, kill_collector: with -9, and waits until the next one runs.
kill_serve() {
	local pid
	pid=$(serve_pid)
	kill -KILL "$pid"
	retry_until 5 replaced serve "$pid"
}

kill_collector() {
	local pid
	pid=$(collector_pid)
	kill -KILL "$pid"
	retry_until 5 replaced collector "$pid"
}

# Whether a process waits for an answer to a FUSE request.
asks() {
	grep -qE 'request_wait_answer' "/proc/$1/stack"
}

# The id of a mount in the kernel: of another mount in its place it is another.
mount_id() {
	awk -v dir="$1" '$5 == dir { print $1 }' /proc/self/mountinfo
}

mounted_once() {
	assert_equal "$(mount_id "$MNT" | wc -l)" 1
	[[ ! -e $RUN/live ]] || assert_equal "$(mount_id "$RUN/live" | wc -l)" 1
}

# As setup_memfs mounted it.
mount_again() {
	"$MEMFS" mount -o "state=$STATE,run=$RUN,node=$NODE,interval_ms=200" "$MNT" 3>&-
}

# --- serve ----------------------------------------------------------------------------------------------------------

# follow SIZE: prints what the stream brings, read by read.
follow() {
	start python3 -c '
import os, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
while True:
    os.write(1, os.read(fd, int(sys.argv[2])))
' "$local/events" "$1" >"$BATS_TEST_TMPDIR/followed"
	FOLLOWER=$STARTED
	retry_until 5 asks "$FOLLOWER"
}

followed() {
	grep -qP "\texit\tpid/$1\t" "$BATS_TEST_TMPDIR/followed"
}

# Each line whole, each number once, none left out.
assert_followed_all() {
	awk -F'\t' 'NF != 5 || $3 == "dropped" || (last && $1 != last + 1) { print "after " last ": " $0; bad = 1 } { last = $1 }
		END { exit bad || !last }' <(head -n "$(wc -l <"$BATS_TEST_TMPDIR/followed")" "$BATS_TEST_TMPDIR/followed")
}

follow_over_deaths() {
	follow "$1"
	for _ in 1 2 3 4 5; do
		start sleep 1000
		kill -KILL "$(serve_pid)"
		# The events of the whole machine come, and it may be busy: who reads little at a time is behind by them.
		retry_until 100 grep -qP "\tstart\tpid/$STARTED\t" "$BATS_TEST_TMPDIR/followed"
		kill -KILL "$STARTED"
		retry_until 100 followed "$STARTED"
	done
	assert_followed_all
}

@test 'kill -9 serve under a reader that waits in events: no line is lost, none comes twice' {
	follow_over_deaths 65536
}

@test 'kill -9 serve under a reader of a few bytes: no byte is lost, none comes twice' {
	follow_over_deaths 31
}

@test 'kill -9 serve under a reader that waits in events, in a single session' {
	"$MEMFS" umount "$MNT"
	setup_memfs interval_ms=200,single
	follow_over_deaths 65536
}

half_read() {
	local i
	exec 7<"$local/processes"
	dd bs=512 count=2 status=none <&7 >"$BATS_TEST_TMPDIR/table"
	kill_serve
	for i in 1 2 3; do
		start sleep 1000
	done
	retry_until 10 grep -q "^$STARTED	" "$local/processes"
	dd bs=512 status=none <&7 >>"$BATS_TEST_TMPDIR/table"
	exec 7<&-
	run grep -c "^$STARTED	" "$BATS_TEST_TMPDIR/table"
	assert_output 0
	awk -F'\t' 'NF != 15 || (NR > 2 && $1 + 0 <= last + 0) { print NR ": " $0; bad = 1 } { last = $1 } END { exit bad || NR < 3 }' "$BATS_TEST_TMPDIR/table"
	assert_equal "$(tail -c 1 "$BATS_TEST_TMPDIR/table" | od -An -tu1 | tr -d ' ')" 10
}

@test 'kill -9 serve while a table is half read: the rest is of the same instant' {
	half_read
}

@test 'kill -9 serve while a table is half read, in a single session' {
	"$MEMFS" umount "$MNT"
	setup_memfs interval_ms=200,single
	half_read
}

@test 'kill -9 serve: an open table can be read from its beginning again, and is closed for good' {
	local i
	exec 7<"$local/processes"
	cat <&7 >"$BATS_TEST_TMPDIR/before"
	kill_serve
	python3 -c 'import os; os.lseek(7, 0, os.SEEK_SET)'
	cat <&7 | cmp - "$BATS_TEST_TMPDIR/before"
	exec 7<&-
	# As many as can be open at a time: slots of those that are closed are free.
	for i in 1 2 3 4 5; do
		python3 -c '
import os, sys
for i in range(1000):
    os.close(os.open(sys.argv[1], os.O_RDONLY))
' "$local/README"
		kill_serve
	done
}

@test 'kill -9 serve under poll: who waits is woken by the next one' {
	local victim poller
	start sleep 1000
	victim=$STARTED
	# Where the kernel reports no births, who comes and goes between two sweeps has no end either.
	retry_until 5 grep -q "^$victim	" "$local/processes"
	python3 -c '
import os, select, sys
fd, wanted = os.open(sys.argv[1], os.O_RDONLY | os.O_NONBLOCK), b"\texit\tpid/%s\t" % sys.argv[2].encode()
poll = select.poll()
poll.register(fd, select.POLLIN)
text = b""
while wanted not in text:
    try:
        text += os.read(fd, 65536)
    except BlockingIOError:
        # Nothing is there: now it waits, unless news came meanwhile.
        print("waits", flush=True)
        if not poll.poll(20000):
            sys.exit("never woken")
' "$local/events" "$victim" >"$BATS_TEST_TMPDIR/polled" 3>&- &
	poller=$!
	retry_until 5 grep -q waits "$BATS_TEST_TMPDIR/polled"
	kill_serve
	stop "$victim"
	wait "$poller"
}

@test 'kill -9 serve while a write waits: it is applied, and the writer is told so' {
	local collector writer
	collector=$(collector_pid)
	kill -STOP "$collector"
	bash -c 'echo "history_days 21" >"$1"' bash "$local/config" 3>&- &
	writer=$!
	retry_until 5 asks "$writer"
	kill_serve
	asks "$writer"
	kill -CONT "$collector"
	wait "$writer"
	assert_equal "$(field "$local/config" history_days)" 21
}

@test 'kill -9 serve while a write waits that is refused: the errno comes, and the reason' {
	local collector writer
	collector=$(collector_pid)
	kill -STOP "$collector"
	bash -c 'echo "history_days 0" >"$1"' bash "$local/config" >"$BATS_TEST_TMPDIR/said" 2>&1 3>&- &
	writer=$!
	retry_until 5 asks "$writer"
	kill_serve
	kill -CONT "$collector"
	# Not by `run`, whose subshell has no children.
	! wait "$writer" || fail 'it was not refused'
	grep -q 'Numerical result out of range' "$BATS_TEST_TMPDIR/said"
	grep -q 'ERANGE' "$local/errors"
	assert_equal "$(field "$local/config" history_days)" 30
}

@test 'kill -9 serve many times: files that are open, names and sizes stay what they were' {
	start_still
	local i id pid
	id=$(stat -c %i "$local/$PID/rss")
	exec 7<"$local/$PID/rss" 8<"$local"
	cat "$local/$PID/rss" >"$BATS_TEST_TMPDIR/rss"
	for i in 1 2 3 4 5 6 7 8; do
		pid=$(serve_pid)
		kill -KILL "$pid"
		cmp "$local/$PID/rss" "$BATS_TEST_TMPDIR/rss"
		cmp /proc/self/fd/7 "$BATS_TEST_TMPDIR/rss"
		assert_equal "$(stat -c %i "$local/$PID/rss")" "$id"
		[[ $(cat "/proc/self/fd/8/total") == $(cat "$local/total") ]]
		retry_until 5 replaced serve "$pid"
	done
	exec 7<&- 8<&-
	grep -q . "$local/by-name/sleep/pids"
}

# --- the collector --------------------------------------------------------------------------------------------------

@test 'kill -9 collector: numbers and tables go on, and the next one goes on counting' {
	local before i
	before=$(field "$MNT/status" generation)
	for i in 1 2 3; do
		# The last one may not have been followed yet.
		kill -KILL "$(collector_pid)" 2>/dev/null || true
		cat "$local/total" "$local/stat" "$MNT/self/rss" "$local/processes" "$local/top/rss" >/dev/null
	done
	retry_until 10 counts_on "$before"
	assert_equal "$(field "$MNT/status" collector)" running
}

counts_on() {
	(($(field "$MNT/status" generation) > $1 + 3))
}

is_absent() {
	[[ $(field "$MNT/status" collector) == absent ]]
}

@test 'a collector that stands still is absent within 4 s, its age grows, and numbers go on' {
	local collector began age
	collector=$(collector_pid)
	kill -STOP "$collector"
	began=$(date +%s)
	retry_until 4 is_absent
	[[ $(($(date +%s) - began)) -le 4 ]]
	age=$(field "$MNT/status" board_age)
	retry_until 2 older_than "$age"
	# Births and deaths are seen all the same.
	start sleep 1000
	retry_until 5 test -e "$local/$STARTED/rss"
	stop "$STARTED"
	retry_until 5 test ! -e "$local/$STARTED"
	assert_total
	kill -CONT "$collector"
	retry_until 5 grep -qE '^collector +running$' "$MNT/status"
}

older_than() {
	awk -v now="$(field "$MNT/status" board_age)" -v then="$1" 'BEGIN { exit !(now > then + 0.5) }'
}

@test 'pss waits for a collector that stands still, and is answered then' {
	local collector
	start_still
	collector=$(collector_pid)
	kill -STOP "$collector"
	start cat "$local/$PID/pss" >"$BATS_TEST_TMPDIR/pss"
	retry_until 5 asks "$STARTED"
	# Others do not wait for it.
	cat "$local/$PID/rss" "$local/processes" >/dev/null
	kill -CONT "$collector"
	wait "$STARTED"
	[[ $(cat "$BATS_TEST_TMPDIR/pss") -gt 0 ]]
}

@test 'kill -9 collector under a read of pss: the next one answers' {
	local collector
	start_still
	collector=$(collector_pid)
	kill -STOP "$collector"
	start cat "$local/$PID/pss" >"$BATS_TEST_TMPDIR/pss"
	retry_until 5 asks "$STARTED"
	kill -KILL "$collector"
	wait "$STARTED"
	[[ $(cat "$BATS_TEST_TMPDIR/pss") -gt 0 ]]
}

# --- the supervisor -------------------------------------------------------------------------------------------------

@test 'kill -9 supervisor: reads go on, and memfs mount adopts the same mount' {
	local supervisor serve collector id dev
	supervisor=$(supervisor_pid) serve=$(serve_pid) collector=$(collector_pid)
	id=$(mount_id "$MNT") dev=$(stat -c %d "$MNT")
	exec 7<"$local/events" 8<"$local/processes"
	head -c 100 <&8 >"$BATS_TEST_TMPDIR/table"
	kill -KILL "$supervisor"
	retry_until 5 test ! -e "/proc/$supervisor"
	cat "$local/total" "$local/processes" "$MNT/self/rss" >/dev/null
	[[ -d /proc/$serve && -d /proc/$collector ]]
	mount_again
	assert_equal "$(mount_id "$MNT")" "$id"
	assert_equal "$(stat -c %d "$MNT")" "$dev"
	assert_equal "$(collector_pid)" "$collector"
	cat <&8 >>"$BATS_TEST_TMPDIR/table"
	awk -F'\t' 'NF != 15 { print NR ": " $0; bad = 1 } END { exit bad }' "$BATS_TEST_TMPDIR/table"
	# It stays until a sweep met it: without the proc connector nothing else does.
	start sleep 1000
	run timeout 10 grep -m 1 -P "\tstart\tpid/$STARTED\t" <&7
	assert_success
	stop "$STARTED"
	run timeout 10 grep -m 1 -P "\texit\tpid/$STARTED\t" <&7
	assert_success
	exec 7<&- 8<&-
	# The adopted one is watched again.
	kill_serve
	kill_collector
	cat "$local/total"
	mounted_once
}

@test 'serve dies while there is no supervisor: memfs mount replaces the dead mount' {
	kill -KILL "$(supervisor_pid)" "$(serve_pid)"
	mount_again
	mounted_once
	assert_total
}

@test 'all are killed: memfs mount begins anew, with the history there was' {
	local i
	retry_until 10 has_history
	for _ in 1 2 3; do
		kill -KILL "$(supervisor_pid)" "$(serve_pid)" "$(collector_pid)"
		mount_again
		mounted_once
		cat "$local/total" "$local/processes" >/dev/null
	done
	has_history
	kill_serve
	cat "$local/total"
}

has_history() {
	[[ $(wc -l <"$local/history/10m") -gt 2 ]]
}

@test 'all are killed and nobody mounts again: memfs umount takes the dead mount away' {
	kill -KILL "$(supervisor_pid)" "$(serve_pid)" "$(collector_pid)"
	retry_until 5 none_left
	run cat "$local/total"
	assert_failure
	"$MEMFS" umount "$MNT"
	assert_equal "$(mount_id "$MNT")" ''
	# What else it left is the next one's to clear.
	mount_again
	mounted_once
	assert_total
}

@test 'the supervisor is killed and nobody mounts again: memfs umount ends the rest' {
	kill -KILL "$(supervisor_pid)"
	[[ $(cat "$local/total") -gt 0 ]]
	"$MEMFS" umount "$MNT"
	assert none_left
	assert_equal "$(mounts_here)" ''
	[[ ! -e $RUN ]] || fail "left in $RUN: $(ls -A "$RUN")"
	# And one in use, or stopped.
	setup_memfs interval_ms=200
	kill -KILL "$(supervisor_pid)"
	kill -STOP "$(collector_pid)"
	exec 8<"$local/total"
	run -1 "$MEMFS" umount "$MNT"
	assert_output --partial busy
	[[ $(cat "$local/total") -gt 0 ]]
	exec 8<&-
	"$MEMFS" umount "$MNT"
	assert none_left
	[[ ! -e $RUN ]] || fail "left in $RUN: $(ls -A "$RUN")"
}

@test 'the supervisor and serve are killed: memfs umount ends the collector, too' {
	kill -KILL "$(supervisor_pid)" "$(serve_pid)"
	retry_until 5 is_dead
	# Its other half is no mount of its own.
	run "$MEMFS" status
	assert_line "$MNT"
	refute_line "$RUN/live"
	"$MEMFS" umount "$MNT"
	assert none_left
	assert_equal "$(mounts_here)" ''
	[[ ! -e $RUN ]] || fail "left in $RUN: $(ls -A "$RUN")"
}

is_dead() {
	[[ $(stat -f "$MNT" 2>&1) == *'not connected'* ]]
}

@test 'SIGTERM to the supervisor is an orderly end' {
	local supervisor
	supervisor=$(supervisor_pid)
	kill -TERM "$supervisor"
	retry_until 10 none_left
	assert_equal "$(mounts_here)" ''
}

# wakes PID: how often it went to sleep so far.
wakes() {
	awk '$1 == "voluntary_ctxt_switches:" { print $2 }' "/proc/$1/status"
}

has_woken() {
	(($(wakes "$1") >= $2))
}

# The supervisor asks serve once a second whether it is well.
@test 'an umount is heard behind answers that the supervisor has not read yet' {
	local supervisor serve
	supervisor=$(supervisor_pid) serve=$(serve_pid)
	kill -STOP "$serve"
	retry_until 10 has_woken "$supervisor" $(($(wakes "$supervisor") + 2))
	kill -STOP "$supervisor"
	kill -CONT "$serve"
	umount "$MNT"
	retry_until 10 eval "[ ! -e /proc/$serve/exe ]"
	kill -CONT "$supervisor"
	retry_until 10 none_left
	assert_equal "$(mounts_here)" ''
}

# --- at random ------------------------------------------------------------------------------------------------------

# Sanitized builds start ten times as slowly.
kills() {
	local n=$1
	! nm -D --undefined-only "$MEMFS" | grep -q __asan_init || n=$((n / 10))
	echo "$n"
}

random_kills() {
	"$MEMFS" umount "$MNT"
	mkdir "$BATS_TEST_TMPDIR/state"
	mkdir "$BATS_TEST_TMPDIR/mnt"
	run program chaos "$MEMFS" "$BATS_TEST_TMPDIR/mnt" "$BATS_TEST_TMPDIR/run" "$BATS_TEST_TMPDIR/state" "$1"
	assert_success
	assert_line 'failed 0'
	assert_line 'lost_ticks 0'
	echo "# $(tr '\n' ' ' <<<"$output")" >&3
}

@test 'sixty kills at random under four readers: no failed read, no lost tick, nothing stacked' {
	random_kills "${MEMFS_TEST_KILLS:-$(kills 60)}"
}

# bats test_tags=soak
@test 'a thousand kills at random under four readers' {
	random_kills "${MEMFS_TEST_KILLS:-$(kills 1000)}"
}
