#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# What was found by attacking memfs: each attack, and that it holds.
load helpers
load programs

teardown() {
	cd "$TOP"
	teardown_memfs
}

@test 'a write that the kernel cuts is refused, never half of a number set' {
	setup_memfs
	run -0 python3 - "$MNT/local/config" "$BATS_TEST_TMPDIR/pages" <<'PYTHON'
import errno, mmap, os, sys
config = os.open(sys.argv[1], os.O_RDWR)
def freshness():
    return next(line.split()[1] for line in open(sys.argv[1]) if line.startswith("freshness_ms"))
def write(act):
    try:
        return act()
    except OSError as error:
        assert error.errno == errno.EINVAL, error
        return 0
line = b"freshness_ms 400\n"
# Across two pages of the file: what a shell comes to that writes many times to one descriptor.
for at in range(4096 - len(line) - 1, 4097):
    os.pwrite(config, b"freshness_ms 100\n", 0)
    taken = write(lambda: os.pwrite(config, line, at))
    assert (taken, freshness()) in ((0, "100"), (len(line), "400")), (at, taken, freshness())
# Across two pages of the writer's memory, of which the second is not present.
pages = os.open(sys.argv[2], os.O_RDWR | os.O_CREAT)
os.write(pages, b"\n" * (4096 - len(line) + 2) + line + b"\n" * 8192)
memory = mmap.mmap(pages, 8192, prot=mmap.PROT_READ)
for _ in range(5):
    os.pwrite(config, b"freshness_ms 100\n", 0)
    memory[0]
    memory.madvise(mmap.MADV_DONTNEED, 4096, 4096)
    begin = 4096 - len(line) + 2
    taken = write(lambda: os.pwrite(config, memoryview(memory)[begin:begin + len(line)], 0))
    assert (taken, freshness()) in ((0, "100"), (len(line), "400")), (taken, freshness())
PYTHON
	run bash -c 'printf "freshness_ms 40" >"$1"' bash "$MNT/local/config"
	assert_failure
	assert_output --partial 'Invalid argument'
	grep -q 'reason .*ends with a newline' "$MNT/why"
}
