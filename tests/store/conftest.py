"""A real store, over each driver in turn, a clock that is set by hand, and short words for what tests do most."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from smsbridge.clock import to_ms
from smsbridge.core.address import Did, Peer
from smsbridge.core.errors import Hold
from smsbridge.core.line import Receipts
from smsbridge.core.message import Kind, Media, MessageId, Part, PartId, ProviderName
from smsbridge.core.state import PartEvent, PartState
from smsbridge.store import claims, holds, outbox, retention
from smsbridge.store.database import Database, Row, Transaction, sql
from smsbridge.store.holds import HoldRow
from smsbridge.store.ids import Ids
from smsbridge.store.migrations import migrate
from smsbridge.store.opening import open_database
from smsbridge.store.outbox import StoredMessage
from smsbridge.store.sqlite import SqliteDatabase
from tests.fakes.waiting import PATIENCE

DID, PEER, VOIPMS = Did("+15551230001"), Peer("+15559870002"), ProviderName("voipms")


@dataclass
class SetClock:
    """It stands still until it is moved."""

    now: datetime = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

    def move(self, **span: float) -> datetime:
        self.now += timedelta(**span)
        return self.now


@dataclass
class House:
    """A store and those who work in it."""

    database: Database
    clock: SetClock
    ids: Ids
    holder: str = "bridge/now"
    lease: timedelta = timedelta(minutes=3)
    texts: int = field(default=0)

    @property
    def now(self) -> datetime:
        return self.clock.now

    async def run(self, work: Callable[..., Transaction[Any]], *args: Any, **kwargs: Any) -> Any:
        async with asyncio.timeout(PATIENCE):
            return await self.database.run(work, *args, **kwargs)

    async def do(self, work: Callable[..., Transaction[Any]], *args: Any, **kwargs: Any) -> Any:
        """Run what takes the ids and the time first."""
        return await self.run(work, self.ids, self.now, *args, **kwargs)

    async def rows(self, text: str, *params: Any) -> list[Row]:
        def read() -> Transaction[Sequence[Row]]:
            return (yield sql(text, *params))

        return [dict(row) for row in await self.run(read)]

    async def count(self, table: str) -> int:
        return len(await self.rows(f"SELECT * FROM {table}"))  # noqa: S608

    async def accept(
        self,
        *texts: str,
        peer: Peer = PEER,
        did: Did = DID,
        provider: ProviderName = VOIPMS,
        key: str = "",
        media: tuple[Media, ...] = (),
        told: str = "",
    ) -> StoredMessage:
        """A person's text, cut into these parts."""
        self.texts += 1
        message = StoredMessage(
            id=MessageId(self.ids.new()),
            domain="sms.example.com",
            owner="john@example.com",
            sender="john@example.com/phone",
            addressed=f"{peer}@sms.example.com",
            stanza_id=f"stanza-{self.texts}",
            did=did,
            receipts=Receipts.ACCEPTED,
            wants_receipt=True,
            told=told,
            accepted_at=self.now,
        )
        pieces = [(Kind.MMS if media else Kind.SMS, text, media) for text in texts or ("hello",)]
        await self.do(outbox.accept, message, key, pieces, provider, peer)
        return message

    async def claim(self, *, provider: ProviderName = VOIPMS, is_probe: bool = False) -> Part | None:
        return await self.do(claims.claim, provider, self.holder, self.lease, is_probe=is_probe)

    async def move(self, part: Part | PartId, event: PartEvent, **more: Any) -> PartState | None:
        part_id = part if isinstance(part, str) else part.id
        return await self.do(outbox.move, "test", part_id, event, **more)

    async def forget(self, spans: retention.Spans) -> None:
        place: retention.Place | None = retention.BEGIN
        while place is not None:
            place = await self.run(retention.forget, self.now, spans, place)

    async def states(self, message: StoredMessage) -> list[PartState]:
        return [part.state for part in await self.run(outbox.parts_of, message.id)]

    async def hold(
        self, kind: Hold, *, did: Did = holds.WHOLE_ACCOUNT, provider: ProviderName = VOIPMS, probe_after: float = 60
    ) -> int:
        row = HoldRow(
            provider=provider,
            did=did,
            hold=kind,
            reason="account_fault",
            code="invalid_credentials",
            words="The carrier does not know us.",
            since=self.now,
            probes=0,
        )
        return await self.do(holds.put_on, row, timedelta(seconds=probe_after))


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def ids(clock: SetClock) -> Ids:
    return Ids(lambda: to_ms(clock.now))


@pytest.fixture
async def database(store_url: str) -> AsyncIterator[Database]:
    opened = await open_database(store_url)
    async with asyncio.timeout(PATIENCE):
        await migrate(opened)
    yield opened
    async with asyncio.timeout(PATIENCE):
        await opened.close()


@pytest.fixture
def house(database: Database, clock: SetClock, ids: Ids) -> House:
    return House(database=database, clock=clock, ids=ids)


@pytest.fixture
def house_of() -> Callable[[Database], House]:
    """For those who open their own store: a house with a clock of its own."""

    def building(database: Database) -> House:
        clock = SetClock()
        return House(database=database, clock=clock, ids=Ids(lambda: to_ms(clock.now)))

    return building


@pytest.fixture
def gather() -> Callable[[SqliteDatabase], AbstractAsyncContextManager[None]]:
    """`async with gather(store):` what is asked for inside lands in one group, and runs at its end."""

    @asynccontextmanager
    async def gathering(store: SqliteDatabase) -> AsyncIterator[None]:
        loop, is_held, gate = asyncio.get_running_loop(), asyncio.Event(), threading.Event()

        def hold_up() -> Transaction[None]:
            loop.call_soon_threadsafe(is_held.set)
            gate.wait(10)
            yield sql("SELECT 1")

        holding = asyncio.ensure_future(store.run(hold_up))
        try:
            await is_held.wait()
            yield
            await asyncio.sleep(0)  # whatever was begun inside has asked by then
        finally:
            gate.set()
            await asyncio.wait([holding])

    return gathering
