#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""dump.py MOUNT RUN: every path of a mount with its type, mode and content, for golden.sh.

What a run of memfs itself brings in (its id, ages, rates, counts of its own work) is shown as `*`; of histories, events
and errors only the first line counts.
"""
import errno
import os
import re
import stat
import sys

MOUNT, RUN = sys.argv[1:]
OWN_VALUE = {"id", "hostname", "version"}
OWN_KEYS = {"status", "rate"}  # keys stay
FIRST_LINE = {"errors", "why"}


def content(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        return f"({errno.errorcode[error.errno]})\n".encode()


def mask_keys(text, is_own):
    return re.sub(rb"(?m)^(\S+)( +)\S+$", lambda line: line[1] + b" *" if is_own(line[1]) else line[0], text)


def mask_rates(table):
    """Columns named rate_*: unknown at first, 0 later."""
    rows = [line.split(b"\t") for line in table.splitlines()]
    own = [at for at, name in enumerate(rows[0]) if name.startswith(b"rate_")]
    for row in rows[1:]:
        for at in own:
            row[at] = b"*"
    return b"".join(b"\t".join(row) + b"\n" for row in rows)


def shown(relative, path):
    name = os.path.basename(relative)
    text = content(path)
    if name in OWN_VALUE:
        return b"*\n"
    if name in OWN_KEYS:
        return re.sub(rb"(?m) +\S+$", b" *", text)
    if name in FIRST_LINE or "/history/" in relative and name != "README":
        return text.split(b"\n")[0] + b"\n"
    if name == "stat":
        return mask_keys(text, lambda key: key.endswith(b"_last") or key == b"pss_count")
    if name == "processes" or "/top/" in relative:
        return mask_rates(text)
    return text


def put(line):
    """Lines of printable ASCII, whatever processes chose."""
    print("".join(chr(byte) if 0x20 <= byte < 0x7f else f"\\x{byte:02x}" for byte in line))


def masked(relative):
    """Uuids, which a run of memfs makes."""
    return re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UUID", relative)


def order(name):
    return (name.isdigit(), int(name) if name.isdigit() else 0, os.fsencode(masked(name)))


def walk(path, relative):
    info = os.lstat(path)
    kind = {stat.S_IFDIR: "dir", stat.S_IFLNK: "link", stat.S_IFREG: "file"}[stat.S_IFMT(info.st_mode)]
    head = f"== {masked(relative)} {kind} {stat.S_IMODE(info.st_mode):04o}"
    if kind == "link":
        target = os.readlink(path)
        head += " -> " + target.replace(MOUNT, "MOUNT").replace(RUN, "RUN")
        if not target.startswith(RUN) or relative == "self":
            put(os.fsencode(head))
            return
        head += f" {stat.S_IMODE(os.stat(path).st_mode):04o}"
    put(os.fsencode(head))
    if kind == "dir":
        for name in sorted(os.listdir(path), key=order):
            walk(f"{path}/{name}", f"{relative}/{name}" if relative else name)
        return
    if os.path.basename(relative) == "events":
        return
    text = shown(relative, path)
    for line in text.split(b"\n")[:-1]:
        put(b"| " + line if line else b"|")
    if not text.endswith(b"\n"):
        put(b"| " + text.split(b"\n")[-1] + b" (no newline)")


walk(MOUNT, "")
