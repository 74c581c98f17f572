"""Client to carrier: how fast texts leave, whether their order is kept, and how long one takes.

Two loads: all texts typed at once (throughput, order), then one at a time in each conversation, the next when the tick
of the last is there (latency without a queue).
"""

import asyncio
import json
import time
from itertools import pairwise

from tests.bench.figures import Figures
from tests.bench.house import COMPONENT, get
from tests.bench.inbound import Broken, Numbers
from tests.bench.posts import peer_of
from tests.bench.streams import Reader


class Outbound:
    """Texts from one client through one bridge to one carrier."""

    def __init__(self, reader: Reader, carrier_port: int, numbers: Numbers) -> None:
        self._reader = reader
        self._carrier_port = carrier_port
        self._numbers = numbers

    async def set_latency(self, seconds: float) -> None:
        await get(self._carrier_port, f"/latency/{seconds}")

    async def flood(self, figures: Figures, key: str, *, conversations: int, count: int) -> None:
        """All at once."""
        numbers = self._take(count)
        began = time.monotonic()
        for n in numbers:
            self._reader.type(self._contact(n, conversations), n)
        await self._told(numbers)
        ledger = await self._ledger(numbers)
        figures.put(f"{key}_texts_per_second", count / (ledger[-1][1] - began))
        if inversions := _inversions([n for n, _ in ledger], conversations):
            raise Broken(f"{inversions} texts overtook an earlier one of their conversation")

    async def closed(self, figures: Figures, key: str, *, conversations: int, rounds: int) -> None:
        """One in each conversation at a time."""
        numbers = self._take(conversations * rounds)
        typed_at: dict[int, float] = {}

        async def talk(mine: range) -> None:
            for n in mine:
                typed_at[n] = time.monotonic()
                self._reader.type(self._contact(n, conversations), n)
                await self._told([n])

        async with asyncio.TaskGroup() as tasks:
            for first in range(conversations):
                tasks.create_task(talk(numbers[first::conversations]))
        ledger = await self._ledger(numbers)
        figures.put_latency(f"{key}_carrier", [at - typed_at[n] for n, at in ledger])

    async def lone(self, figures: Figures, key: str, *, count: int, every: float) -> None:
        """One text now and then."""
        typed_at: dict[int, float] = {}
        numbers = self._take(count)
        for n in numbers:
            typed_at[n] = time.monotonic()
            self._reader.type(self._contact(n, 1), n)
            await asyncio.sleep(every)
        await self._told(numbers)
        ledger = await self._ledger(numbers)
        figures.put_latency(f"{key}_carrier", [at - typed_at[n] for n, at in ledger])

    def _take(self, count: int) -> range:
        first = self._numbers.take(count)
        return range(first, first + count)

    @staticmethod
    def _contact(n: int, conversations: int) -> str:
        return f"{peer_of(n, conversations)}@{COMPONENT}"

    async def _told(self, numbers: "range | list[int]") -> None:
        try:
            await self._reader.until_receipts(numbers)
        except RuntimeError as error:
            raise Broken(f"ticks: {error}, and {self._reader.errors} errors came") from None

    async def _ledger(self, numbers: range) -> list[tuple[int, float]]:
        rows = [(int(n), float(at)) for n, at in json.loads(await get(self._carrier_port, "/ledger"))]
        if sorted(n for n, _ in rows) != list(numbers):
            raise Broken(f"{len(numbers)} texts were typed, the carrier has {len(rows)}")
        return rows


def _inversions(order: list[int], conversations: int) -> int:
    """How often a text came to the carrier before one that was typed earlier in the same conversation."""
    by_conversation: dict[str, list[int]] = {}
    for n in order:
        by_conversation.setdefault(peer_of(n, conversations), []).append(n)
    return sum(later < earlier for texts in by_conversation.values() for earlier, later in pairwise(texts))
