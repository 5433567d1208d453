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
pending = {}
def lines_until(fd, wanted, patience=20):
    '''Lines up to the first for which wanted(fields) holds; those after it are for the next call.'''
    text, lines, deadline = pending.pop(fd, b''), [], time.monotonic() + patience
    while time.monotonic() < deadline:
        while b'\n' in text:
            line, text = text.split(b'\n', 1)
            lines.append(line.split(b'\t'))
            if wanted(lines[-1]):
                pending[fd] = text
                return lines
        if select.select([fd], [], [], 1)[0]:
            text += os.read(fd, 65536)
    sys.exit('not in time; the last of %d lines: %r' % (len(lines), lines[-3:]))
def told(kind, child):
    return lambda line: line[2] == kind and line[3] == b'pid/%d' % child.pid
def begin():
    # Who ends before the collector has looked at it may go untold: these stay.
    return subprocess.Popen(['sleep', '1000'])
def end(*children):
    for child in children:
        child.kill()
    for child in children:
        child.wait()
$(cat)
print('fine')
" "$MNT/local"
	assert_success
	assert_output fine
}

@test 'a blocking reader gets the start and the exit of a new process' {
	with_events <<'PYTHON'
fd = open_events()
child = begin()
born = lines_until(fd, told(b"start", child))[-1]
assert len(born) == 5 and abs(float(born[1]) - time.time()) < 30, born
end(child)
died = lines_until(fd, told(b"exit", child))[-1]
assert int(died[0]) > int(born[0]) and float(died[1]) >= float(born[1]), (born, died)
PYTHON
}

@test 'read waits until there is news, and wakes then' {
	with_events <<'PYTHON'
fd = open_events()
got = []
reader = threading.Thread(target=lambda: got.append(os.read(fd, 65536)), daemon=True)
reader.start()
child = begin()
reader.join(20)
assert got and got[0].endswith(b"\n") and all(len(line.split(b"\t")) == 5 for line in got[0].splitlines()), got
end(child)
PYTHON
}

@test 'a new reader gets new events only' {
	with_events <<'PYTHON'
first = open_events()
child = begin()
before = lines_until(first, told(b"start", child))
second = open_events()
end(child)
text = os.read(second, 65536)
assert int(text.split(b"\t")[0]) > int(before[-1][0]), (before[-1], text)
PYTHON
}

@test 'poll says when there is news, O_NONBLOCK gives EAGAIN when there is none' {
	with_events <<'PYTHON'
fd = open_events(os.O_NONBLOCK)
def drain():
    # Others start processes at any time: at the end of what there is comes EAGAIN.
    while True:
        try:
            os.read(fd, 65536)
        except BlockingIOError as error:
            assert error.errno == errno.EAGAIN
            return
drain()
poll = select.poll()
poll.register(fd, select.POLLIN)
children = [begin()]
assert poll.poll(20000) == [(fd, select.POLLIN)]
assert os.read(fd, 65536)
# A poller that sleeps is woken.
drain()
threading.Timer(0.2, lambda: children.append(begin())).start()
begun = time.monotonic()
assert poll.poll(20000), "never woken"
assert time.monotonic() - begun < 10
while len(children) < 2:
    time.sleep(0.01)
end(*children)
PYTHON
}

@test 'a signal interrupts a reader that waits' {
	with_events <<'PYTHON'
class Stop(Exception):
    pass
def stop(number, frame):
    raise Stop
signal.signal(signal.SIGALRM, stop)
fd = open_events()
signal.setitimer(signal.ITIMER_REAL, 0.2)
try:
    while True:
        os.read(fd, 65536)
except Stop:
    pass
child = begin()
lines_until(fd, told(b"start", child))
end(child)
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
children = [begin() for _ in range(50)]
seen = [lines_until(fd, told(b"start", children[-1])) for fd in fds]
end(*children)
def all_ended():
    # Ends are told of in any order.
    ending = {b"pid/%d" % child.pid for child in children}
    def ended(line):
        if line[2] == b"exit":
            ending.discard(line[3])
        return not ending
    return ended
for fd, lines in zip(fds, seen):
    lines += lines_until(fd, all_ended())
    numbers = [int(line[0]) for line in lines]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), "a gap"
    starts = {line[3] for line in lines if line[2] == b"start"}
    assert starts >= {b"pid/%d" % child.pid for child in children}
first, last = max(int(lines[0][0]) for lines in seen), min(int(lines[-1][0]) for lines in seen)
same = [[line for line in lines if first <= int(line[0]) <= last] for lines in seen]
assert all(lines == same[0] for lines in same), "readers differ"
PYTHON
}

@test 'small reads get the same bytes' {
	with_events <<'PYTHON'
large, small = open_events(), open_events()
child = begin()
lines = lines_until(large, told(b"start", child))
end(child)
lines += lines_until(large, told(b"exit", child))
wanted = b"\n".join(b"\t".join(line) for line in lines) + b"\n"
text, deadline = b"", time.monotonic() + 20
while (b"\texit\tpid/%d\t" % child.pid) not in text or not text.endswith(b"\n"):
    assert time.monotonic() < deadline
    text += os.read(small, 7)
assert text.startswith(wanted[wanted.index(text[:text.index(b"\n")]):]), (wanted, text)
PYTHON
}

@test 'a reader that is too slow is told how much it lost, and goes on' {
	echo 'sample_interval_ms 100' >"$MNT/local/config"
	run timeout 150 python3 - "$MNT/local/events" "$BATS_FILE_TMPDIR/storm" "$MNT/status" <<'PYTHON'
import os, subprocess, sys, time
path, storm, status = sys.argv[1:]
RING = 8192  # no board holds more news
def newest():
    fd = os.open(path, os.O_RDONLY)
    child = subprocess.Popen(["sleep", "1000"])
    number = int(os.read(fd, 65536).split(b"\t")[0])
    child.kill()
    child.wait()
    os.close(fd)
    return number
def generation():
    return next(int(line.split()[1]) for line in open(status) if line.startswith("generation"))
def blow():
    # They stay for more than a sweep: without the proc connector who lives shorter is never met.
    with subprocess.Popen([storm, "2500", "hold"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as crowd:
        assert crowd.stdout.readline() == b"held\n"
        ticks = generation()
        while generation() < ticks + 2:
            time.sleep(0.05)
slow = os.open(path, os.O_RDONLY)
begun = newest()
for storms in range(50):
    if newest() > begun + RING:
        break
    blow()
assert newest() > begun + RING, "no storm is large enough"
end, text = newest(), b""
while not text or int(text.splitlines()[-1].split(b"\t")[0]) < end:
    text += os.read(slow, 65536)
lines = [line.split(b"\t") for line in text.splitlines()]
assert all(len(line) == 5 for line in lines)
drops, expected = 0, None
for line in lines:
    number = int(line[0])
    if line[2] == b"dropped" and b"overwritten" in line[4]:
        # It bears the number of the last line lost, and says how many were.
        lost = int(line[4].split()[0])
        assert lost > 0 and (expected is None or number == expected + lost - 1), (line, expected)
        drops += 1
    else:
        assert expected in (None, number), (line, expected)
    expected = number + 1
assert drops >= 1, "nothing was lost"
print("fine")
PYTHON
	assert_success
	assert_output fine
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

@test 'programs that read by lines do as docs/events.md says' {
	local command
	# Something happens all the time.
	start sh -c 'while :; do sleep 0.05; done'
	for command in 'head -1' 'grep -m1 start' 'sed 1q' "awk '{ print; exit }'" "mawk '{ print; exit }'" "tail -n +1 -f"; do
		[[ $command != mawk* ]] || command -v mawk >/dev/null || continue
		run timeout 20 bash -c "$command '$events' 2>/dev/null | { read -r line; echo \"\$line\"; }"
		assert_success
		assert_output --regexp $'^[0-9]+\t[0-9.]+\t(start|exit)\tpid/'
	done
	run -0 timeout 20 sh -c "while read -r line; do echo \"\$line\"; break; done <'$events'"
	assert_output --regexp $'^[0-9]+\t'
	run -1 timeout 20 tail -c +1 -f "$events"
	run -124 timeout 1 tail -f "$events"
	assert_output ''
}
