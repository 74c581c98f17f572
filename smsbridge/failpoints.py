"""Named places where a test may let this process die, fail or hang. Off, and a look at an empty table, unless armed.

    SMSBRIDGE_FAILPOINTS="inbound.committed=kill@3,http.answered=raise,sqlite.committing=stall:5"

An entry is a place, what happens there, and at which pass (the first, if that is not said); it happens once.

    kill      SIGKILL, at once
    raise     the fault that belongs to the place (`raising`), else `FailpointError`: a bug of ours
    stall:5   the thread stands still for 5 s: the event loop and all that it serves, or the owner of SQLite's file

Only `smsbridge run` arms them, from its environment, and says so as an error; the unit in systemd/ never does.
"""

import os
import signal
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from smsbridge.log import Event, Log

VARIABLE: Final = "SMSBRIDGE_FAILPOINTS"

# Every place; a test holds this list and the code together. What a name says has happened, or is about to.
FAILPOINTS: Final = (
    "inbound.taking",
    "inbound.recorded",
    "inbound.committed",
    "handover.claiming",
    "handover.claimed",
    "handover.proving",
    "handover.proved",
    "handover.handing",
    "handover.handed",
    "handover.doubted",
    "handover.put_back",
    "handing.written",
    "handing.ponged",
    "outbound.accepting",
    "outbound.recorded",
    "outbound.accepted",
    "outbound.refused",
    "safekeeping.acknowledging",
    "safekeeping.acknowledged",
    "commands.taking",
    "commands.committed",
    "dispatcher.claiming",
    "dispatcher.claimed",
    "http.calling",
    "http.answered",
    "settling.settling",
    "settling.moved",
    "settling.settled",
    "reconciler.looking",
    "reconciler.abandoned",
    "poller.listed",
    "looking.listed",
    "looking.judged",
    "forgetting.begun",
    "forgetting.forgotten",
    "lease.renewing",
    "lease.renewed",
    "migration.applying",
    "migration.applied",
    "sqlite.begun",
    "sqlite.committing",
    "sqlite.committed",
    "postgres.begun",
    "postgres.committing",
    "postgres.committed",
    "service.stopping",
    "service.stopped",
)

_log = Log("failpoints")


class FailpointError(Exception):
    """A fault that nobody expects there."""


class Action(StrEnum):
    KILL = "kill"
    RAISE = "raise"
    STALL = "stall"


@dataclass(slots=True, kw_only=True)
class _Charge:
    """What will happen at a place, after so many passes more."""

    action: Action
    passes: int
    seconds: float


_armed: Final[dict[str, list[_Charge]]] = {}


def arm(plan: str) -> None:
    """Add to what is armed; raises ValueError for a plan that cannot be read."""
    for entry in filter(None, (entry.strip() for entry in plan.split(","))):
        name, _, what = entry.partition("=")
        what, _, passes = what.partition("@")
        action, _, seconds = what.partition(":")
        if name not in FAILPOINTS:
            raise ValueError(f"there is no failpoint {name!r}")
        charge = _Charge(action=Action(action), passes=int(passes or 1), seconds=float(seconds or 0))
        _armed.setdefault(name, []).append(charge)


def disarm() -> None:
    """As if nothing had been armed."""
    _armed.clear()


def failpoint(name: str, raising: type[Exception] = FailpointError) -> None:
    """A place. `raising` is what its surroundings have to be ready for."""
    if _armed:
        _reach(name, raising)


def _reach(name: str, raising: type[Exception]) -> None:
    charges = _armed.get(name, [])
    for charge in charges:
        charge.passes -= 1
    for charge in [charge for charge in charges if not charge.passes]:
        charges.remove(charge)
        _log.error(Event.FAILPOINT_REACHED, name=name, action=charge.action)
        match charge.action:
            case Action.KILL:
                os.kill(os.getpid(), signal.SIGKILL)
            case Action.STALL:
                time.sleep(charge.seconds)
            case Action.RAISE:
                raise raising(f"the failpoint {name}")
