# SPDX-License-Identifier: MIT
"""What a fault is, and what many of them do: signals to processes, commands to each Redis."""
import contextlib
import os
import signal
from dataclasses import dataclass
from typing import Callable

import redis


def nothing(*_):
    return None


@dataclass
class Fault:
    name: str
    begin: Callable
    end: Callable = nothing
    hold: tuple = (0.0, 0.0)  # seconds
    down: bool = False  # nobody can answer meanwhile
    stretch: float = 4  # by which a hold is sometimes longer, so that every back-off reaches its most


def shoot(role, number):
    """A signal to one process of the role; False when there is none."""
    def do(service, dice):
        pids = service.pids(role)
        if not pids:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(dice.choice(pids), number)
        return True
    return do


def shoot_all(role, number):
    def do(service, _):
        for pid in service.pids(role):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
    return do


def thaw(role):
    return shoot_all(role, signal.SIGCONT)


def ask(*command):
    """One command to each Redis; False when one does not take it."""
    def do(service, _):
        try:
            for client in service.all_redis():
                client.execute_command(*command)
        except redis.RedisError:
            return False
        return True
    return do
