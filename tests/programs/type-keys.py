#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""type-keys.py SECONDS PROGRAM... -- KEYS WANTED [KEYS WANTED]...: a person at a terminal.

Runs PROGRAM on a terminal of its own; types KEYS (escapes as in C, so \\t is Tab) and waits until WANTED was shown since,
each in turn. Status 1, and what was shown, where WANTED is not there after SECONDS.
"""
import os
import pty
import select
import signal
import sys
import time

limit, words = float(sys.argv[1]), sys.argv[2:]
at = words.index("--")
program, turns = words[:at], words[at + 1:]
pid, terminal = pty.fork()
if not pid:
    os.execvp(program[0], program)
status = 0
for keys, wanted in zip(turns[::2], turns[1::2]):
    os.write(terminal, keys.encode().decode("unicode_escape").encode())
    shown, deadline = b"", time.monotonic() + limit
    while wanted.encode() not in shown:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([terminal], [], [], left)[0]:
            print(f"after {keys!r} no {wanted!r} in: {shown!r}")
            status = 1
            break
        try:
            shown += os.read(terminal, 4096)
        except OSError:
            print(f"{program[0]} ended after {keys!r}: {shown!r}")
            status = 1
            break
    if status:
        break
os.kill(pid, signal.SIGKILL)
os.waitpid(pid, 0)
sys.exit(status)
