"""The stream: connect, hand-shake, watch, connect again; the only owner of a `ComponentXMPP`.

    connecting ─session_start─▶ up ──────────────────────▶ gone ─back-off─▶ connecting
        │ refused, silent, wrong secret      fence unanswered, stream error, end of stream, `close`

slixmpp never connects a dropped component again and has no deadline for the handshake (1.17): both are done here, one
connection after another on one stream object. A new one starts only after the last has said `disconnected`, or its
late end would take the new one with it. A server that refuses us is a fault of configuration: told once, tried slowly.
Whatever is ours goes through `send_raw`, which keeps its order; slixmpp's own `send` has a queue, and would be
overtaken by a fence.
"""

import asyncio
import contextlib
import random
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from slixmpp import ComponentXMPP
from slixmpp.xmlstream import StanzaBase

from smsbridge.bridge.handover import HandOver, Lane
from smsbridge.bridge.pulse import Pulse
from smsbridge.clock import Clock
from smsbridge.core.message import Delivery
from smsbridge.core.pacing import CONFIG_FAULT_BACKOFF, RECONNECT_BACKOFF
from smsbridge.log import Event, Log
from smsbridge.metrics import Metrics
from smsbridge.xmpp import compat
from smsbridge.xmpp.asking import Asking, uptime
from smsbridge.xmpp.clients import ping_client, sight_of
from smsbridge.xmpp.fence import Fence
from smsbridge.xmpp.handing import Handing
from smsbridge.xmpp.oracles import starts_slowly
from smsbridge.xmpp.privileges import Privileges
from smsbridge.xmpp.promises import Promises
from smsbridge.xmpp.proving import Proving
from smsbridge.xmpp.safekeeping import Safekeeping
from smsbridge.xmpp.suspicion import death_of

STEADY_SECONDS: Final = 5.0  # a session that lived so long ends the back-off
GOODBYE_SECONDS: Final = 2.0
TURN_SECONDS: Final = 120.0  # a loop that has not turned for so long hangs

# Stream errors that no waiting will cure, with what to look at.
CONFIG_FAULTS: Final = {
    "not-authorized": (
        "the server refuses our secret: compare it with the component's secret in the server's configuration "
        "(ejabberd says the same of a component that it does not know)"
    ),
    "host-unknown": "the server has no such component: compare our JID with the server's configuration",
    "conflict": (
        "another connection holds our JID: look for a second smsbridge; on Prosody set "
        'component_conflict_resolve = "kick_old", so that a dead connection cannot lock us out'
    ),
}

_log = Log("xmpp")


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSettings:
    """Where the server listens for components, and how long it may take. `ping`: a host of the server that answers."""

    jid: str
    secret: str = field(repr=False)
    host: str
    port: int
    ping: str
    handshake_seconds: float = 5.0
    fence_seconds: float = 10.0
    idle_seconds: float = 30.0
    batch: int = 50
    window: int = 300  # what may be shown twice if we are killed; at the pace of people it is one or two


@dataclass(slots=True, kw_only=True)
class _Connection:
    """One connection, from the first packet to the last."""

    decided: asyncio.Event = field(default_factory=asyncio.Event)  # it is up, or never will be
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    opened_at: float | None = None
    lived: float = 0.0
    condition: str = ""
    why: str = ""
    by_us: bool = False
    is_narrowing: bool = False

    @property
    def is_up(self) -> bool:
        return self.opened_at is not None and not self.by_us and not self.gone.is_set()

    def end(self, why: str) -> None:
        """We end it; the first reason counts."""
        self.by_us = True
        self.why = self.why or why


def _fence_of(settings: StreamSettings) -> Fence:
    return Fence(
        jid=settings.jid,
        ping=settings.ping,
        prefix=_secret_prefix("fence"),
        seconds=settings.fence_seconds,
        idle=settings.idle_seconds,
    )


def _secret_prefix(name: str) -> str:
    """Of the ids of one process: whoever knows it could forge an answer."""
    return f"{name}-{secrets.token_hex(12)}-"


class Component:
    """The bridge's place on the XMPP server. `install` registers handlers; it is called once, before connecting."""

    def __init__(
        self,
        settings: StreamSettings,
        *,
        handover: HandOver,
        render: Callable[[Delivery], bytes],
        install: Callable[[ComponentXMPP, Callable[[bytes], None]], None],
        metrics: Metrics,
        clock: Clock,
        pulse: Pulse | None = None,
        promises: Callable[[Asking, Callable[[bytes], None]], Promises] | None = None,
        privileges: Privileges | None = None,
        roll: Callable[[], float] = random.random,
    ) -> None:
        """`promises` makes the one that looks at the server; without it nobody does."""
        self._settings = settings
        self._install = install
        self._metrics = metrics
        self._clock = clock
        self._pulse = pulse or Pulse(clock)
        self._roll = roll
        self._fence = _fence_of(settings)
        self.asking = Asking(jid=settings.jid, prefix=_secret_prefix("ask"), write=self._write)
        self._privileges = privileges or Privileges()
        self.safekeeping = Safekeeping(jid=settings.jid, asking=self.asking)
        self._promises = promises(self.asking, self._write) if promises is not None else None
        self._proving = Proving(
            prover=handover,
            ping=lambda sender, client: ping_client(self.asking, sender, client, domain=settings.jid),
            uptime=lambda: uptime(self.asking, settings.ping),
            starts_slowly=lambda: starts_slowly(self.asking, settings.ping),
            clock=clock,
            roll=roll,
        )
        self._handing = Handing(
            handover=handover,
            render=render,
            fence=self._fence,
            is_up=lambda: self.is_up,
            write=self._write,
            on_handed=self._proving.handed,
            pulse=self._pulse,
            clock=clock,
            roll=roll,
            batch=settings.batch,
            window=settings.window,
            idle=settings.idle_seconds,
        )
        self._stream: ComponentXMPP | None = None
        self._connection = _Connection()
        self._stirred = asyncio.Event()  # the fence was written or answered: another time is due
        self._closing = asyncio.Event()
        self._opened = asyncio.Event()
        self._down_since: datetime | None = clock.now()
        self._ended = asyncio.Event()
        self._ended.set()
        self._failures = 0
        self._told = ""
        self._had_last_word = False  # the server ended the last stream and lived

    @property
    def is_up(self) -> bool:
        """Whether the session is open and ours."""
        return self._connection.is_up

    @property
    def down_since(self) -> datetime | None:
        """Since when there is no session; None while there is one."""
        return self._down_since

    @property
    def lane(self) -> Lane:
        """Where fresh deliveries may go without a claim."""
        return self._handing

    async def opened(self) -> None:
        """Return when the session is open."""
        await self._opened.wait()

    def send(self, xml: bytes) -> None:
        """Write a whole stanza now and keep nothing of it; while the stream is down it is dropped."""
        if self.is_up:
            self._write(xml)

    async def run(self) -> None:
        """Keep the stream open until `close`."""
        if self._closing.is_set():
            return
        settings = self._settings
        self._ended.clear()
        stream = self._stream = compat.make_stream(settings.jid, settings.secret, settings.host, settings.port)
        try:
            self._listen(stream)
            self._install(stream, self.send)
            compat.require_no_forbidden_plugin(stream)
            async with asyncio.TaskGroup() as tasks:
                settling = tasks.create_task(self._handing.settle())
                while not self._closing.is_set():
                    await self._live(stream)
                    await self._pause()
                await self._handing.drain(settings.fence_seconds)
                settling.cancel()
        finally:
            self._connection.end("ended")
            self._pulse.rest("stream")
            self._metrics.stream_up.set(0)
            compat.retire(stream)
            self._ended.set()

    async def close(self, goodbye: Callable[[], None] = lambda: None) -> None:
        """Take nothing new, let what is written be proved, then leave in order; returns when `run` has ended.

        `goodbye` writes what comes last but our footer; after that the server refuses what users write, visibly.
        """
        self._closing.set()
        if self.is_up:
            await self._handing.drain(self._settings.fence_seconds)
            await self.safekeeping.drain(self._settings.fence_seconds)
        connection, stream = self._connection, self._stream
        connection.decided.set()
        if connection.is_up and stream is not None:
            goodbye()
            stream.send_raw(stream.stream_footer)
            connection.end("closed")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GOODBYE_SECONDS):
                    await connection.gone.wait()
            compat.hang_up(stream)
        await self._ended.wait()

    async def _live(self, stream: ComponentXMPP) -> None:
        """One connection, from the first packet until the last is gone."""
        self._pulse.beat("stream", TURN_SECONDS)
        connection = self._connection = _Connection()
        settings = self._settings
        stream.connect(settings.host, settings.port)
        try:
            async with asyncio.timeout(settings.handshake_seconds):
                await connection.decided.wait()
        except TimeoutError:
            connection.end("no handshake in time")
        if connection.is_up and not self._closing.is_set():
            await self._serve(stream, connection)
        elif not connection.is_up:
            self._had_last_word = False  # nobody is there: it may have died after all
        if compat.hang_up(stream):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(GOODBYE_SECONDS):
                    await connection.gone.wait()

    async def _serve(self, stream: ComponentXMPP, connection: _Connection) -> None:
        self._told, self._down_since = "", None
        self._opened.set()
        self._metrics.streams_opened.inc()
        self._metrics.stream_up.set(1)
        _log.info(Event.STREAM_OPENED, jid=self._settings.jid)
        self._ask()  # learn at once how this server answers
        async with asyncio.TaskGroup() as tasks:
            jobs = (self.safekeeping.run(), self._work(), self._watch(stream, connection))
            workers = [tasks.create_task(job) for job in jobs]
            if self._promises is not None:
                workers.append(tasks.create_task(self._promises.run()))
            await connection.gone.wait()
            for worker in workers:
                worker.cancel()
        self.safekeeping.lost()
        self.asking.lost()
        self._privileges.lost()
        self._down_since = self._clock.now()
        self._opened.clear()
        self._metrics.stream_up.set(0)
        self._had_last_word = connection.condition not in {"", "system-shutdown"}
        connection.is_narrowing = self._handing.lost(death_of(connection.condition, by_us=connection.by_us))

    async def _work(self) -> None:
        """What a former server may have lost goes before what is new."""
        await self._handing.settled()  # what was proved and not committed would be doubted, or escape the doubt
        await self._proving.judge(had_last_word=self._had_last_word)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._proving.run())
            tasks.create_task(self._handing.pump())

    async def _watch(self, stream: ComponentXMPP, connection: _Connection) -> None:
        """Ask when it is quiet; hang up when no answer comes."""
        while connection.is_up:
            self._pulse.beat("stream", TURN_SECONDS)
            wait = self._fence.due_at() - self._clock.monotonic()
            if wait > 0:
                self._stirred.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(wait):
                        await self._stirred.wait()
            elif not self._fence.is_waiting:
                self._ask()
            elif self._fence.fall_back(self._clock.monotonic()):
                _log.warning(Event.FENCE_FELL_BACK, ping=self._settings.ping)
                self._ask()
            else:
                _log.warning(Event.FENCE_TIMED_OUT, seconds=self._settings.fence_seconds)
                connection.end("fence timed out")
                compat.hang_up(stream)

    def _ask(self) -> None:
        self._write(self._fence.seal((), self._clock.monotonic()))

    def _write(self, xml: bytes) -> None:
        if self._stream is not None and self._stream.transport is not None:
            self._stream.send_raw(xml)
            self._stirred.set()

    async def _pause(self) -> None:
        """Tell what happened and wait before the next connection, less if `close` is called."""
        delay = self._judge(self._connection)
        self._pulse.beat("stream", delay + TURN_SECONDS)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await self._closing.wait()

    def _judge(self, connection: _Connection) -> float:
        """Tell why the connection ended unless that is known, and say how long to wait."""
        # A bad stanza that is being looked for needs many short sessions, and each brings the end nearer.
        fresh = connection.lived >= STEADY_SECONDS or connection.is_narrowing
        self._failures = 1 if fresh else self._failures + 1
        fault = CONFIG_FAULTS.get(connection.condition)
        reason = connection.condition or connection.why
        delay = (CONFIG_FAULT_BACKOFF if fault else RECONNECT_BACKOFF).delay(self._failures, self._roll())
        if self._closing.is_set() or reason == self._told:
            return delay
        self._told = reason
        if fault:
            _log.error(Event.STREAM_REFUSED, condition=reason, look_at=fault)
        else:
            server = f"{self._settings.host}:{self._settings.port}"
            _log.warning(Event.STREAM_LOST, why=reason, server=server, seconds=round(connection.lived, 1))
        return delay

    def _listen(self, stream: ComponentXMPP) -> None:
        stream.add_filter("in", self._take_answer)
        stream.add_event_handler("session_start", self._session_started)
        stream.add_event_handler("stream_error", self._stream_failed)
        stream.add_event_handler("connection_failed", self._connection_failed)
        stream.add_event_handler("disconnected", self._disconnected)

    def _take_answer(self, stanza: StanzaBase) -> StanzaBase | None:
        # A filter, not a handler for each ping: those are all tried on every stanza that comes in.
        stanza_id = stanza.xml.get("id", "")
        if self._fence.owns(stanza_id):
            self._privileges.settle()
            self._handing.pong(stanza_id)
            self._stirred.set()
            return None
        if self._privileges.take(stanza.xml):
            return None
        if self.asking.take(stanza.xml) or (self._promises is not None and self._promises.take(stanza.xml)):
            return None
        if (sight := sight_of(stanza.xml)) is not None:
            self._proving.see(sight.client, is_there=sight.is_there)
            if self._promises is not None and sight.contact:
                self._promises.see(sight.client, sight.contact)
        return stanza

    def _session_started(self, _event: object) -> None:
        self._connection.opened_at = self._clock.monotonic()
        self._connection.decided.set()

    def _stream_failed(self, error: StanzaBase) -> None:
        self._connection.condition = compat.stream_condition(error) or "undefined-condition"

    def _connection_failed(self, error: object) -> None:
        self._connection.why = str(error)
        self._connection.decided.set()

    def _disconnected(self, reason: object) -> None:
        connection = self._connection
        connection.why = connection.why or str(reason or "connection closed")
        if connection.opened_at is not None:
            connection.lived = self._clock.monotonic() - connection.opened_at
        connection.gone.set()
        connection.decided.set()
