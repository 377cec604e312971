# SPDX-License-Identifier: MIT
"""Processes as /proc shows them. A process may disappear at any moment."""
import contextlib
import os

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


def read_file(path):
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def stat_fields(pid):
    """The fields of /proc/PID/stat from the state on; none when it is gone."""
    return read_file(f"/proc/{pid}/stat").rpartition(b")")[2].split()


def parent_of(pid):
    """0 for one that has ended: an orphan may then still wait for whoever adopted it."""
    fields = stat_fields(pid)
    return int(fields[1]) if fields and fields[0] not in (b"Z", b"X") else 0


def alive(pid):
    return bool(parent_of(pid))


def role_of(pid):
    """"worker" or "projector", None for a process that has no role."""
    parts = read_file(f"/proc/{pid}/environ").split(b"\0")
    return next((part[13:].decode() for part in parts if part.startswith(b"ENGAGED_ROLE=")), None)


def children(parent, role):
    """The pids of a supervisor's children of a role, in order."""
    mine = [int(pid) for pid in os.listdir("/proc") if pid.isdigit() and parent_of(pid) == parent]
    return sorted(pid for pid in mine if role_of(pid) == role)


def redis_pid(directory):
    """The embedded Redis of a data directory, also one that its supervisor left behind; None when there is none."""
    with contextlib.suppress(OSError, ValueError):
        pid = int(read_file(os.path.join(directory, "redis.pid")))
        if alive(pid) and os.readlink(f"/proc/{pid}/cwd") == os.path.realpath(directory):
            return pid
    return None


def cpu_seconds(pid):
    fields = stat_fields(pid)
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident_bytes(pid):
    return int(read_file(f"/proc/{pid}/statm").split()[1]) * PAGE


def descriptors(pid):
    """What each open descriptor of a process is."""
    names = []
    with contextlib.suppress(OSError):
        for number in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                names.append(os.readlink(f"/proc/{pid}/fd/{number}"))
    return names
