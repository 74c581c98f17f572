"""How often a source was refused or served within a minute, and what the journal hears of refusals.

Both stay small under a flood from any number of sources: the tables are bounded, and so are the lines.
"""

import asyncio
from collections import Counter
from typing import Final

from smsbridge.clock import Clock
from smsbridge.log import Event, Log

WINDOW_SECONDS: Final = 60
MAX_SOURCES: Final = 4096
LINES: Final = 30
LINES_PER_SOURCE: Final = 3
_OTHERS: Final = "others"

_log = Log("web")


class Tally:
    """Requests by source in the current minute. Sources that come when the table is full are counted as one."""

    def __init__(self, limit: int, clock: Clock) -> None:
        self._limit = limit
        self._clock = clock
        self._since = clock.monotonic()
        self._counts: Counter[str] = Counter()

    def count(self, source: str) -> bool:
        """Count one more, and tell whether the limit is kept."""
        now = self._clock.monotonic()
        if now - self._since >= WINDOW_SECONDS:
            self._since = now
            self._counts.clear()
        if source not in self._counts and len(self._counts) >= MAX_SOURCES:
            source = _OTHERS
        self._counts[source] += 1
        return self._counts[source] <= self._limit

    def is_over(self, source: str) -> bool:
        """Whether the limit is reached; counts nothing."""
        if self._clock.monotonic() - self._since >= WINDOW_SECONDS:
            return False
        known = source in self._counts or len(self._counts) < MAX_SOURCES
        return self._counts[source if known else _OTHERS] >= self._limit

    @property
    def seconds_left(self) -> int:
        """Until the minute is over, rounded up."""
        return int(max(0.0, self._since + WINDOW_SECONDS - self._clock.monotonic())) + 1


class Journal:
    """Writes the first refusals of a period line by line, and what is over as one line at its end."""

    def __init__(self, seconds: float = WINDOW_SECONDS) -> None:
        self._seconds = seconds
        self._timer: asyncio.TimerHandle | None = None
        self._lines: Counter[str] = Counter()
        self._untold: Counter[int] = Counter()

    def refuse(self, key: str, /, *, status: int, **told: object) -> None:
        """`key`: whose lines are counted together; `told` must hold no secret, no text and no full address."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self._turn)
        if self._lines.total() < LINES and self._lines[key] < LINES_PER_SOURCE:
            self._lines[key] += 1
            _log.warning(Event.CALLBACK_REFUSED, status=status, **told)
        else:
            self._untold[status] += 1

    def close(self) -> None:
        """Tell what is still untold."""
        if self._timer is not None:
            self._timer.cancel()
            self._turn()

    def _turn(self) -> None:
        self._timer = None
        self._lines.clear()
        if self._untold:
            statuses = {str(status): count for status, count in sorted(self._untold.items())}
            _log.warning(Event.CALLBACKS_REFUSED, count=self._untold.total(), statuses=statuses)
            self._untold.clear()
