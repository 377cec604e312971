# SPDX-License-Identifier: MIT
"""Include cycles where a .c file and the header of its name are one module."""
import os
import re

from tree import files, read


def graph():
    arrows = {}
    for path in files(".c", ".h", under="src/"):
        mine = path[4:].rsplit(".", 1)[0]
        for included in re.findall(r'^#include "([^"]+\.h)"', read(path), re.M):
            if os.path.exists("src/" + included) and included[:-2] != mine:
                arrows.setdefault(mine, set()).add(included[:-2])
    return arrows


def reached(arrows, begin):
    seen, ahead = set(), [begin]
    while ahead:
        for following in arrows.get(ahead.pop(), set()) - seen:
            seen.add(following)
            ahead.append(following)
    return seen


def circles():
    """Each as the sorted names of its modules."""
    arrows = graph()
    reach = {module: reached(arrows, module) for module in arrows}
    return sorted({tuple(sorted(other for other in reach[module] if module in reach.get(other, ())))
                   for module in arrows if module in reach[module]})


def check_modules():
    found = circles()
    for circle in found:
        if circle not in STAY:
            yield f"include cycle of modules: {', '.join(circle)}"
    for circle in STAY:
        if circle not in found:
            yield f"tests/check/modules.py: {', '.join(circle)} is no cycle any more: take it out of the table"


# The struct in the inside header has members whose types are in the public one, and the .c file of the public one's name
# includes the inside header. So these are one module in three files.
INSIDE = "the inside header needs complete types of the public one"
STAY = {
    ("ops/metrics", "ops/metrics_inside"): INSIDE,
    ("redis/connection", "redis/connection_inside"): INSIDE,
    ("redis/router", "redis/router_inside"): INSIDE,
    ("redis/sentinel_watch", "redis/sentinel_watch_inside"): INSIDE,
    ("roles/children", "roles/children_inside"): INSIDE,
    ("serve/flight", "serve/item_cache", "serve/serve", "serve/serve_inside", "serve/turns"): INSIDE,
    ("store/projection", "store/store", "store/store_inside", "store/write_queue", "store/writes"): INSIDE,
}
