# SPDX-License-Identifier: MIT
"""Carries out a Dockerfile without Docker: each stage in a bare Debian, its RUN and COPY lines as they are written."""
import json
import re
import subprocess

from support.bare_debian import BareDebian

IGNORED = ("EXPOSE", "VOLUME")


def instructions(path):
    """(word, rest) of each, its lines joined."""
    with open(path, encoding="utf-8") as file:
        text = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", file.read(), flags=re.M))
    return [tuple(line.split(None, 1)) for line in text.splitlines() if line.strip()]


class Stage:
    def __init__(self):
        self.machine = BareDebian()
        self.environment, self.folder, self.user, self.entry, self.health = {}, "/", "root", None, None

    def carry_out(self, word, rest, stages, put_tree):
        if word == "RUN":
            self.machine.run(f"cd {self.folder}; {rest}", networked=True, environment=self.environment)
        elif word == "COPY":
            self.copy(rest.split(), stages, put_tree)
        elif word == "WORKDIR":
            self.folder = rest
            self.machine.run(f"mkdir -p {rest}")
        elif word == "ENV":
            self.environment.update(part.split("=", 1) for part in rest.split())
        elif word == "USER":
            self.user = rest
        elif word == "ENTRYPOINT":
            self.entry = json.loads(rest)
        elif word == "HEALTHCHECK":
            self.health = rest.split(" CMD ", 1)[1]
        else:
            assert word in IGNORED, f"{word} {rest}: the test can't carry this out"

    def copy(self, words, stages, put_tree):
        if words == [".", "."]:
            put_tree(self.machine, self.folder)
            return
        stage, source, target = words
        assert stage.startswith("--from=") and target.startswith("/"), words
        subprocess.run(["cp", "-a", stages[stage[7:]].machine.path(source), self.machine.path(target)], check=True)


def carry_out(path, put_tree):
    """The last stage; the others are removed."""
    stages, stage = {}, None
    try:
        for word, rest in instructions(path):
            if word == "FROM":
                image, _, name = rest.partition(" AS ")
                assert image == "debian:bookworm-slim", image
                stage = stages[name] = Stage()
            else:
                stage.carry_out(word, rest, stages, put_tree)
    except BaseException:
        for one in stages.values():
            one.machine.remove()
        raise
    for one in stages.values():
        if one is not stage:
            one.machine.remove()
    return stage
