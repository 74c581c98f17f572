"""How the carrier misbehaves on request: asked once before a call is taken and once after.

`after_accept` is asked only for a call that was carried out, so that a fault meant for "accepted, but the customer
never learned" is not spent on a refusal.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

ANY_METHOD = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request as it was understood; the parameters hold the password and the text."""

    method: str
    params: Mapping[str, str] = field(repr=False)


class Moment(StrEnum):
    BEFORE_ACCEPT = "before_accept"
    AFTER_ACCEPT = "after_accept"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Stall first, if at all; then drop the connection, or answer with `http_status`, or carry on.

    `gate` stalls until somebody sets it: a test that looks at what happens meanwhile is in no hurry.
    """

    when: Moment
    method: str = ANY_METHOD
    stall_seconds: float = 0.0
    gate: asyncio.Event | None = None
    drop: bool = False
    http_status: int | None = None
    times: int | None = 1  # None: until cleared


class Faults(Protocol):
    def before_accept(self, call: Call) -> Fault | None: ...

    def after_accept(self, call: Call) -> Fault | None: ...


class FaultPlan:
    """Faults in the order they were armed; without any the carrier behaves."""

    def __init__(self, *faults: Fault) -> None:
        self._armed: list[tuple[Fault, int | None]] = []
        for fault in faults:
            self.arm(fault)

    def arm(self, fault: Fault) -> None:
        if fault.times is None or fault.times > 0:
            self._armed.append((fault, fault.times))

    def clear(self) -> None:
        self._armed.clear()

    def before_accept(self, call: Call) -> Fault | None:
        return self._take(Moment.BEFORE_ACCEPT, call)

    def after_accept(self, call: Call) -> Fault | None:
        return self._take(Moment.AFTER_ACCEPT, call)

    def _take(self, moment: Moment, call: Call) -> Fault | None:
        for index, (fault, left) in enumerate(self._armed):
            if fault.when is moment and fault.method in (ANY_METHOD, call.method):
                if left == 1:
                    del self._armed[index]
                elif left is not None:
                    self._armed[index] = (fault, left - 1)
                return fault
        return None
