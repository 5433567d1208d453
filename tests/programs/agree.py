#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""agree.py NODE_DIR: every number of every process, and of the node, is what /proc says at the same moment.

/proc is read before and after the mount. Where both agree the mount must say the same, where they differ it must
lie between. A number may be older than the reading before it by the freshness bound, so what does not fit is tried
again, and the readings of the last WINDOW_S count as before; what does not fit for ten seconds is an error. A process
that ends meanwhile must give ENOENT or ESRCH.
"""
import os
import sys
import time

PAGE = os.sysconf("SC_PAGESIZE")
PATIENCE_S = 10
WINDOW_S = 0.4  # freshness_ms is 100; the readings themselves take time on a busy machine
GONE = (FileNotFoundError, ProcessLookupError)

# mounted name: key of /proc/PID/status, in kB
STATUS = {"rss": "VmRSS", "vms": "VmSize", "text": "VmExe", "anon": "RssAnon", "file": "RssFile", "shmem": "RssShmem",
          "swap": "VmSwap", "lib": "VmLib"}
MEMINFO = {"total": "MemTotal", "available": "MemAvailable", "free": "MemFree", "active": "Active", "inactive": "Inactive",
           "buffers": "Buffers", "cached": "Cached", "shared": "Shmem", "swap_total": "SwapTotal", "swap_free": "SwapFree",
           "dirty": "Dirty", "slab": "Slab", "anon": "AnonPages"}


def read(path):
    with open(path, "rb", buffering=0) as file:
        return file.read()


def keys(text):
    """Lines `Key:   value kB` as a dictionary of first words."""
    pairs = (line.split(b":", 1) for line in text.splitlines() if b":" in line)
    return {key.decode(): value.split() for key, value in pairs}


def kernel_node():
    info = {key: int(value[0]) * 1024 for key, value in keys(read("/proc/meminfo")).items()}
    numbers = {name: info[key] for name, key in MEMINFO.items()}
    numbers["used"] = info["MemTotal"] - info["MemAvailable"]
    numbers["swap_used"] = info["SwapTotal"] - info["SwapFree"]
    return numbers


def living_thread(pid):
    """Where the numbers of a process stand: with a thread that lives where its first one ended."""
    for task in sorted(os.listdir(f"/proc/{pid}/task"), key=int):
        if keys(read(f"/proc/{pid}/task/{task}/status"))["State"][0] not in (b"Z", b"X"):
            return f"/proc/{pid}/task/{task}"
    return f"/proc/{pid}"


def kernel_process(pid):
    own = keys(read(f"/proc/{pid}/status"))
    place = f"/proc/{pid}"
    if own["State"][0] == b"Z" and int(own["Threads"][0]) > 1:
        place = living_thread(pid)
    status = keys(read(f"{place}/status"))
    statm = read(f"{place}/statm")
    stat = read(f"/proc/{pid}/stat").rsplit(b") ", 1)[1].split()
    numbers = {
        "state": stat[0], "ppid": int(stat[1]), "threads": int(stat[17]), "uid": int(own["Uid"][0]), "gid": int(own["Gid"][0]),
        "comm": read(f"/proc/{pid}/comm"), "cmdline": read(f"{place}/cmdline"), "statm": statm,
    }
    if "VmRSS" in status:
        numbers.update({name: int(status[key][0]) * 1024 for name, key in STATUS.items() if key in status})
        numbers["shared"] = int(statm.split()[2]) * PAGE
        numbers["data"] = int(statm.split()[5]) * PAGE
    return numbers


def mounted(directory, names):
    numbers = {}
    for name in names:
        text = read(f"{directory}/{name}")
        if name in ("comm", "cmdline", "statm"):
            numbers[name] = text
        elif name == "state":
            numbers[name] = text.rstrip(b"\n")
        else:
            numbers[name] = int(text)
    return numbers


def fits(readings, value):
    if isinstance(value, int):
        return min(readings) <= value <= max(readings)
    return value in readings


def disagreement(kernel, past, directory, names_missing):
    """What does not fit, or None; adds the readings to the past. Raises GONE."""
    past.append((time.monotonic(), kernel()))
    listed = set(os.listdir(directory))
    here = mounted(directory, [name for name in past[-1][1] if name in listed])
    past.append((time.monotonic(), kernel()))
    while past[0][0] < past[-1][0] - WINDOW_S and len(past) > 2:
        del past[0]
    before, after = past[-2][1], past[-1][1]
    for name in names_missing:
        if name in listed and name not in before and name not in after:
            return f"{directory}/{name} is there, though the kernel has no such number"
    for name in before:
        if name not in after:
            continue
        if name not in here:
            return f"{directory}/{name} is not there"
        readings = [numbers[name] for _, numbers in past if name in numbers]
        if not fits(readings, here[name]):
            return f"{directory}/{name} is {here[name]!r}; /proc said {readings!r}"
    return None


def check(kernel, directory, names_missing=()):
    deadline, past = time.monotonic() + PATIENCE_S, []
    while True:
        wrong = disagreement(kernel, past, directory, names_missing)
        if not wrong:
            return 0
        if time.monotonic() > deadline:
            print(wrong)
            return 1
        time.sleep(0.005)


def main():
    node = sys.argv[1]
    wrong, checked, without_memory = check(kernel_node, node), 0, 0
    memory = [*STATUS, "shared", "data"]
    for pid in sorted(int(name) for name in os.listdir("/proc") if name.isdigit()):
        try:
            # Serve's own memory changes with each of its answers, as this program's does with each question.
            if pid == os.getpid() or read(f"/proc/{pid}/comm") == b"memfs-serve\n":
                continue
            wrong += check(lambda: kernel_process(pid), f"{node}/{pid}", memory)
            checked += 1
            without_memory += b"VmRSS" not in read(f"/proc/{pid}/status")
        except GONE:
            pass
    print(f"{checked} processes, {without_memory} of them without memory, {wrong} wrong")
    return wrong != 0


sys.exit(main())
