# SPDX-License-Identifier: MIT
"""A folder with configurations; `engaged check` and a start are run on them, and compared."""
import os
import subprocess
import threading

from support.program import PROGRAM


class Place:
    """A folder for the files; runs the program on them."""

    def __init__(self, folder):
        self.folder, self.made, self.lock = folder, 0, threading.Lock()

    def write(self, text):
        with self.lock:
            self.made += 1
            path = self.folder / f"{self.made}.conf"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def run(self, *arguments, **environment):
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ENGAGED_")}
        process = subprocess.Popen([PROGRAM, *map(str, arguments)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                   cwd=self.folder, env={**kept, **environment})
        try:
            said = process.communicate(timeout=100)[1]
        except subprocess.TimeoutExpired:  # it was not refused: the service goes on
            process.terminate()
            said = process.communicate()[1]
        return process.returncode, said.decode(errors="replace")

    def compare(self, *options, **environment):
        """The line with which both refuse it."""
        code, said = self.run("check", *options, **environment)
        assert code == 1 and said.startswith("engaged: ") and said.count("\n") == 1, (options, environment, code, said)
        line = said[len("engaged: "):-1]
        code, said = self.run(*options, **environment)
        assert code == 1 and said.count("\n") == 1 and said.endswith(line + "\n"), (options, environment, line, code, said)
        return line
