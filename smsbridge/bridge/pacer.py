"""One pacer per provider: calls in flight and calls per second, shared by whoever calls the carrier."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from smsbridge.clock import Clock
from smsbridge.core.pacing import TokenBucket
from smsbridge.providers.contract import Capabilities


class Pacer:
    """Sends, checks and look-ups of one account go through the same slots and the same bucket."""

    def __init__(self, capabilities: Capabilities, clock: Clock) -> None:
        self._slots = asyncio.Semaphore(capabilities.in_flight)
        self._bucket = TokenBucket(
            rate=capabilities.calls_per_second, burst=max(1, round(capabilities.calls_per_second))
        )
        self._interval = 1 / capabilities.calls_per_second
        self._spare_until = float("-inf")
        self._clock = clock

    async def enter(self) -> None:
        """Take a slot and wait for a token; `leave` gives the slot back."""
        await self._slots.acquire()
        if self._clock.monotonic() < self._spare_until:
            self._spare_until = float("-inf")
            return
        try:
            while (seconds := self._bucket.take(self._clock.monotonic())) > 0:  # noqa: ASYNC110
                await asyncio.sleep(seconds)  # the bucket says how long; there is no event
        except asyncio.CancelledError:
            self._slots.release()
            raise

    def leave(self, *, is_unused: bool = False) -> None:
        """Give the slot back; `is_unused`: no call was made, and the next to enter may have the token."""
        self._slots.release()
        if is_unused:  # after one interval the bucket has made up for the token by itself
            self._spare_until = self._clock.monotonic() + self._interval

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """A slot and a token around one call."""
        await self.enter()
        try:
            yield
        finally:
            self.leave()
