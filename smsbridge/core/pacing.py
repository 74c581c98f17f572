"""How long to wait: a back-off schedule and a token bucket.

Time and chance come in as arguments; all durations are seconds, and `now` is any clock that does not go back.
"""

from dataclasses import dataclass
from math import inf
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Steps from `first` to `cap`, each `factor` times the last; `jitter` is the share of a step left to chance."""

    first: float
    factor: float
    cap: float
    jitter: float

    def __post_init__(self) -> None:
        if not (0 < self.first <= self.cap and self.factor >= 1 and 0 <= self.jitter <= 1):
            raise ValueError("a back-off needs 0 < first <= cap, factor >= 1 and 0 <= jitter <= 1")

    def delay(self, attempt: int, roll: float) -> float:
        """Seconds to wait after the `attempt`th failure, counted from 1; `roll` in [0, 1) takes the jitter off."""
        if attempt < 1:
            raise ValueError("attempts are counted from 1")
        try:
            step = min(self.cap, self.first * self.factor ** (attempt - 1))
        except OverflowError:
            step = self.cap
        return step * (1 - self.jitter * roll)


class TokenBucket:
    """At most `burst` at once, and `rate` a second in the long run (ITU-T I.371, virtual scheduling)."""

    __slots__ = ("_due", "_interval", "_tolerance")

    def __init__(self, *, rate: float, burst: int) -> None:
        if rate <= 0 or burst < 1:
            raise ValueError("a token bucket needs a rate above 0 and a burst of at least 1")
        self._interval = 1 / rate
        self._tolerance = (burst - 1) * self._interval
        self._due = -inf

    def take(self, now: float) -> float:
        """Take a token: 0.0 if there was one, else the seconds until there will be (and none is taken)."""
        wait = self._due - self._tolerance - now
        if wait > _RESOLUTION:
            return wait
        self._due = max(self._due, now) + self._interval
        return 0.0


_RESOLUTION: Final = 1e-6  # finer waits are rounding, and would make a caller spin

SEND_BACKOFF: Final = Backoff(first=5.0, factor=2.0, cap=900.0, jitter=0.2)
RECONNECT_BACKOFF: Final = Backoff(first=0.2, factor=2.0, cap=30.0, jitter=0.5)
CONFIG_FAULT_BACKOFF: Final = Backoff(first=5.0, factor=2.0, cap=60.0, jitter=0.2)
MEDIA_BACKOFF: Final = Backoff(first=5.0, factor=4.0, cap=1800.0, jitter=0.2)
ENCLOSURE_BACKOFF: Final = Backoff(first=5.0, factor=2.0, cap=60.0, jitter=0.2)
POLL_BACKOFF: Final = Backoff(first=60.0, factor=2.0, cap=1800.0, jitter=0.2)
