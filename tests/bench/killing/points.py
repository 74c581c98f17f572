"""At which failpoints a life of the bridge ends, and how each is reached.

Exhaustive: every place that a store has, with SIGKILL, with the fault that belongs there, and with 5 s of standing
still. Elsewhere one life in three has a SIGKILL waiting at a place and a pass that chance names.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from smsbridge.failpoints import FAILPOINTS, Action
from tests.bench.killing.stores import StoreName

STALL_SECONDS: Final = 5.0
MOST_PASSES: Final = 8
COMMITS: Final = 60  # a start makes dozens, and some are to be hit under load
_ELSEWHERE: Final = {"sqlite": "postgres.", "postgres": "sqlite."}
_FIRST_START: Final = "migration."
_STOP: Final = "service."
_LAST_IN_LINE: Final = "poller."  # sends and look-ups go before it
_OF_DRIVERS: Final = ("sqlite.", "postgres.")
_AFTER_SERVER: Final = "handover.doubted"  # reached when there is a new server to doubt


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """What waits at a failpoint."""

    name: str
    action: Action
    passes: int = 1

    @property
    def plan(self) -> str:
        seconds = f":{STALL_SECONDS}" if self.action is Action.STALL else ""
        return f"{self.name}={self.action}{seconds}@{self.passes}"

    @property
    def is_at_the_end(self) -> bool:
        """Whether only who stops in order gets there."""
        return self.name.startswith(_STOP)

    @property
    def needs_new_server(self) -> bool:
        return self.name == _AFTER_SERVER


Life = tuple[Charge, ...]  # what waits for the bridge from one start to the next


def every(store: StoreName, rng: random.Random) -> list[Life]:
    """All places of a bridge with this store, with all that can happen there."""
    names = [name for name in FAILPOINTS if not name.startswith((_ELSEWHERE[store], _FIRST_START))]
    names.sort(key=lambda name: not name.startswith(_LAST_IN_LINE))  # while nobody is in line yet
    charges = [
        Charge(name=name, action=action, passes=rng.randint(1, COMMITS) if name.startswith(_OF_DRIVERS) else 1)
        for name in names
        for action in Action
    ]
    return [*_first_lives(), *((charge,) for charge in charges)]


def of_driver(store: StoreName, rng: random.Random) -> list[Life]:
    """Those of one store alone, and those of its first start."""
    return [life for life in every(store, rng) if life[0].name.startswith((f"{store}.", _FIRST_START))]


def _first_lives() -> list[Life]:
    """Until the schema is there. Who survives makes all of it, so the last life meets all that does not kill."""
    before, after = (name for name in FAILPOINTS if name.startswith(_FIRST_START))
    return [
        (Charge(name=before, action=Action.KILL),),
        (Charge(name=before, action=Action.RAISE),),
        (Charge(name=after, action=Action.KILL),),
        (
            Charge(name=before, action=Action.STALL),
            Charge(name=after, action=Action.STALL),
            Charge(name=after, action=Action.RAISE, passes=2),
        ),
    ]


def at_random(store: StoreName, rng: random.Random) -> Iterator[Charge]:
    """A SIGKILL somewhere, again and again."""
    excluded = (_ELSEWHERE[store], _FIRST_START, _STOP)
    names = [name for name in FAILPOINTS if not name.startswith(excluded)]
    while True:
        yield Charge(name=rng.choice(names), action=Action.KILL, passes=rng.randint(1, MOST_PASSES))
