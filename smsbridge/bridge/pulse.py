"""Does every loop still turn? Each promises, turn by turn, by when it will have turned again.

A loop that waits for something outside (the server, a carrier, a text) promises as well, because it looks again in
between: only one that hangs breaks its promise. What is outside may be down for days without anybody being late.
"""

from smsbridge.clock import Clock


class Pulse:
    """The promises; for one event loop."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._due: dict[str, float] = {}

    def beat(self, loop: str, seconds: float) -> None:
        """This loop has turned, and will again within so many seconds."""
        self._due[loop] = self._clock.monotonic() + seconds

    def rest(self, loop: str) -> None:
        """This loop has ended, and promises nothing any more."""
        self._due.pop(loop, None)

    def forgive(self, seconds: float) -> None:
        """Nobody could turn for so long (the process was stopped): every promise is due that much later."""
        for loop in self._due:
            self._due[loop] += seconds

    def late(self) -> tuple[str, ...]:
        """The loops that have broken their promise."""
        now = self._clock.monotonic()
        return tuple(sorted(loop for loop, due in self._due.items() if due < now))
