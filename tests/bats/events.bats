#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The stream of events: blocking, poll, signals, several readers, numbers without gaps, and drops that are counted.
load helpers
load programs

setup_file() {
	build_programs storm
}

setup() {
	setup_memfs
	events=$MNT/local/events
}

teardown() {
	teardown_memfs
}

# Python for what a shell cannot say; it has `node`, the directory of the node.
with_events() {
	run timeout 60 python3 -c "
import errno, os, select, signal, subprocess, sys, threading, time
node = sys.argv[1]
def open_events(flags=0):
    return os.open(node + '/events', os.O_RDONLY | flags)
def lines_until(fd, wanted, patience=20):
    '''Lines up to the first for which wanted(fields) holds.'''
    text, lines, deadline = b'', [], time.monotonic() + patience
    while time.monotonic() < deadline:
        if not select.select([fd], [], [], 1)[0]:
            continue
        text += os.read(fd, 65536)
        *whole, text = text.split(b'\n')
        for line in whole:
            lines.append(line.split(b'\t'))
            if wanted(lines[-1]):
                return lines
    sys.exit('not in time; the last of %d lines: %r' % (len(lines), lines[-3:]))
$(cat)
print('fine')
" "$MNT/local"
	assert_success
	assert_output fine
}

@test 'a blocking reader gets the start and the exit of a new process' {
	with_events <<'PYTHON'
fd = open_events()
child = subprocess.Popen(["sleep", "1000"])
pid = str(child.pid).encode()
born = lines_until(fd, lambda line: line[2] == b"start" and line[3] == pid)[-1]
assert len(born) == 5 and abs(float(born[1]) - time.time()) < 30, born
child.kill()
child.wait()
died = lines_until(fd, lambda line: line[2] == b"exit" and line[3] == pid)[-1]
assert int(died[0]) > int(born[0]) and float(died[1]) >= float(born[1]), (born, died)
PYTHON
}

@test 'read waits until there is news, and wakes then' {
	with_events <<'PYTHON'
fd = open_events()
got = []
reader = threading.Thread(target=lambda: got.append(os.read(fd, 65536)), daemon=True)
reader.start()
subprocess.run(["true"])
reader.join(20)
assert got and got[0].endswith(b"\n") and all(len(line.split(b"\t")) == 5 for line in got[0].splitlines()), got
PYTHON
}

@test 'a new reader gets new events only' {
	with_events <<'PYTHON'
first = open_events()
pids = [subprocess.Popen(["true"]) for _ in range(5)]
last = str(pids[-1].pid).encode()
for one in pids:
    one.wait()
before = lines_until(first, lambda line: line[2] == b"exit" and line[3] == last)
second = open_events()
subprocess.run(["true"])
text = os.read(second, 65536)
assert int(text.split(b"\t")[0]) > int(before[-1][0]), (before[-1], text)
PYTHON
}

@test 'poll says when there is news, O_NONBLOCK gives EAGAIN when there is none' {
	with_events <<'PYTHON'
fd = open_events(os.O_NONBLOCK)
# Others start processes at any time: at the end of what there is comes EAGAIN.
while True:
    try:
        os.read(fd, 65536)
    except BlockingIOError as error:
        assert error.errno == errno.EAGAIN
        break
poll = select.poll()
poll.register(fd, select.POLLIN)
subprocess.Popen(["true"]).wait()
assert poll.poll(20000) == [(fd, select.POLLIN)]
assert os.read(fd, 65536)
# A poller that sleeps is woken.
while select.select([fd], [], [], 0)[0]:
    os.read(fd, 65536)
threading.Timer(0.2, lambda: subprocess.run(["true"])).start()
start = time.monotonic()
assert poll.poll(20000), "never woken"
assert time.monotonic() - start < 10
PYTHON
}

@test 'a signal interrupts a reader that waits' {
	with_events <<'PYTHON'
class Stop(Exception):
    pass
def stop(number, frame):
    raise Stop
signal.signal(signal.SIGALRM, stop)
fd, waited = open_events(), False
for attempt in range(100):
    # With nothing to read it waits; what others do meanwhile is read and tried again.
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        while True:
            os.read(fd, 65536)
    except Stop:
        waited = True
        break
assert waited
child = subprocess.Popen(["true"])
child.wait()
lines_until(fd, lambda line: line[3] == str(child.pid).encode())
PYTHON
}

@test 'it can be killed while it waits, and umount goes on' {
	start cat "$events"
	retry_until 5 sh -c "ls -l /proc/$STARTED/fd | grep -q events"
	kill -KILL "$STARTED"
	retry_until 5 sh -c "[ ! -e /proc/$STARTED ] || grep -q '^State:.Z' /proc/$STARTED/status"
	"$MEMFS" umount "$MNT"
	[[ ! -e $RUN ]]
}

@test 'several readers get the same lines, without gaps' {
	with_events <<'PYTHON'
fds = [open_events() for _ in range(4)]
children = [subprocess.Popen(["true"]) for _ in range(100)]
for child in children:
    child.wait()
last = str(children[-1].pid).encode()
seen = [lines_until(fd, lambda line: line[2] == b"exit" and line[3] == last) for fd in fds]
for lines in seen:
    numbers = [int(line[0]) for line in lines]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), "a gap"
    assert all(line[2] != b"dropped" for line in lines)
    told = {(line[2], line[3]) for line in lines}
    for child in children:
        assert (b"start", str(child.pid).encode()) in told and (b"exit", str(child.pid).encode()) in told
start = max(lines[0][0] for lines in seen)
same = [[line for line in lines if int(line[0]) >= int(start)] for lines in seen]
assert all(lines == same[0] for lines in same), "readers differ"
PYTHON
}

@test 'small reads get the same bytes' {
	with_events <<'PYTHON'
large, small = open_events(), open_events()
children = [subprocess.Popen(["true"]) for _ in range(3)]
for child in children:
    child.wait()
last = str(children[-1].pid).encode()
lines = lines_until(large, lambda line: line[2] == b"exit" and line[3] == last)
first, text = lines[0][0] + b"\t", b""
deadline = time.monotonic() + 20
while not (b"\texit\t" + last + b"\t") in text or not text.endswith(b"\n"):
    assert time.monotonic() < deadline
    text += os.read(small, 7)
wanted = b"".join(b"\t".join(line) + b"\n" for line in lines)
assert text[text.index(first):].startswith(wanted[wanted.index(first):]) or wanted in text, (wanted, text)
PYTHON
}

@test 'a reader that is too slow is told how much it lost, and goes on' {
	local count=$((10000 / ${MEMFS_TEST_SCALE:-1}))
	run -0 timeout 100 python3 - "$MNT/local/events" "$BATS_FILE_TMPDIR/storm" "$count" <<'PYTHON'
import os, subprocess, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
subprocess.run([sys.argv[2], sys.argv[3]], stdout=subprocess.DEVNULL, check=True)
marker = subprocess.Popen(["true"])
marker.wait()
wanted = b"\texit\t%d\t" % marker.pid
text = b""
while wanted not in text:
    text += os.read(fd, 65536)
lines = [line.split(b"\t") for line in text.splitlines()]
assert all(len(line) == 5 for line in lines)
expected, dropped = int(lines[0][0]), 0
for at, line in enumerate(lines):
    number = int(line[0])
    if line[2] == b"dropped":
        # Its number is that of the last line lost; its text begins with how many were.
        lost = int(line[4].split()[0])
        if at:
            assert number == expected + lost - 1, (line, expected)
        dropped += lost
        expected = number + 1
        continue
    assert number == expected, (line, expected)
    expected += 1
told = sum(line[2] != b"dropped" for line in lines)
assert told + dropped >= 2 * int(sys.argv[3]) * 0.5, (told, dropped)
print(dropped > 0 or int(sys.argv[3]) < 10000)
PYTHON
	assert_output True
}

@test 'it cannot be seeked in, and its size is none' {
	with_events <<'PYTHON'
fd = open_events()
try:
    os.lseek(fd, 10, os.SEEK_SET)
    sys.exit("it seeks")
except OSError as error:
    assert error.errno == errno.ESPIPE
assert os.fstat(fd).st_size == 0
PYTHON
}

@test 'a setting that changed is an event' {
	with_events <<'PYTHON'
fd = open_events()
with open(node + "/config", "w") as config:
    config.write("history_days 9\n")
line = lines_until(fd, lambda line: line[2] == b"config")[-1]
assert b"history_days" in line[4], line
PYTHON
}
