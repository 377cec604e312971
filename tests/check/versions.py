# SPDX-License-Identifier: MIT
"""The version is defined in the Makefile; where others name it, it is the same: the contract, the README, the changelog."""
import re

from tree import read

NAMED = {"src/web/openapi.json": r'^    "version": "(.*)",$', "README.md": r"^Version ([\d.]+\d)",
         "CHANGELOG.md": r"^## Unreleased\n(?:(?!## ).*\n)*## (\S+) \(\d{4}-\d\d-\d\d\)$", "docs/upgrading.md": r"^## From \S+ to (\S+)$", "docs/operating.md": r"engaged_([\d.]+)_amd64\.deb"}


def check_version():
    version = re.search(r"^VERSION := (\S+)$", read("Makefile"), re.M).group(1)
    for path, pattern in NAMED.items():
        found = re.search(pattern, read(path), re.M)
        if not found or found.group(1) != version:
            yield f"{path}: the version is {found.group(1) if found else 'not there'}, the Makefile has {version}"
