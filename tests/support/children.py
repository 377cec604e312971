# SPDX-License-Identifier: MIT
import os


def children_of(service, role):
    """Process ids of a service's children of that role ("worker", "projector")."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
                parent = int(file.read().rsplit(")", 1)[1].split()[1])
            with open(f"/proc/{pid}/environ", "rb") as file:
                if parent == service.process.pid and f"ENGAGED_ROLE={role}".encode() in file.read().split(b"\0"):
                    found.append(int(pid))
        except OSError:
            pass
    return found
