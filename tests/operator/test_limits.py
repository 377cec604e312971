# SPDX-License-Identifier: MIT
"""Small limits and missing descriptors: the service works, or a clear line says why not.

    what is done                                     what is expected
    16, 32 descriptors                               refused, or Redis's own words; no process spins
    64, 256 descriptors                              works
    no room for files (ulimit -f)                    refused in one line, never killed without a word
    little address space (ulimit -v)                 a line that says memory
    stdin, stdout, stderr closed                     works; no log line lands in another file
    the log on a full disk                           lines are lost and counted, requests are not
    a folder without rights to work in               the folder of the data is named
    unknown or wrong ENGAGED_ variables              refused in one line that names them
"""
import os
import resource
import subprocess

import pytest

from support.ports import free_port
from support.processes import cpu_seconds
from support.program import BUILD, PROGRAM, options_of
from support.service import Service
from support.wait import wait_until

PLAIN = pytest.mark.skipif(BUILD != "build", reason="a sanitizer takes more than such limits")


def vote(service, visitor):
    return service.keyed("POST", "/v1/s/items/a/votes", Engaged_Visitor=visitor)


class Under(Service):
    """Started by a shell that first says something; not waited for unless it is to be ready."""

    def __init__(self, line, wait=True, **settings):
        self.wrapper = ("sh", "-c", f'{line}; exec "$@"', "sh")
        self.wait = wait
        super().__init__(**settings)

    def start(self):
        self.process = self.spawn(**self.environment)
        if self.wait:
            self.wait_ready([self.process])


def ended(service):
    code = service.process.wait(60)
    return code, [line for line in service.log().splitlines() if " warn: " not in line]


@PLAIN
@pytest.mark.parametrize("files", [64, 256])
def test_with_few_descriptors_it_works(ending, files):
    service = ending(Under(f"ulimit -n {files}", workers=2))
    for number in range(100):
        assert vote(service, f"v{number}").status == 200
    assert service.metrics()["engaged_process_restarts_total"] == 0


@PLAIN
def test_with_too_few_descriptors_it_is_refused_in_a_line(tmp_path):
    for files in range(5, 20):
        service = Under(f"ulimit -n {files}", wait=False, redis=f"embedded:{tmp_path}/{files}")
        code, lines = ended(service)
        assert code == 1 and len(lines) == 1 and ("descriptors" in lines[0] or "open files" in lines[0]), lines
        service.remove()


@PLAIN
def test_with_too_few_for_redis_its_words_are_in_the_log_and_nothing_spins(ending):
    service = ending(Under("ulimit -n 32", wait=False))
    wait_until(lambda: "ulimit -n" in service.log(), 30, service.log)
    before = cpu_seconds(service.process.pid)
    assert service.process.poll() is None and before < 5


@PLAIN
def test_without_room_for_files_it_says_so_before_it_ends():
    service = Under("ulimit -f 1", wait=False)
    code, lines = ended(service)
    assert code == 1 and len(lines) == 1 and "file too large" in lines[0].lower(), lines
    service.remove()


@PLAIN
def test_with_little_memory_it_says_so(ending):
    service = ending(Under("ulimit -v 20000", wait=False))
    wait_until(lambda: "no memory" in service.log().lower() or "cannot allocate" in service.log().lower(), 30, service.log)


@pytest.mark.parametrize("closed", ["0<&-", "1>&-", "0<&- 1>&- 2>&-"])
def test_with_standard_files_closed_it_works_and_writes_nowhere_else(ending, closed):
    service = ending(Under(f"exec {closed}", workers=2, access_log="on"))
    for number in range(20):
        assert vote(service, f"v{number}").status == 200
    os.kill(service.redis_pid(), 9)
    assert wait_until(lambda: (answer := vote(service, "w")).status == 200 and answer, 30).json["votes"]["up"] == 21
    for name in ("owner", "lock"):
        assert os.path.getsize(f"{service.folder}/d/{name}") == 0
    assert service.metrics()["engaged_process_restarts_total"] == 0


def test_a_log_on_a_full_disk_loses_lines_and_no_requests(ending):
    service = ending(Under("exec 2>/dev/full", access_log="on"))
    for number in range(50):
        assert vote(service, f"v{number}").status == 200
    assert service.metrics()["engaged_log_lines_lost_total"] >= 50


@PLAIN
def test_a_log_file_at_the_limit_of_its_size_loses_lines_and_no_requests(own, tmp_path):
    """As a file system's quota does it: the write fails, and SIGXFSZ comes with it."""
    service = own(access_log="on")
    for pid in [*service.children("worker"), service.process.pid]:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (1024, 1024))
    for number in range(50):
        assert vote(service, f"v{number}").status == 200
    assert service.metrics()["engaged_log_lines_lost_total"] > 0
    assert service.metrics()["engaged_process_restarts_total"] == 0


@pytest.mark.parametrize("environment,named", [
    ({"ENGAGED_NO_SUCH": "1"}, "ENGAGED_NO_SUCH: no such setting"),
    ({"ENGAGED_WORKERS": "two"}, "ENGAGED_WORKERS"),
    ({"ENGAGED_ROLE": "nonsense"}, "ENGAGED_ROLE: no such role"),
    ({"ENGAGED_ROLE": "worker", "ENGAGED_SUPERVISOR": "1"}, "the supervisor has ended"),
    ({"ENGAGED_LISTEN_MODE": "rw-rw----"}, "ENGAGED_LISTEN_MODE"),
])
def test_wrong_variables_are_named(tmp_path, environment, named):
    done = subprocess.run([PROGRAM, "--redis", f"embedded:{tmp_path}/d"], env={**os.environ, **environment},
                          stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 1 and named in done.stderr and len(done.stderr.splitlines()) == 1, done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_in_a_folder_that_it_may_not_write_to_that_folder_is_named():
    named = {"listen": f"127.0.0.1:{free_port()}", "ops_listen": f"127.0.0.1:{free_port()}"}
    run = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", PROGRAM, *options_of(named)]
    done = subprocess.run(run, cwd="/", stderr=subprocess.PIPE, text=True, timeout=60)
    if "failed to execute" in done.stderr:
        pytest.skip("the program is not for everybody here")
    assert done.returncode == 1 and "./data: permission denied" in done.stderr.lower(), done.stderr


@pytest.mark.parametrize("what", ["folder", "pipe", "nothing", "unreadable text"])
def test_a_configuration_that_is_none_keeps_the_old_one_and_is_named(own, what):
    service = own(configuration="max_age = 7\n")
    path = service.settings["config"]
    os.unlink(path)
    if what == "folder":
        os.mkdir(path)
    elif what == "pipe":
        os.mkfifo(path)
    elif what == "unreadable text":
        with open(path, "wb") as file:
            file.write(b"max_age = 8\n\x00\xff\x01[ran")  # half written
    service.process.send_signal(1)
    wait_until(lambda: "the settings before stay" in service.log(), 20, service.log)
    line = next(line for line in service.log().splitlines() if "the settings before stay" in line)
    assert path in line and "max-age=7" in service.get("/v1/s/rankings/top").headers["cache-control"]
    os.rmdir(path) if what == "folder" else what != "nothing" and os.unlink(path)
    service.configure("max_age = 9\n")
    service.process.send_signal(1)
    wait_until(lambda: "max-age=9" in service.get("/v1/s/rankings/top").headers["cache-control"], 20, service.log)
