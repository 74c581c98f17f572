"""Time, handed in: nothing reads the clock of the machine but through a `Clock`."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

BUILT: Final = datetime(2026, 1, 1, tzinfo=UTC)  # there was no smsbridge before: a clock that says less is wrong


@dataclass(frozen=True, slots=True)
class Clock:
    """`now` is wall time (aware, UTC) for what people read; `monotonic` is seconds for deadlines and pacing."""

    now: Callable[[], datetime]
    monotonic: Callable[[], float]


def system_clock() -> Clock:
    """The machine's clock."""
    return Clock(now=lambda: datetime.now(UTC), monotonic=time.monotonic)


def system_ms() -> int:
    """The machine's wall time in epoch milliseconds, for what is asked for it all the time."""
    return time.time_ns() // 1_000_000


def to_ms(instant: datetime) -> int:
    """Epoch milliseconds, as the store keeps instants."""
    return round(instant.timestamp() * 1000)


def from_ms(milliseconds: int) -> datetime:
    """The inverse of `to_ms`."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
