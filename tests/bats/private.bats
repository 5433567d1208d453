#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The files of a process that are for its owner and root: who that is, is asked at each open.
load helpers
load programs

PRIVATE=(exe regions regions.json smaps_rollup numa_maps)

setup_file() {
	build_programs owned
	chmod 755 "$BATS_FILE_TMPDIR" "$BATS_FILE_TMPDIR/owned"
	cp "$BATS_FILE_TMPDIR/owned" "$BATS_FILE_TMPDIR/owned-suid"
	chmod 4755 "$BATS_FILE_TMPDIR/owned-suid"
}

teardown() {
	exec 8>&- 9>&-
	teardown_memfs
}

# by UID CMD... Root's PATH may lead where others may not go.
by() {
	local uid=$1
	shift
	setpriv --reuid="$uid" --regid="$uid" --clear-groups env PATH=/usr/bin:/bin "$@"
}

# begin_owned: a process that obeys what is written to fd 8; sets PID. The first thing it does is to become user 4001's.
begin_owned() {
	mkfifo "$BATS_TEST_TMPDIR/orders"
	SAID=$BATS_TEST_TMPDIR/said
	"$BATS_FILE_TMPDIR/owned" 4001 <"$BATS_TEST_TMPDIR/orders" >"$SAID" 3>&- &
	PID=$!
	end_later "$PID"
	exec 8>"$BATS_TEST_TMPDIR/orders"
	retry_until 5 said_lines 1
	order user
	# Root's change of ids makes it one that may not be dumped.
	order show
}

# order LINE: and waits until it is obeyed.
order() {
	local n
	n=$(wc -l <"$SAID")
	echo "$1" >&8
	retry_until 5 said_lines $((n + 1))
}

# reads UID [NAME...]: all these files are there for the user, and say something.
reads() {
	local uid=$1 name
	shift
	(($#)) || set -- "${PRIVATE[@]}"
	for name; do
		[[ -n $(by "$uid" head -c 100 "$MNT/local/$PID/$name") ]] || fail "user $uid has no $name"
	done
}

refused() {
	local uid=$1 name
	shift
	(($#)) || set -- "${PRIVATE[@]}"
	for name; do
		run by "$uid" cat "$MNT/local/$PID/$name"
		assert_failure
		assert_output --partial 'Permission denied'
		# Nor how much it would be.
		assert_equal "$name $(by "$uid" stat -L -c %s "$MNT/local/$PID/$name")" "$name 0"
	done
}

@test 'private files are for the owner and root, not for others' {
	local options name
	for options in log_level=1 single; do
		setup_memfs_at "$options" "$options"
		rm -f "$BATS_TEST_TMPDIR/orders"
		begin_owned
		refused 4002
		reads 4001
		reads 0
		refused 4002
		for name in exe regions smaps_rollup; do
			assert_equal "$(stat -L -c '%a %u' "$MNT/local/$PID/$name")" '400 4001'
		done
		assert_equal "$(stat -L -c '%a %u' "$MNT/local/$PID/numa_maps")" '444 4001'
		# What tells no addresses is for all.
		[[ $(by 4002 head -n 1 "$MNT/local/$PID/numa") == $'node\tanon\tfile' ]]
		exec 8>&-
		wait "$PID" || true
	done
	MNT=$BATS_TEST_TMPDIR/log_level=1/mnt
}

@test 'who may not be dumped is root'\''s' {
	setup_memfs
	begin_owned
	reads 4001
	order hide
	assert_equal "$(stat -L -c %u "$MNT/local/$PID/regions")" 0
	refused 4001
	reads 0
	order show
	reads 4001
}

@test 'a process that runs a setuid program is root'\''s from then on, also to those who had its files open' {
	setup_memfs
	begin_owned
	reads 4001
	exec 9< <(exec setpriv --reuid=4001 --regid=4001 --clear-groups cat "$MNT/local/$PID/exe")
	assert_equal "$(cat <&9)" "$BATS_FILE_TMPDIR/owned"
	exec 9>&-
	order "exec $BATS_FILE_TMPDIR/owned-suid"
	refused 4001
	reads 0
	run by 4001 sh -c "echo reset >'$MNT/local/$PID/peak'"
	assert_failure
	# And back.
	order user
	order "exec $BATS_FILE_TMPDIR/owned"
	reads 4001
	refused 4002
}

@test 'what is kept open from before shows what was, and brings nothing of what came after' {
	local options
	for options in log_level=1 single; do
		setup_memfs_at "$options" "$options"
		rm -f "$BATS_TEST_TMPDIR/orders"
		begin_owned
		run -0 python3 - "$MNT/local/$PID" "$BATS_FILE_TMPDIR/owned-suid" "$SAID" "$BATS_TEST_TMPDIR/out" <<'PYTHON'
import errno, mmap, os, signal, sys, time
folder, program, said, out = sys.argv[1:]
def refused(act, *codes):
    try:
        act()
    except OSError as error:
        assert error.errno in codes, error
    else:
        raise AssertionError("not refused")
sink = os.open(out, os.O_RDWR | os.O_CREAT)
def spliced(fd):
    return os.sendfile(sink, fd, 0, 65536)
def mapped(fd):
    """What a private mapping brings: its first byte, or a SIGBUS."""
    child = os.fork()
    if not child:
        signal.signal(signal.SIGBUS, signal.SIG_DFL)
        try:
            page = mmap.mmap(fd, 4096, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)
            os._exit(0 if page[0] >= 0 else 1)
        except (OSError, ValueError):
            os._exit(7)
    status = os.waitpid(child, 0)[1]
    assert status == 7 << 8 or os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGBUS, status
names = "exe", "regions", "smaps_rollup", "numa_maps", "regions.json"
os.seteuid(4001)
early = {name: os.open(f"{folder}/{name}", os.O_RDONLY) for name in names}
before = {name: os.pread(fd, 1 << 20, 0) for name, fd in early.items()}
lines = open(said).read().count("\n")
os.write(8, f"exec {program}\n".encode())
while open(said).read().count("\n") == lines:
    time.sleep(0.01)
os.seteuid(0)
late = {name: os.open(f"{folder}/{name}", os.O_RDONLY) for name in names}
for name in names:
    now = os.pread(late[name], 1 << 20, 0)
    assert now and (now != before[name] or name == "numa_maps"), name
    # No way of reading leaves anything in pages, not root's either.
    refused(lambda: spliced(late[name]), errno.EINVAL)
    mapped(late[name])
os.seteuid(4001)
for name in names:
    assert os.pread(early[name], 1 << 20, 0) == before[name], name
    refused(lambda: spliced(early[name]), errno.EINVAL)
    mapped(early[name])
    # To open what is open is to open.
    refused(lambda: os.open(f"/proc/self/fd/{early[name]}", os.O_RDONLY), errno.EACCES)
    refused(lambda: os.open(f"{folder}/{name}", os.O_RDONLY), errno.EACCES)
PYTHON
		exec 8>&-
		wait "$PID" || true
	done
	MNT=$BATS_TEST_TMPDIR/log_level=1/mnt
}

# A dozen times a second between its owner's and root's: what is read is never of a moment when it was another's.
@test 'a process that runs setuid programs again and again shows its owner nothing of them' {
	setup_memfs
	begin_owned
	run -0 python3 - "$MNT/local/$PID" "$BATS_FILE_TMPDIR" "$SAID" <<'PYTHON'
import errno, os, sys, threading, time
folder, programs, said = sys.argv[1:]
over = False
def flip():
    lines = open(said).read().count("\n")
    for round in range(60):
        for order in f"exec {programs}/owned-suid", "user", f"exec {programs}/owned":
            os.write(8, (order + "\n").encode())
            lines += 1
            while open(said).read().count("\n") < lines:
                time.sleep(0.0005)
    global over
    over = True
flipper = threading.Thread(target=flip)
flipper.start()
os.seteuid(4001)
seen = refusals = 0
while not over:
    for name in "regions", "numa_maps":
        try:
            text = open(f"{folder}/{name}").read()
        except OSError as error:
            assert error.errno == errno.EACCES, error
            refusals += 1
            continue
        # Nor is it cut where one program took the place of another.
        assert "owned-suid" not in text and ("[stack]" in text or " stack" in text), text
        seen += 1
flipper.join()
print(seen, "read", refusals, "refused")
assert seen and refusals
PYTHON
}

@test 'peak is reset by the owner and by root, by nothing but reset, and for good' {
	setup_memfs
	local peak word
	start setpriv --reuid=4001 --regid=4001 --clear-groups /usr/bin/python3 -c '
import mmap, time
area = mmap.mmap(-1, 64 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
area.write(b"x" * (64 << 20))
area.close()
print("ready", flush=True)
time.sleep(1000)' >"$BATS_TEST_TMPDIR/ready"
	retry_until 10 test -s "$BATS_TEST_TMPDIR/ready"
	peak=$MNT/local/$STARTED/peak
	assert_equal "$(cat "$peak")" $(($(field "/proc/$STARTED/status" VmHWM: | cut -d' ' -f1) * 1024))
	[[ $(cat "$peak") -ge $((64 << 20)) ]]
	assert_equal "$(stat -c '%a %u' "$peak")" '644 4001'
	run by 4002 sh -c "echo reset >'$peak'"
	assert_failure
	assert_output --partial 'Permission denied'
	for word in '' 0 5 Reset 'reset now' $'reset\nreset' resetx; do
		# One write, whatever the lines.
		run bash -c 'echo "$1" | dd of="$0" bs=100 conv=notrunc status=none' "$peak" "$word"
		assert_failure
		assert_output --partial 'Invalid argument'
	done
	grep -q '^reason peak takes `reset`' "$MNT/why"
	[[ $(cat "$peak") -ge $((64 << 20)) ]]
	by 4001 sh -c "echo reset >'$peak'"
	[[ $(cat "$peak") -lt $((64 << 20)) ]]
	assert_equal "$(cat "$peak")" $(($(field "/proc/$STARTED/status" VmHWM: | cut -d' ' -f1) * 1024))
	printf reset >"$peak"
	# An open descriptor is no right: who writes is asked at the write.
	run -0 python3 - "$peak" <<'PYTHON'
import errno, os, sys
peak = os.open(sys.argv[1], os.O_WRONLY)
os.write(peak, b"reset\n")
os.seteuid(4002)
try:
    os.write(peak, b"reset\n")
    raise AssertionError("not refused")
except OSError as error:
    assert error.errno == errno.EACCES, error
PYTHON
	grep -q 'belongs to user 4001' "$MNT/local/errors"
}

@test 'the collector has its rights back, and can be looked into by the next supervisor' {
	setup_memfs
	begin_owned
	local i task status pid
	pid=$(collector_pid)
	for i in {1..30}; do
		reads 4001 exe regions
		reads 0 exe
		refused 4002 exe
	done
	for task in "/proc/$pid"/task/*; do
		for status in Uid Gid CapEff CapPrm; do
			assert_equal "$(field "$task/status" $status:)" "$(field "/proc/$pid/status" $status:)"
		done
	done
	assert_equal "$(field "/proc/$pid/status" CapEff:)" "$(field "/proc/$pid/status" CapPrm:)"
	assert_equal "$(field "/proc/$pid/status" Uid:)" '0 0 0 0'
	# A process that may not be dumped has its environment from nobody without CAP_SYS_PTRACE.
	need_kernel 'no capability to drop' setpriv --bounding-set=-sys_ptrace --inh-caps=-sys_ptrace true
	setpriv --bounding-set=-sys_ptrace --inh-caps=-sys_ptrace cat "/proc/$pid/environ" >/dev/null
}

@test 'an ordinary user'\''s own mount shows the private files of their processes, and no others' {
	local folder=$BATS_TEST_TMPDIR/user
	mkdir -p "$folder/mnt" "$folder/state"
	cat >"$folder/inside" <<'SH'
set -eu
MEMFS=$1 folder=$2
"$MEMFS" mount -o "state=$folder/state,run=$folder/run,node=user" "$folder/mnt"
trap 'cd /; kill $(jobs -p) 2>/dev/null || :; "$MEMFS" umount "$folder/mnt"' EXIT
cd "$folder/mnt/local"
for name in exe regions smaps_rollup numa_maps numa; do
	[ -s "$folder/mnt/self/$name" ] && [ -n "$(cat "$folder/mnt/self/$name")" ]
done
sleep 1000 >/dev/null &
until [ "$(cat "$!/comm")" = sleep ]; do :; done
[ "$(cat "$!/exe")" = "$(readlink /proc/$!/exe)" ]
echo reset >"$!/peak"
kill "$!"
wait "$!" || true
for name in exe regions smaps_rollup numa_maps numa; do
	if text=$(cat "1/$name" 2>&1); then echo "$name of root's: $text"; exit 1; fi
	case $text in *'Permission denied'*) ;; *) echo "$text"; exit 1 ;; esac
done
if echo reset 2>/dev/null >1/peak; then exit 1; fi
echo fine
SH
	chown -R nobody:nogroup "$folder"
	run as_user timeout 60 bash "$folder/inside" "$(memfs_for_users)" "$folder"
	assert_success
	assert_line fine
}
