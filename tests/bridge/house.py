"""A whole bridge over a real database, with a clock to set, a store to break and a carrier that plays a script."""

import asyncio
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from smsbridge.bridge.bell import Bell
from smsbridge.bridge.commands import Commands
from smsbridge.bridge.desk import Desk, Rules
from smsbridge.bridge.dispatcher import Dispatcher
from smsbridge.bridge.handover import HandOver
from smsbridge.bridge.inbound import Inbound
from smsbridge.bridge.janitor import Janitor
from smsbridge.bridge.looking import Looking
from smsbridge.bridge.outbound import Outbound
from smsbridge.bridge.pacer import Pacer
from smsbridge.bridge.progress import Progress
from smsbridge.bridge.reconciler import Reconciler
from smsbridge.clock import Clock, to_ms
from smsbridge.core.address import Did, Peer
from smsbridge.core.doubt import Unknowns
from smsbridge.core.errors import StoreUnavailable
from smsbridge.core.line import Directory, Line
from smsbridge.core.message import (
    DeliveryReport,
    InboundMessage,
    Kind,
    Media,
    OutboundMessage,
    ProviderMessageId,
    ProviderName,
    ReportState,
    SentElsewhere,
    Source,
)
from smsbridge.metrics import Metrics
from smsbridge.store import deliveries
from smsbridge.store.database import sql
from smsbridge.store.ids import Ids
from smsbridge.store.migrations import migrate
from smsbridge.store.opening import open_database
from tests.fakes.lane import Lane
from tests.fakes.listing import ScriptedList
from tests.fakes.provider import ScriptedProvider

DOMAIN = "sms.example.com"
PATIENCE = 14  # seconds that no test should ever need; a loop that nobody rings for looks again after 15, or later
CARRIER = ProviderName("scripted")
ELSEWHERE = ProviderName("elsewhere")
JOHN, ANN, ADMIN = "john@example.com", "ann@example.com", "admin@example.com"
OWN, SHARED, OTHERS = Did("+15551230001"), Did("+15551230002"), Did("+15551230003")
PEER, FRIEND, THIRD = Peer("+15559870002"), Peer("+15559870003"), Peer("+15559870004")


def lines():
    """John has a number of his own and shares one with Ann; a third number is at another carrier."""
    return [
        Line(did=OWN, provider=CARRIER, owners=(JOHN,)),
        Line(did=SHARED, provider=CARRIER, owners=(JOHN, ANN)),
        Line(did=OTHERS, provider=ELSEWHERE, owners=(JOHN,)),
    ]


def rules(*its_lines, **changes):
    return Rules(directory=Directory(its_lines or lines()), admins=(ADMIN,), **changes)


def with_line(did, **changes):
    """The rules with one line changed."""
    return rules(*(replace(line, **changes) if line.did == did else line for line in lines()))


def inbound(text="hello", *, did=OWN, peer=PEER, pid="1", kind=Kind.SMS, media=(), **others):
    return InboundMessage(
        provider=CARRIER,
        source=others.pop("source", Source.WEBHOOK),
        kind=kind,
        did=did,
        peer=peer,
        provider_id=ProviderMessageId(pid) if pid else None,
        text=text,
        media=tuple(Media(url=url) for url in media),
        **others,
    )


def elsewhere(text="hello", *, did=OWN, peer=PEER, pid="901", kind=Kind.SMS, media=(), **others):
    """A row of a carrier's list of what was sent."""
    return SentElsewhere(
        provider=CARRIER,
        kind=kind,
        did=did,
        peer=peer,
        provider_id=ProviderMessageId(pid),
        text=text,
        media=tuple(Media(url=url) for url in media),
        **others,
    )


def outbound(text="hello", *, to=PEER, sid="s1", owner=JOHN, resource="phone", receipt=True, media=()):
    return OutboundMessage(
        owner=owner,
        sender=f"{owner}/{resource}",
        addressed=f"{to}@{DOMAIN}",
        stanza_id=sid,
        text=text,
        media=tuple(Media(url=url) for url in media),
        wants_receipt=receipt,
    )


def report(provider_id, state=ReportState.DELIVERED, *, kind=Kind.SMS, code=""):
    return DeliveryReport(
        provider=CARRIER, kind=kind, provider_id=ProviderMessageId(provider_id), state=state, code=code
    )


class Ticks:
    """Time that goes by when the test says so."""

    def __init__(self):
        self.now = datetime(2026, 10, 5, 18, 0, tzinfo=UTC)
        self.monotonic = 1000.0

    def advance(self, span):
        self.now += span
        self.monotonic += span.total_seconds()

    def clock(self):
        return Clock(now=lambda: self.now, monotonic=lambda: self.monotonic)


class Breakable:
    """A real store that fails when the test says so; `of` names the only work that it happens to."""

    def __init__(self, database, on_fault):
        self._database = database
        self._on_fault = on_fault
        self.refused = 0
        self.unanswered = 0
        self._of = ""
        self._statement = 0

    def refuse(self, times, of=""):
        """So many runs fail before they begin."""
        self.refused, self._of = times, of

    def lose_answers(self, times, of=""):
        """So many runs are committed, and seem not to be."""
        self.unanswered, self._of = times, of

    def break_at(self, statement, of=""):
        """The disk fails at this statement of the next run, counted from 1."""
        self._statement, self._of = statement, of

    async def run(self, work, /, *args, **kwargs):
        is_meant = not self._of or work.__name__ == self._of
        if is_meant and self.refused:
            self.refused -= 1
            self._on_fault()
            raise StoreUnavailable("the test says so")
        if is_meant and self._statement:
            broken, self._statement = self._statement, 0
            return await self._database.run(_break, work, broken, args, kwargs)
        result = await self._database.run(work, *args, **kwargs)
        if is_meant and self.unanswered:
            self.unanswered -= 1
            raise StoreUnavailable("the test says so")
        return result

    run_short = run

    async def wipe(self):
        await self._database.wipe()

    async def close(self):
        await self._database.close()


def _break(work, statements, args, kwargs):
    inner = work(*args, **kwargs)
    rows = None
    for _ in range(statements):
        try:
            statement = inner.send(rows)
        except StopIteration as stop:
            return stop.value  # it has fewer
        rows = yield statement
    raise StoreUnavailable("the test says so")


class WatchedBell:
    """A bell that tells whether somebody waits for it in vain."""

    def __init__(self, on_wait):
        self._bell = Bell()
        self._on_wait = on_wait
        self.is_awaited = False

    def ring(self):
        self.is_awaited = False
        self._bell.ring()

    async def wait(self, seconds):
        self.is_awaited = seconds > 0 and not self._bell._event.is_set()  # 0: a pause after a fault
        self._on_wait()
        await self._bell.wait(seconds)
        self.is_awaited = False


class House:
    """One life of the bridge."""

    def __init__(self, database, ticks, life):
        self.ticks, self.rules, self.metrics = ticks, rules(), Metrics()
        self.changed = asyncio.Event()
        self.store = Breakable(database, self.changed.set)
        self.stream_bell = Bell()
        self.senders_bell = WatchedBell(self.changed.set)
        self.reconciler_bell = Bell()
        self.ids = Ids(lambda: to_ms(ticks.now))
        self.desk = Desk(
            database=self.store,
            ids=self.ids,
            clock=ticks.clock(),
            metrics=self.metrics,
            domain=DOMAIN,
            holder=f"{DOMAIN}/{life}",
            rules=lambda: self.rules,
            wake_stream=lambda: (self.stream_bell.ring(), self.changed.set()),
            wake_senders=lambda: (self.senders_bell.ring(), self.changed.set()),
            uploads=lambda: self.uploads,
            load_file=self.load_file,
        )
        self.uploads, self.drawer = frozenset(), None
        self.provider = ScriptedProvider(on_call=self.changed.set)
        self.lane = Lane()
        self.inbound = Inbound(self.desk, self.lane)
        self.outbound = Outbound(self.desk, lambda: {CARRIER: self.provider.capabilities})
        self.handover = HandOver(self.desk, self.stream_bell)
        self.reconciler = Reconciler(self.desk, self.reconciler_bell)
        self.commands = Commands(self.desk)
        self.janitor = Janitor(self.desk)
        self.progress = Progress(self.desk)
        self.dispatcher = self.build_dispatcher()
        self._dispatching = None

    def look_up(self, listing=None, **unknowns):
        """From now on the carrier can be asked what it has sent; returns its list."""
        self.listing = listing or ScriptedList(self.desk.now)
        pacer = Pacer(self.provider.capabilities, self.desk.clock)
        looking = Looking(self.desk, CARRIER, self.listing, pacer)
        self.reconciler = Reconciler(self.desk, self.reconciler_bell, {CARRIER: looking})
        self.rules = replace(self.rules, unknowns={CARRIER: Unknowns(**unknowns)})
        return self.listing

    @classmethod
    async def open(cls, url, ticks, life):
        database = await open_database(url)
        await migrate(database)
        house = cls(database, ticks, life)
        house.ids.start_after(await database.run(deliveries.newest_id))
        return house

    async def load_file(self, file_id):
        """What is kept under an id: nothing, unless a test has a drawer."""
        return await self.drawer.get(file_id) if self.drawer else None

    def build_dispatcher(self):
        pacer = Pacer(self.provider.capabilities, self.desk.clock)
        return Dispatcher(
            self.desk,
            self.provider,
            self.provider,
            pacer,
            self.senders_bell,
            on_unknown=lambda: (self.reconciler_bell.ring(), self.changed.set()),
            roll=lambda: 0.0,
        )

    async def take(self, *events):
        await self.inbound.take(CARRIER, events)

    async def accept(self, *texts, **about):
        """Accept texts, each with a stanza id of its own."""
        for text in texts:
            await self.outbound.accept(outbound(text, **{"sid": f"id of {text}", **about}))

    def start(self):
        self._dispatching = asyncio.create_task(self.dispatcher.run())

    @asynccontextmanager
    async def dispatching(self):
        """The dispatcher at work; drained in the end."""
        self.start()
        try:
            yield
        finally:
            await self.drain()

    async def drain(self):
        self.dispatcher.drain()
        async with asyncio.timeout(PATIENCE):
            await self._dispatching

    async def dispatch(self):
        """Let the dispatcher do all that is due."""
        self.dispatcher = self.build_dispatcher()
        async with self.dispatching():
            await self.quiet()

    async def later(self, **span):
        """Time goes by, and the dispatcher looks again."""
        self.ticks.advance(timedelta(**span))
        self.senders_bell.ring()
        await self.quiet()

    async def quiet(self):
        """Until nothing is in flight and the dispatcher waits for something to happen."""

        async def is_quiet():
            is_busy = await self.rows(
                "SELECT 1 FROM outbox WHERE state = 'sending' AND claimed_by = $1", self.desk.holder
            )
            return self.senders_bell.is_awaited and not is_busy

        await self.until(is_quiet)

    async def until(self, holds):
        """Until it holds; asked again whenever something happened."""
        async with asyncio.timeout(PATIENCE):
            while True:
                self.changed.clear()
                if await holds():
                    return
                await self.changed.wait()

    async def called(self, count):
        """Until the carrier was called so many times."""

        async def enough():
            return len(self.provider.calls) >= count

        await self.until(enough)

    async def rows(self, text, *params):
        def read():
            return (yield sql(text, *params))

        return [dict(row) for row in await self.store._database.run(read)]

    async def wipe(self):
        """All that was stored is gone."""
        for table in (
            "outbox_key",
            "outbox",
            "enclosure",
            "message",
            "media",
            "delivery",
            "inbox_key",
            "inbox",
            "binding",
        ):
            await self.rows(f"DELETE FROM {table}")  # noqa: S608

    async def states(self):
        """The parts' states, oldest first."""
        return [row["state"] for row in await self.rows("SELECT state FROM outbox ORDER BY id")]

    async def told(self, *kinds):
        """Deliveries as (kind, to, from, body or what it answers), oldest first."""
        rows = await self.rows("SELECT * FROM delivery ORDER BY id")
        return [
            (row["kind"], row["to_jid"], row["sender"], row["about"] if row["kind"] == "receipt" else row["body"])
            for row in rows
            if not kinds or row["kind"] in kinds
        ]

    async def is_empty(self):
        """No text and no delivery was taken in."""
        counts = [
            (await self.rows(f"SELECT count(*) AS n FROM {table}"))[0]["n"]  # noqa: S608
            for table in (
                "message",
                "outbox",
                "outbox_key",
                "binding",
                "conversation",
                "inbox",
                "inbox_key",
                "delivery",
            )
        ]
        return not any(counts)

    async def hand_all(self):
        """What the stream does when all goes well; returns what it handed."""
        batch = await self.claim(1000)
        await self.handover.hand([row.id for row in batch])
        return batch

    async def claim(self, limit=10, render=lambda row: row.stanza_id.encode()):
        """What the stream may write now."""
        return [item.delivery for item in (await self.handover.claim(limit, render)).rendered]

    async def kill(self):
        """As `kill -9` would: nothing is finished, nothing more is written."""
        if self._dispatching is not None:
            self._dispatching.cancel()
            with suppress(asyncio.CancelledError):
                await self._dispatching
        await self.store.close()
