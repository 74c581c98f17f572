"""The process that is traced: a house over SQLite that takes, accepts, sends, hands and forgets, and says so.

    python -m tests.bench.crashing.worker DIRECTORY SEED STEPS [never]

With `never` its commits are not synced: what judges the states must find that out.

What it says is one line in `said` each, written when somebody outside could know of it: `answered` when a webhook was
thanked, `accepted` when a text was taken, `called` when the carrier is called, `settled` when that came to its end,
`handed` when a stanza is the server's.
"""

import asyncio
import os
import random
import sqlite3
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from smsbridge.core.address import Peer
from smsbridge.core.errors import Deferred, Indeterminate, Reason, Rejected
from smsbridge.store import deliveries, sqlite
from smsbridge.tenure import Place, settle_in
from tests.bridge.house import DOMAIN, SHARED, House, Ticks, inbound, outbound

LIVES = 3
STEP = timedelta(minutes=3)
FILE = "bridge.db"
SAID = "said"


def place(directory: Path, ticks: Ticks, life: str) -> Place:
    return Place(
        url=f"sqlite:///{directory / FILE}",
        password=None,
        name=DOMAIN,
        holder=f"{DOMAIN}/{life}",
        clock=ticks.clock(),
        observe_commit=lambda _: None,
    )


class Worker:
    """One life; the numbers go on from life to life."""

    def __init__(self, house: House, rng: random.Random, say: Callable[[str], None], life: int) -> None:
        self._house, self._rng, self._say = house, rng, say
        self._number = life * 10_000
        self._open: list[str] = []
        send = house.provider.send

        async def told_send(part):
            say(f"called {part.text.split()[0]} {part.attempt}")
            return await send(part)

        house.provider.send = told_send

    def _next(self) -> str:
        self._number += 1
        self._house.ticks.advance(STEP)
        return str(self._number)

    async def take(self) -> None:
        await asyncio.gather(*(self._take(self._next()) for _ in range(self._rng.randint(1, 6))))

    async def _take(self, number: str) -> None:
        text = f"{number} " + "y" * self._rng.choice((5, 100, 3000))
        await self._house.take(inbound(text, pid=number, peer=_peer(number), did=SHARED))
        self._say(f"answered {number}")

    async def accept(self) -> None:
        await asyncio.gather(*(self._accept(self._next()) for _ in range(self._rng.randint(1, 3))))

    async def _accept(self, number: str) -> None:
        outcome = self._rng.choice(
            (None, None, Indeterminate("timeout"), Rejected(Reason.INVALID_DESTINATION, "no"), _down())
        )
        if outcome is not None:
            self._house.provider.script(_peer(number), outcome)
        text = f"{number} " + "x" * self._rng.choice((5, 100))
        await self._house.outbound.accept(outbound(text, to=_peer(number), sid=number))
        self._say(f"accepted {number}")
        self._open.append(number)

    async def send(self) -> None:
        await self._house.dispatch()
        for row in await self._house.rows("SELECT text, state FROM outbox WHERE state IN ('sent', 'failed')"):
            if (number := row["text"].split()[0]) in self._open:
                self._open.remove(number)
                self._say(f"settled {number} {row['state']}")

    async def hand(self) -> None:
        batch = await self._house.claim(self._rng.randint(1, 20))
        await self._house.handover.hand([row.id for row in batch])
        for row in batch:
            self._say(f"handed {row.id}")

    async def wipe(self) -> None:
        await self._house.store.wipe()


def _down() -> Deferred:
    return Deferred(Reason.PROVIDER_DOWN, "down")


def _peer(number: str) -> Peer:
    return Peer(f"+1555{int(number):07d}")


async def live(directory: Path, rng: random.Random, steps: int, life: int, say: Callable[[str], None]) -> None:
    ticks = Ticks()
    async with settle_in(place(directory, ticks, f"life-{life}"), asyncio.Event()) as tenure:
        assert tenure is not None
        house = House(tenure.database, ticks, f"life-{life}")
        house.ids.start_after(await tenure.database.run(deliveries.newest_id))
        worker = Worker(house, rng, say, life)
        doings = (worker.take, worker.take, worker.accept, worker.send, worker.hand, worker.wipe)
        for _ in range(steps):
            await rng.choice(doings)()
            await tenure.renew()


async def main(directory: Path, seed: int, steps: int) -> None:
    rng = random.Random(seed)  # noqa: S311  # a run can be played again
    said = os.open(directory / SAID, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for life in range(LIVES):
        await live(directory, rng, steps // LIVES, life + 1, lambda words: os.write(said, f"{words}\n".encode()))


def _never_sync() -> None:
    prepare = sqlite._prepare

    def prepared(connection: sqlite3.Connection) -> None:
        prepare(connection)
        connection.execute("PRAGMA synchronous = OFF")

    sqlite._prepare = prepared


if __name__ == "__main__":
    if sys.argv[4:] == ["never"]:
        _never_sync()
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
