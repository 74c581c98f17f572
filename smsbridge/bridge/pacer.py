"""One pacer per provider: calls in flight and calls per second, shared by whoever calls the carrier.

Sends go before look-ups, look-ups before polls; who has waited for long goes before all. Listings are slow, so that no
more than one of them holds a slot.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from smsbridge.clock import Clock
from smsbridge.core.pacing import TokenBucket
from smsbridge.providers.contract import Capabilities

PATIENCE: Final = 15.0  # seconds


class Rank(IntEnum):
    """What a call is for, the most urgent first."""

    SEND = 0
    TRACE = 1
    POLL = 2


class Pacer:
    """Sends, checks and look-ups of one account go through the same slots and the same bucket."""

    def __init__(self, capabilities: Capabilities, clock: Clock) -> None:
        self._slots = _Slots(capabilities.in_flight, clock)
        self._listings = _Slots(1, clock)
        self._bucket = TokenBucket(
            rate=capabilities.calls_per_second, burst=max(1, round(capabilities.calls_per_second))
        )
        self._interval = 1 / capabilities.calls_per_second
        self._spare_until = float("-inf")
        self._clock = clock

    async def enter(self, rank: Rank = Rank.SEND) -> None:
        """Take a slot and wait for a token; `leave` gives the slot back."""
        await self._slots.take(rank)
        if self._clock.monotonic() < self._spare_until:
            self._spare_until = float("-inf")
            return
        try:
            while (seconds := self._bucket.take(self._clock.monotonic())) > 0:  # noqa: ASYNC110
                await asyncio.sleep(seconds)  # the bucket says how long; there is no event
        except asyncio.CancelledError:
            self._slots.give_back()
            raise

    def leave(self, *, is_unused: bool = False) -> None:
        """Give the slot back; `is_unused`: no call was made, and the next to enter may have the token."""
        self._slots.give_back()
        if is_unused:  # after one interval the bucket has made up for the token by itself
            self._spare_until = self._clock.monotonic() + self._interval

    @asynccontextmanager
    async def slot(self, rank: Rank = Rank.SEND) -> AsyncIterator[None]:
        """A slot and a token around one call."""
        await self.enter(rank)
        try:
            yield
        finally:
            self.leave()

    @asynccontextmanager
    async def listing(self, rank: Rank) -> AsyncIterator[None]:
        """The slot of listings and a token around the calls of one look, made one after another."""
        await self._listings.take(rank)
        try:
            await self.enter(rank)
            try:
                yield
            finally:
                self.leave()
        finally:
            self._listings.give_back()


@dataclass(frozen=True, slots=True)
class _Waiter:
    rank: Rank
    since: float
    turn: asyncio.Future[None]

    def rank_at(self, now: float) -> Rank:
        return Rank.SEND if now - self.since > PATIENCE else self.rank


class _Slots:
    """So many at once; of those who wait the most urgent is next, among equals the first."""

    def __init__(self, count: int, clock: Clock) -> None:
        self._free = count
        self._clock = clock
        self._waiters: list[_Waiter] = []

    async def take(self, rank: Rank) -> None:
        if self._free:
            self._free -= 1
            return
        waiter = _Waiter(rank, self._clock.monotonic(), asyncio.get_running_loop().create_future())
        self._waiters.append(waiter)
        try:
            await waiter.turn
        except asyncio.CancelledError:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
            else:
                self.give_back()  # it was ours already
            raise

    def give_back(self) -> None:
        now = self._clock.monotonic()
        waiting = [waiter for waiter in self._waiters if not waiter.turn.done()]
        if not waiting:
            self._free += 1
            return
        chosen = min(waiting, key=lambda waiter: waiter.rank_at(now))
        self._waiters.remove(chosen)
        chosen.turn.set_result(None)
