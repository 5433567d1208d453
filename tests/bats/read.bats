#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Every way to read a file brings what is in it, for each class of file; and what a dead process's files bring.
load helpers
load programs

setup_file() {
	build_programs ways thread-self zombie-leader
}

setup() {
	setup_memfs
	local=$MNT/local
}

teardown() {
	cd "$TOP"
	teardown_memfs
}

process_numbers='comm statm state ppid uid gid threads start_time rss vms shared text data anon file shmem swap lib stat'
process_tables='README cmdline args pss uss dirty'

@test 'numbers that do not change: each way to read brings the same bytes, and the size is theirs' {
	start_still
	cd "$local/$PID"
	# shellcheck disable=SC2086 # lists of names
	run program ways $process_numbers
	assert_success
	assert_output ''
	cd "$MNT"
	# shellcheck disable=SC2086
	run program ways README $(echo nodes/*/id nodes/*/hostname nodes/*/version nodes/*/total) "nodes/$NODE/config"
	assert_success
}

@test 'tables: each way to read one descriptor brings the same bytes, and the size is theirs' {
	start_still
	cd "$local"
	# shellcheck disable=SC2086
	run program ways README processes top/rss errors history/10m "by-name/$(cat "/proc/$PID/comm")/pids" "$MNT/why"
	assert_success
	assert_output ''
	cd "$PID"
	# shellcheck disable=SC2086
	run program ways $process_tables history/10m
	assert_success
	assert_output ''
}

# same_text FILE: the usual tools agree about a file that does not change.
same_text() {
	local file=$1 copy=$BATS_TEST_TMPDIR/copy other=$BATS_TEST_TMPDIR/other
	cat "$file" >"$copy"
	[ -s "$copy" ] || fail "$file is empty"
	assert_equal "$(wc -c <"$file")" "$(wc -c <"$copy")"
	assert_equal "$(wc -l "$file" | cut -d' ' -f1)" "$(wc -l <"$copy")"
	head -c 7 "$file" | cmp - <(head -c 7 "$copy")
	head -n 2 "$file" | cmp - <(head -n 2 "$copy")
	tail -c 7 "$file" | cmp - <(tail -c 7 "$copy")
	tail -n 2 "$file" | cmp - <(tail -n 2 "$copy")
	tac "$file" | cmp - <(tac "$copy")
	grep -c '' "$file" | cmp - <(grep -c '' "$copy")
	dd if="$file" bs=1 status=none | cmp - "$copy"
	dd if="$file" bs=64k status=none | cmp - "$copy"
	cp -L "$file" "$other"
	cmp "$other" "$copy"
	assert_equal "$(stat -L -c %s "$file")" "$(wc -c <"$copy")"
}

@test 'the usual tools read a number, a setting and a table' {
	start_still
	same_text "$local/$PID/stat"
	same_text "$local/$PID/rss"
	same_text "$local/$PID/comm"
	same_text "$local/config"
	same_text "$local/$PID/README"
	same_text "$local/$PID/args"
	same_text "$local/README"
}

@test 'cp without -L copies a number as a file and a table as a link' {
	start_still
	cp -P "$local/$PID/rss" "$local/$PID/args" "$BATS_TEST_TMPDIR"
	[ ! -L "$BATS_TEST_TMPDIR/rss" ]
	cmp "$BATS_TEST_TMPDIR/rss" "$local/$PID/rss"
	[ -L "$BATS_TEST_TMPDIR/args" ]
	cmp "$BATS_TEST_TMPDIR/args" "$local/$PID/args"
}

is_measured() {
	[[ $(field "$local/$PID/stat" pss_last) != - ]]
}

@test 'tar packs numbers as they are, and with h tables too' {
	start_still
	local out=$BATS_TEST_TMPDIR/out name options
	# Measuring pss below fills in pss_last in stat, so that is done before.
	cat "$local/$PID/pss"
	retry_until 5 is_measured
	for options in c ch; do
		rm -rf "$out"
		mkdir "$out"
		run -0 tar -C "$local" -"$options"f "$out.tar" --exclude=history "$PID"
		assert_output ''
		tar -C "$out" -xf "$out.tar"
		for name in $process_numbers; do
			cmp "$out/$PID/$name" "$local/$PID/$name"
		done
		for name in $process_tables; do
			[ "$options" = ch ] || [ -L "$out/$PID/$name" ]
			[ "$options" = c ] || [ ! -L "$out/$PID/$name" ]
			case $name in
			# Measured anew at each opening: others come to share its pages, and go.
			pss | uss | dirty) grep -qxE '[0-9]+' "$out/$PID/$name" ;;
			*) cmp "$out/$PID/$name" "$local/$PID/$name" ;;
			esac
		done
	done
}

@test 'find and grep tell numbers from tables by their types, and see sizes' {
	start_still
	cd "$local/$PID"
	local name
	for name in $process_numbers; do
		[ "$(find "$name" -maxdepth 0 -type f -size -4097c -size +0c)" = "$name" ] || fail "$name is no short file"
	done
	for name in $process_tables; do
		[ "$(find "$name" -maxdepth 0 -type l)" = "$name" ] || fail "$name is no link"
		[ "$(find -L "$name" -maxdepth 0 -type f -size +0c)" = "$name" ] || fail "$name leads to no file"
	done
	run grep -rlx sleep .
	assert_output ./comm
	# Tables of leaks/ have no data where the process has not the shim, and grep says so; of nothing else.
	run grep -Rl 'sleep 1000' .
	assert_equal "$(grep -v '^grep: ./leaks/[a-z.]*: No data available$' <<<"$output")" ./args
}

@test 'a table never opened has its length all the same' {
	start_still
	local size
	size=$(stat -L -c %s "$local/$PID/args")
	assert_equal "$size" "$(wc -c <"$local/$PID/args")"
}

@test 'one open of a table is one instant, however slowly it is read' {
	local before=$BATS_TEST_TMPDIR/before i
	exec 7<"$local/processes"
	head -n 1 <&7 >/dev/null
	dd bs=1 count=20 status=none <&7 >/dev/null
	for i in 1 2 3 4 5 6 7 8 9 10; do
		start sleep 1000
	done
	PID=$STARTED
	retry_until 10 grep -q "^$PID	" "$local/processes"
	dd bs=16 status=none <&7 >"$before"
	exec 7<&-
	run grep -c "^$PID	" "$before"
	assert_output 0
	# From the second line on, whole rows in order.
	sed 1d "$before" >"$before.rows"
	awk -F'\t' 'NF != 15 || $1 <= last { print "row", NR, $0; bad = 1 } { last = $1 } END { exit bad }' "$before.rows"
	[ "$(tail -c 1 "$before" | od -An -tu1 | tr -d ' ')" = 10 ]
}

# A reader of numbers that change under it: what it reads is a whole number each time.
@test 'a number is never cut and never padded under three readers' {
	cat >"$BATS_TEST_TMPDIR/reader.py" <<'PYTHON'
import re, sys
number, table = re.compile(rb"\d+\n"), re.compile(rb"(?:[a-z0-9_]+ +(?:[0-9.]+|-)\n)+")
for i in range(1000):
    for name in ("available", "used", "free"):
        text = open(f"{sys.argv[1]}/{name}", "rb").read()
        if not number.fullmatch(text):
            sys.exit(f"{name}: {text!r}")
    text = open(f"{sys.argv[1]}/stat", "rb").read()
    if not table.fullmatch(text):
        sys.exit(f"stat: {text!r}")
PYTHON
	local readers='' reader
	for reader in 1 2 3; do
		python3 "$BATS_TEST_TMPDIR/reader.py" "$local" 3>&- &
		readers="$readers $!"
	done
	for reader in $readers; do
		wait "$reader"
	done
}

@test 'a process that ended: ENOENT at lookup, within a second' {
	start sleep 1000
	PID=$STARTED
	retry_until 5 test -e "$local/$PID/rss"
	cat "$local/$PID/stat" "$local/$PID/args" >/dev/null
	stop "$PID"
	# At once where the kernel reports deaths; with the next sweep where a storm of them was too much for that.
	retry_until 2 test ! -e "$local/$PID"
	run cat "$local/$PID/rss"
	assert_failure 1
	assert_output --partial 'No such file or directory'
	# The live session may know the name for a second more, but nothing behind it.
	run cat "$RUN/live/nodes/$NODE/$PID/args"
	assert_failure 1
	assert_output --regexp 'No such (file or directory|process)'
	retry_until 2 test ! -e "$RUN/live/nodes/$NODE/$PID"
}

@test 'a process that ended: open does not fail where the name is still known, and read brings ESRCH' {
	start sleep 1000
	PID=$STARTED
	retry_until 5 test -e "$local/$PID/rss"
	cat >"$BATS_TEST_TMPDIR/dead.py" <<'PYTHON'
import errno, os, signal, sys, time
node, pid = sys.argv[1], int(sys.argv[2])
directory = os.open(f"{node}/{pid}", os.O_RDONLY)
names = ("rss", "comm", "stat", "state", "start_time", "uid")
early = {name: os.open(name, os.O_RDONLY, dir_fd=directory) for name in names}
for fd in early.values():
    assert os.pread(fd, 4096, 0)
print("opened", flush=True)
sys.stdin.readline()
deadline = time.monotonic() + 2
for name, fd in early.items():
    while True:
        try:
            os.pread(fd, 4096, 0)
        except OSError as error:
            assert error.errno == errno.ESRCH, (name, error)
            break
        assert time.monotonic() < deadline, f"{name}: still answers"
    try:
        again = os.open(name, os.O_RDONLY, dir_fd=directory)
    except FileNotFoundError:
        continue
    try:
        os.read(again, 4096)
        sys.exit(f"{name}: an open after the death brings bytes")
    except ProcessLookupError:
        pass
PYTHON
	mkfifo "$BATS_TEST_TMPDIR/go"
	python3 "$BATS_TEST_TMPDIR/dead.py" "$local" "$PID" <"$BATS_TEST_TMPDIR/go" >"$BATS_TEST_TMPDIR/said" 3>&- &
	local reader=$!
	exec 7>"$BATS_TEST_TMPDIR/go"
	retry_until 5 grep -q opened "$BATS_TEST_TMPDIR/said"
	stop "$PID"
	echo >&7
	exec 7>&-
	wait "$reader"
}

@test 'a table opened before its process ended keeps its instant; one opened after brings nothing' {
	start sleep 1000
	PID=$STARTED
	retry_until 5 test -e "$local/$PID/args"
	exec 7<"$local/$PID/args"
	stop "$PID"
	assert_equal "$(cat <&7)" 'sleep 1000'
	exec 7<&-
	run cat "$local/$PID/args"
	assert_failure 1
}

@test 'self is the process of whoever asks, from a thread of it too' {
	local said
	said=$(program thread-self "$MNT/self")
	assert_equal "${said#* }" "$RUN/live/self"
	said=$(program thread-self "$RUN/live/self")
	assert_equal "${said#* }" "$MNT/nodes/$NODE/${said%% *}"
	assert_equal "$(cat "$MNT/self/comm")" cat
	# One asker after the other is told apart: nothing of it is cached.
	run sh -c 'for i in 1 2 3; do sh -c "readlink \$1; :" sh "$1"; done | sort -u | wc -l' sh "$RUN/live/self"
	assert_output 3
}

@test 'local, nodes/NODE and NODE are one place; another node is not there' {
	assert_equal "$(readlink "$local")" "nodes/$NODE"
	assert_equal "$(ls "$MNT/nodes")" "$NODE"
	[ "$local/total" -ef "$MNT/nodes/$NODE/total" ]
	[ "$MNT/$NODE/total" -ef "$MNT/nodes/$NODE/total" ]
	run ls "$MNT"
	refute_line "$NODE"
	run ls "$MNT/nodes/no-such-node"
	assert_failure
	assert_output --partial 'No such file or directory'
}

@test 'README mentions every listed entry of its directory' {
	local dir name
	start_still
	for dir in "$MNT" "$local" "$local/$PID"; do
		for name in $(find "$dir/" -mindepth 1 -maxdepth 1 -printf '%f\n' | grep -vx '[0-9]*'); do
			grep -q "^$name " "$dir/README" || fail "$dir/README says nothing of $name"
		done
	done
	grep -q '^PID ' "$local/README"
	# One screen of 100 columns and 40 lines.
	[ "$(wc -l <"$MNT/README")" -le 40 ]
	run awk '/^README / { exit } length($0) > 100' "$MNT/README"
	assert_output ''
}

@test 'what README says to type works' {
	local line told=0
	retry_until 20 cat "$local/at/last/stat"
	cd "$MNT"
	while read -r line; do
		# Nothing was recorded an hour ago, and events block.
		line=${line/-1h/last}
		run -0 timeout 20 sh -c "${line/cat local\/events/timeout 1 cat local/events || true}"
		told=$((told + 1))
	done < <(sed -nE 's/^(....)?   +((cat|ls) [^ ]+) .*|^(....)   (echo [^(]*).*/\2\5/p' README)
	[[ $told -ge 12 ]] || fail "$told lines are understood"
}

@test 'names that no process has: no sign, no leading zero, no thread' {
	local name thread
	for name in 0 00 +1 -1 01 1x 999999999 4194304 18446744073709551617; do
		[[ ! -e $local/$name ]] || fail "$name is there"
	done
	[[ -d $local/1 ]]
	start_program zombie-leader 1
	retry_until 5 said_lines 1
	for thread in $(ls "/proc/$PID/task"); do
		[[ -d /proc/$thread ]]
		[[ $thread == "$PID" || ! -e $local/$thread ]] || fail "a thread, $thread, has a directory"
	done
}
