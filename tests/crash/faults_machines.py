# SPDX-License-Identifier: MIT
"""A second machine comes to the store, and the clients share themselves out over both. The one that projects is killed or frozen,
or one is restarted with other rankings; then the second one leaves again.

A balancer sends nobody to a machine that was killed. One that is frozen keeps its clients, and what they have sent.
"""
import contextlib
import itertools
import os
import signal
import threading

from clients import Caller, all_in, send_votes
from fault import Fault
from history import now
from service import KINDS
from support.machine import Machine
from support.processes import stat_fields
from support.reports import reports_in

SITE, ITEMS = "machines.example", [f"shared-{n}" for n in range(64)]  # some in each partition
# The presets, as what one of the plans lacks is forgotten, and one more.
OTHER_RANKINGS = """
[ranking hot]
half_life = 3h
[ranking day]
half_life = 24h
[ranking week]
half_life = 168h
[ranking rising]
type = rising
half_life = 3h
floor = 3
[ranking top]
type = total
[ranking most-read]
type = window
votes = 0
views = 1
[ranking other]
half_life = 100d
"""
TURNS_MOST = 12  # restarts until it is the second machine's turn
IN_S, PROJECTED_S, STIRRERS = 10, 15, 3
VOTERS = itertools.count()
OF_ITS_OWN = ("listen", "ops_listen", "config", "redis")


class Second(Machine):
    def __init__(self, service, **more):
        self.program = service.program
        shared = {name: value for name, value in service.settings.items() if name not in OF_ITS_OWN}
        super().__init__(service.store_address(), service.configuration(), **{**shared, "workers": 1, **more})

    def projects(self):
        return self.metrics()['engaged_projection_active{projection="sums"}'] == 1

    def stands_still(self):
        """Its projector has come to the failpoint."""
        return any(stat_fields(pid)[:1] == [b"T"] for pid in self.children("projector"))


def start_second(service, **settings):
    service.second = Second(service, **settings)
    wait_known(service)


def wait_known(service):
    """Until it has been told who projects."""
    service.yardstick.comes_true(lambda: service.second.metrics()["engaged_machines"] >= 2, IN_S)


def vote_on_all(port, visitor, kind, wait):
    with contextlib.closing(Caller(port, "-", [])) as caller:
        return all_in(send_votes(caller, SITE, [(visitor, item, kind) for item in ITEMS], 1, wait))


@contextlib.contextmanager
def stirring(service):
    """Some visitors change their minds on all items all the time, so that each write of sums has some of them."""
    over = threading.Event()

    def stir(visitor):
        kinds = itertools.cycle(KINDS)
        while not over.wait(0.01):
            vote_on_all(service.port, visitor, next(kinds), "false")

    threads = [threading.Thread(target=stir, args=[f"stirrer-{n}"], daemon=True) for n in range(STIRRERS)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def note_takeover(service, port):
    """How long it takes until what the other machine is told now is projected."""
    begin = now()

    def projected():
        return vote_on_all(port, f"v{next(VOTERS)}", KINDS[0], "true")

    done = service.yardstick.comes_true(projected, PROJECTED_S)
    service.takeovers.append((begin, now(), done))


# ---- Killed


def kill_own(service):
    """All processes of the first machine; its Redis lives on."""
    for pid in [service.process.pid, *service.children("worker"), *service.children("projector")]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def kill_machine(service, _):
    """The one that projects."""
    start_second(service)
    if service.second.projects():
        service.away = (service.second.port,)
        service.second.kill()
        note_takeover(service, service.port)
    else:
        service.away = (service.port,)
        kill_own(service)
        note_takeover(service, service.second.port)


# ---- Frozen


def freeze_machine(service, dice):
    """In the middle of a write: it has read what the other one changes until it goes on."""
    failpoint = {"ENGAGED_FAILPOINT": f"commit-chunk-before:{dice.randint(20, 60)}:stop"}
    with stirring(service):
        start_second(service, environment=failpoint, hang_timeout="0", neighbour_interval="10s")
        for _ in range(TURNS_MOST):
            if service.second.projects() and service.yardstick.comes_true(service.second.stands_still, IN_S):
                break
            service.second.restart()
            wait_known(service)
        service.second.freeze()
    note_takeover(service, service.port)


# ---- Other rankings


def restart_machine(service, _):
    """They are projected as soon as it has them, and the old ones when it has gone."""
    start_second(service)
    service.away = (service.second.port,)
    service.second.restart(service.configuration(more=OTHER_RANKINGS))
    service.away = ()
    note_takeover(service, service.second.port)


# ---- The end


def leave(service, _):
    """The first machine is there again before the second one goes."""
    second = service.second
    second.thaw()
    if service.process.poll() is not None:
        service.process.wait()
        service.start()
        service.yardstick.comes_true(service.is_ready, IN_S)
    service.away, service.second = (second.port,), None
    if second.is_running():
        second.stop()
    else:
        assert not reports_in(second.log()), second.log()[-8000:]
        second.remove()
    service.away = ()


MACHINES = [
    Fault("kill-machine", kill_machine, leave, (0, 1), down=True),
    Fault("freeze-machine", freeze_machine, leave, (0.2, 1.5), stretch=1),
    Fault("restart-machine", restart_machine, leave, (0.2, 2), stretch=1),
]
