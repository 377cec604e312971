# SPDX-License-Identifier: MIT
"""A bare Debian 12 in a folder, with processes, mounts and a loopback of its own, so that every port is free in it.

debootstrap makes it once, with the mirror of this machine; a copy of it is unpacked for each use. Packages that were had once
are kept. Only apt-get has this machine's network. Root is needed; `why_not` says what is missing.
"""
import contextlib
import fcntl
import glob
import os
import re
import shutil
import subprocess
import tempfile
import time

from support.processes import read_file
from support.wait import wait_until

CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "engaged-install")
KEPT = os.path.join(CACHE, "archives")
KEPT_SECONDS = 7 * 86400  # then it is made again, so that its packages are not too old
LOOPBACK_UP = ("import fcntl, socket, struct; s = socket.socket(); "
               "fcntl.ioctl(s, 0x8914, struct.pack('16sH14s', b'lo', 1, b''))")  # the interface is up
MOUNTS = """set -e
root=$1
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount --rbind /sys "$root/sys"
/usr/bin/python3 -c "$2"
exec sleep infinity"""


def why_not():
    """What is missing for it; None: nothing."""
    if os.geteuid() != 0:
        return "it needs root"
    if not shutil.which("debootstrap"):
        return "debootstrap is not installed"
    done = subprocess.run(["unshare", "--mount", "--net", "--pid", "--fork", "true"], stderr=subprocess.PIPE, text=True)
    return f"namespaces are not allowed here: {done.stderr.strip()}" if done.returncode else None


def mirror():
    """The one that this machine has Debian from."""
    for path in ("/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list"):
        text = read_file(path).decode() if os.path.exists(path) else ""
        found = re.search(r"^URIs: *(\S+)|^deb (?:\[[^\]]*\] )?(\S+)", text, re.M)
        if found:
            return found.group(1) or found.group(2)
    return "http://deb.debian.org/debian"


def make_archive(path):
    """The bare system, as a file."""
    root = tempfile.mkdtemp(prefix="new-", dir=CACHE)
    try:
        done = subprocess.run(["debootstrap", "--variant=minbase", "bookworm", root, mirror()], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
        assert done.returncode == 0, done.stdout[-3000:]
        for name in ("apt/sources.list", "apt/sources.list.d/debian.sources"):
            if os.path.exists(f"/etc/{name}"):
                shutil.copy(f"/etc/{name}", f"{root}/etc/{name}")
            elif os.path.exists(f"{root}/etc/{name}"):
                os.unlink(f"{root}/etc/{name}")
        shutil.copytree("/etc/apt/apt.conf.d", f"{root}/etc/apt/apt.conf.d", dirs_exist_ok=True)
        # Nothing starts when it is installed, as in a container; and nothing needs to outlive a power cut.
        with open(f"{root}/usr/sbin/policy-rc.d", "w", encoding="ascii") as file:
            file.write("#!/bin/sh\nexit 101\n")
        os.chmod(f"{root}/usr/sbin/policy-rc.d", 0o755)
        with open(f"{root}/etc/dpkg/dpkg.cfg.d/quick", "w", encoding="ascii") as file:
            file.write("force-unsafe-io\n")
        subprocess.run(["tar", "-C", root, "--exclude=./var/cache/apt/archives/*", "-cf", f"{path}.new", "."], check=True)
        os.rename(f"{path}.new", path)
    finally:
        shutil.rmtree(root)


def archive():
    """Of several that ask at once one makes it."""
    path = os.path.join(CACHE, "bookworm.tar")
    os.makedirs(KEPT, exist_ok=True)
    with open(os.path.join(CACHE, "lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(path) or time.time() - os.path.getmtime(path) > KEPT_SECONDS:
            make_archive(path)
    return path


def link_packages(source, target):
    """Each system has the packages that were had once, and apt-get's locks for itself."""
    for path in glob.glob(os.path.join(source, "*.deb")):
        with contextlib.suppress(FileExistsError):
            os.link(path, os.path.join(target, os.path.basename(path)))


class BareDebian:
    def __init__(self):
        self.root = tempfile.mkdtemp(prefix="root-", dir=os.path.dirname(archive()))
        subprocess.run(["tar", "-C", self.root, "-xf", archive()], check=True)
        os.chmod(self.root, 0o755)  # it is / for other users inside
        link_packages(KEPT, self.path("/var/cache/apt/archives"))
        for name in ("resolv.conf", "hosts"):
            shutil.copy(f"/etc/{name}", f"{self.root}/etc/{name}")
        self.holder = subprocess.Popen(["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--propagation", "private",
                                        "sh", "-c", MOUNTS, "sh", self.root, LOOPBACK_UP])
        wait_until(lambda: self.inner() and b"sleep" in read_file(f"/proc/{self.inner()}/cmdline"), 30, "its mounts are there")

    def inner(self):
        """The process id of what holds the namespaces."""
        assert self.holder.poll() is None, "the namespaces are gone"
        return read_file(f"/proc/{self.holder.pid}/task/{self.holder.pid}/children").decode().strip()

    def path(self, inside):
        return self.root + inside

    def command(self, words, networked=False, environment=None):
        variables = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8",
                     "DEBIAN_FRONTEND": "noninteractive", **(environment or {})}
        proxies = {name: value for name, value in os.environ.items() if name.lower() in ("http_proxy", "https_proxy", "no_proxy")}
        given = [f"{name}={value}" for name, value in {**(proxies if networked else {}), **variables}.items()]
        return ["nsenter", f"--target={self.inner()}", "--mount", "--pid", *([] if networked else ["--net"]),
                "/usr/bin/env", "-i", "/usr/sbin/chroot", self.root, "/usr/bin/env", *given, *words]

    def run(self, *words, networked=False, environment=None):
        """Its output; it must succeed. One text is for a shell."""
        words = ["/bin/sh", "-ec", words[0]] if len(words) == 1 else list(words)
        done = subprocess.run(self.command(words, networked, environment), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert done.returncode == 0, (words, done.stdout[-4000:])
        return done.stdout

    def install(self, *packages):
        """Packages of Debian, or files of packages in it."""
        return self.run(f"apt-get update -qq && apt-get install -y -qq {' '.join(packages)}", networked=True)

    def status(self, url):
        """Of a GET from inside, by this machine's curl; 0: nobody answers."""
        done = subprocess.run(["nsenter", f"--target={self.inner()}", "--net", "curl", "-s", "-o", "/dev/null", "-m", "5", "-w", "%{http_code}",
                               url], stdout=subprocess.PIPE, text=True)
        return int(done.stdout or 0)

    def curl(self, *words):
        """The body and the status of a call from inside."""
        done = subprocess.run(["nsenter", f"--target={self.inner()}", "--net", "curl", "-s", "-m", "10", "-w", "\n%{http_code}", *words],
                              stdout=subprocess.PIPE, text=True, check=True)
        body, _, status = done.stdout.rpartition("\n")
        return int(status), body

    def remove(self):
        self.holder.kill()
        self.holder.wait()
        link_packages(self.path("/var/cache/apt/archives"), KEPT)
        shutil.rmtree(self.root)


def as_user(name):
    """Before a command, in place of root; unlike runuser it waits for nothing."""
    return ["setpriv", f"--reuid={name}", f"--regid={name}", "--init-groups", "--"]


class Started:
    """A process in it, until `stop`; what it writes to stderr is in `log`."""

    def __init__(self, machine, words, environment=None):
        self.log_path = machine.path("/log-" + os.path.basename(words[0]))
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(machine.command(words, environment=environment), stdout=log, stderr=log)

    def log(self):
        return read_file(self.log_path).decode(errors="replace")

    def pid(self):
        """nsenter waits for the process that it has made in the other namespace."""
        return int(read_file(f"/proc/{self.process.pid}/task/{self.process.pid}/children").decode().split()[0])

    def wait_ready(self, machine, url):
        wait_until(lambda: self.process.poll() is not None or machine.status(url) == 200, 60, self.log)
        assert self.process.poll() is None, self.log()

    def stop(self):
        """By SIGTERM; its exit code."""
        if self.process.poll() is None:
            os.kill(self.pid(), 15)
        return self.process.wait(60)
