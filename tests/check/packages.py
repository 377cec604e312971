# SPDX-License-Identifier: MIT
"""What the build needs is installed by the Makefile, the Debian package and the image alike."""
import re

from tree import read

ELSEWHERE = ("redis-server", "tzdata", "curl")  # needed to run, not to build


def needed():
    found = re.search(r"^PACKAGES_RUN := ((?:.*\\\n)*.*)$", read("Makefile"), re.M)
    return [name for name in found.group(1).replace("\\\n", " ").split() if name not in ELSEWHERE]


def check_packages():
    built = re.search(r"^Build-Depends: ((?:.*,\n)*.*)$", read("deploy/debian/control"), re.M).group(1)
    stage = re.search(r"AS build\n(RUN (?:.*\\\n)*.*)$", read("deploy/container/Dockerfile"), re.M).group(1)
    for path, text in (("deploy/debian/control", built), ("deploy/container/Dockerfile", stage)):
        names = re.split(r"[\s,:]+", text)
        for name in needed():
            if name not in names:
                yield f"{path}: the build needs {name}, as PACKAGES_RUN of the Makefile says"
