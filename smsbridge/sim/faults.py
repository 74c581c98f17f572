"""How the carrier misbehaves on request: a fault is when × which calls × how often × what.

when    before a call is carried out, or after; the latter is asked only for a call that was, so that a fault meant
        for "accepted, but the customer never learned" is not spent on a refusal
which   a method of the API (`*`: any), or what the carrier does by itself: CONNECTION (one that comes in; which call it
        is for nobody knows yet), WEBHOOK and CALLBACK (a push: "carried out" is "the customer has it")
often   let `skip` calls by, then `times` in all (None: until cleared), each with the chance `share`
what    wait first (`stall_seconds`, `gate`); then `drop` the connection, or answer `http_status`, or one of `What`, or
        carry on

Of several that are armed the first that fits is met. Chance comes from the plan's seed, and each fault has its own, so
that a run can be repeated though its calls overlap differently. A connection that is truly refused is no fault of one
call: `Carrier.away`.
"""

import asyncio
import random
from dataclasses import dataclass
from enum import StrEnum

ANY_METHOD = "*"
CONNECTION = "connection"
WEBHOOK = "webhook"
CALLBACK = "callback"
PUSHES = frozenset({WEBHOOK, CALLBACK})


class Moment(StrEnum):
    BEFORE_ACCEPT = "before_accept"
    AFTER_ACCEPT = "after_accept"


class What(StrEnum):
    """What becomes of a call or a push; the unit of `amount` in brackets."""

    # the answer
    TRUNCATED = "truncated"  # half of the JSON, as if that were all
    CUT = "cut"  # the connection breaks in the middle of it
    HTML = "html"
    EMPTY = "empty"
    SAME_ID = "same_id"  # that of the message before
    ZERO_ID = "zero_id"
    EMPTY_ID = "empty_id"
    NO_ID = "no_id"
    # the call
    REFUSED = "refused"  # with the carrier's word `status`, doing nothing
    LATE = "late"  # carried out after all, so long after it was dropped or answered [seconds]
    # a listing
    LAG = "lag"  # shows no row younger [seconds]
    SHORT = "short"  # shows no more, whatever `limit` says [rows]
    ZONE = "zone"  # its clock is off [hours]
    # a push
    COPIES = "copies"  # so many at once [requests]
    PIPELINED = "pipelined"  # so many in one breath on one connection [requests]
    DRIBBLED = "dribbled"  # its body takes so long [seconds]
    PADDED = "padded"  # longer by so much, and still right [bytes]
    BAD_CHUNKS = "bad_chunks"  # a chunk without a length


_ANSWERS = frozenset({What.TRUNCATED, What.CUT, What.HTML, What.EMPTY})
_IDS = frozenset({What.SAME_ID, What.ZERO_ID, What.EMPTY_ID, What.NO_ID})
_OF_CALLS = frozenset({What.REFUSED, What.LATE, What.LAG, What.SHORT, What.ZONE})
_OF_PUSHES = frozenset({What.COPIES, What.PIPELINED, What.DRIBBLED, What.PADDED, What.BAD_CHUNKS})


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """See above. Raises ValueError for what could never happen where it was put.

    `gate` stalls until somebody sets it: a test that looks at what happens meanwhile is in no hurry. A push that
    dribbles stalls before its last drop.
    """

    when: Moment
    method: str = ANY_METHOD
    skip: int = 0
    times: int | None = 1
    share: float = 1.0
    stall_seconds: float = 0.0
    gate: asyncio.Event | None = None
    drop: bool = False
    http_status: int | None = None
    what: What | None = None
    amount: float = 0.0
    status: str = ""

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1 or self.skip < 0:
            raise ValueError("a share is above 0 and at most 1, and nothing can be skipped backwards")
        if self.what is not None and self.what not in self._possible():
            raise ValueError(f"{self.what} cannot happen to {self.method} {self.when}")
        if (self.what is What.REFUSED) != bool(self.status):
            raise ValueError("a status and a refusal belong together")
        if self.what is What.LATE and not self.drop and self.http_status is None:
            raise ValueError("what is carried out late is dropped or answered before")
        if self.http_status is not None and self.method in {CONNECTION, *PUSHES}:
            raise ValueError("only a call is answered")
        if self.method == CONNECTION and (self.when, self.drop) != (Moment.BEFORE_ACCEPT, True):
            raise ValueError("of a connection nothing is known: it can be dropped before")

    def __str__(self) -> str:
        """What it does, in a line of the ledger."""
        words = [self.when.value]
        if self.stall_seconds or self.gate is not None:
            words.append("stall")
        if self.what is not None:
            words.append(f"{self.what} {self.status}".strip())
        if self.drop:
            words.append("drop")
        if self.http_status is not None:
            words.append(f"http {self.http_status}")
        return " ".join(words)

    def fits(self, moment: Moment, method: str) -> bool:
        is_of_the_api = method != CONNECTION and method not in PUSHES
        return self.when is moment and (self.method == method or (self.method == ANY_METHOD and is_of_the_api))

    async def stall(self) -> None:
        await asyncio.sleep(self.stall_seconds)
        if self.gate is not None:
            await self.gate.wait()

    def _possible(self) -> frozenset[What]:
        is_before = self.when is Moment.BEFORE_ACCEPT
        if self.method == CONNECTION:
            return frozenset()
        if self.method in PUSHES:
            return _OF_PUSHES if is_before else frozenset()
        return _ANSWERS | (_OF_CALLS if is_before else _IDS)


class _Armed:
    """A fault in its plan, with what is left of it and a chance of its own."""

    def __init__(self, fault: Fault, seed: str) -> None:
        self.fault = fault
        self._skip = fault.skip
        self._left = fault.times
        self._random = random.Random(seed)  # noqa: S311  # to be repeated, not to be unguessable

    @property
    def is_spent(self) -> bool:
        return self._left is not None and self._left <= 0

    def meets(self) -> bool:
        """Whether a call that fits meets it; counts."""
        if self._skip:
            self._skip -= 1
            return False
        if self.fault.share < 1 and self._random.random() >= self.fault.share:
            return False
        if self._left is not None:
            self._left -= 1
        return True


class FaultPlan:
    """Faults in the order they were armed; without any the carrier behaves."""

    def __init__(self, *faults: Fault, seed: int = 0) -> None:
        self.seed = seed
        self._armed: list[_Armed] = []
        self._count = 0
        for fault in faults:
            self.arm(fault)

    def arm(self, fault: Fault) -> None:
        self._armed.append(_Armed(fault, f"{self.seed}/{self._count}"))
        self._count += 1

    def clear(self) -> None:
        self._armed.clear()

    def take(self, moment: Moment, method: str) -> Fault | None:
        """The fault that a call meets at this moment."""
        for armed in self._armed:
            if armed.fault.fits(moment, method) and not armed.is_spent and armed.meets():
                if armed.is_spent:
                    self._armed.remove(armed)
                return armed.fault
        return None
