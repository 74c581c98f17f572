"""Proof that what the server has handled would outlive the server.

A fence proves that a stanza was handled. For a recipient who is online that may mean that it lies in the memory of a
session (ejabberd writes its archive there, a moment later), and a server that dies then loses it. It is safe

- when every client of its recipient that we know has answered a ping that went the same way after it, or
- when the server has lived for `SETTLE` since.

    handed ─ping each client─▶ all answered ──▶ proved
       │         └ a client is gone, silent, or none is known: after SETTLE ──▶ proved
       └ stream lost, stream opened, the server is younger than the hand-over ──▶ handing, the same bytes and id

So each new stream begins with the question how long the server has been up (XEP-0012). A server that does not tell is
taken to have died with its stream, unless it had told us why it closed it: better twice than never.

ejabberd 23.01 drops what comes for users while its first database queries race, and answers the fence all the same: it
is given some seconds after its start.
"""

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from typing import Final, NamedTuple, Protocol

from smsbridge.clock import Clock
from smsbridge.core.errors import StoreUnavailable
from smsbridge.core.message import DeliveryId
from smsbridge.core.pacing import RECONNECT_BACKOFF
from smsbridge.log import Event, Log

SETTLE: Final = timedelta(seconds=60)
YOUNG_SECONDS: Final = 5.0
UPTIME_ERROR: Final = timedelta(seconds=1)  # it may be the difference of two instants cut to whole seconds
JUMP_SECONDS: Final = 1.0
PACE_SECONDS: Final = 0.25  # a busy recipient is pinged once for what came meanwhile
TICK_SECONDS: Final = 10.0
MAX_QUEUE: Final = 1000  # of one recipient; what is beyond it waits for SETTLE
MAX_OWNERS: Final = 4096
MAX_CLIENTS: Final = 8  # of one owner
EPOCH: Final = datetime.fromtimestamp(0, UTC)

_log = Log("xmpp")


class Reply(Enum):
    """What came of a ping to a client."""

    ANSWERED = auto()
    GONE = auto()  # the server answered in its place, or it cannot be pinged
    SILENT = auto()


class Prover(Protocol):
    """What the store is told; both raise `StoreUnavailable`."""

    async def prove(self, ids: Sequence[DeliveryId], before: datetime) -> None: ...
    async def doubt(self, until: datetime, *, is_guess: bool) -> int: ...


class Handed(NamedTuple):
    """A delivery whose fence was answered. `sender` is the number that it came from, and that its client knows."""

    id: DeliveryId
    to_jid: str
    sender: str


class Proving:
    """`judge` when a stream has opened and before it is used, `run` as long as it lasts."""

    def __init__(
        self,
        *,
        prover: Prover,
        ping: Callable[[str, str], Awaitable[Reply]],
        uptime: Callable[[], Awaitable[float | None]],
        starts_slowly: Callable[[], Awaitable[bool]],
        clock: Clock,
        roll: Callable[[], float],
    ) -> None:
        """`ping(sender, full JID)`; `uptime()` in seconds, None if the server does not tell.

        `starts_slowly`: whether the server answers fences before it can keep what comes before them.
        """
        self._prover = prover
        self._ping = ping
        self._uptime = uptime
        self._starts_slowly = starts_slowly
        self._clock = clock
        self._roll = roll
        self._clients: OrderedDict[str, dict[str, None]] = OrderedDict()
        self._waiting: dict[str, list[Handed]] = {}
        self._asking: set[str] = set()
        self._proved: list[DeliveryId] = []
        self._server_started = EPOCH
        self._is_in_doubt = False
        self._offset = clock.now().timestamp() - clock.monotonic()
        self._steady_at = 0.0  # from when on the clock was not set forward for SETTLE
        self._quiet_at = 0.0  # from when on SETTLE is over for everything
        self._changed = asyncio.Event()

    def see(self, full_jid: str, *, is_there: bool) -> None:
        """A client has shown itself, or has left."""
        owner, slash, _ = full_jid.partition("/")
        if not slash:
            return
        clients = self._clients.setdefault(owner, {})
        clients.pop(full_jid, None)
        if is_there:
            clients[full_jid] = None
            self._clients.move_to_end(owner)
        if len(clients) > MAX_CLIENTS:
            del clients[next(iter(clients))]
        if not clients:
            del self._clients[owner]
        if len(self._clients) > MAX_OWNERS:
            self._clients.popitem(last=False)

    def handed(self, rows: Iterable[Handed]) -> None:
        """The server has handled these, and the store says so."""
        for row in rows:
            owner = row.to_jid.partition("/")[0]
            if owner in self._clients:
                waiting = self._waiting.setdefault(owner, [])
                waiting.append(row)
                del waiting[:-MAX_QUEUE]
        self._stay_awake()
        self._changed.set()

    async def judge(self, *, had_last_word: bool) -> None:
        """Ask whether the server still is the one that was handed things, and doubt what it was handed if not.

        `had_last_word`: the last stream ended with an error that the server wrote, so it lived through that.
        """
        self._is_in_doubt = self._is_in_doubt or not had_last_word
        uptime = await self._uptime()
        if uptime is None and not self._is_in_doubt:
            return
        self._is_in_doubt = True  # until it is written, however many streams are lost meanwhile
        started = self._clock.now() - max(timedelta(), timedelta(seconds=uptime or 0) - UPTIME_ERROR)
        if started > self._server_started + 2 * UPTIME_ERROR:
            self._clients.clear()
        self._server_started = started
        self._waiting.clear()
        self._stay_awake()
        await self._doubt(started, is_guess=uptime is None)
        if uptime is not None and uptime < YOUNG_SECONDS and await self._starts_slowly():
            await asyncio.sleep(YOUNG_SECONDS - uptime)

    async def _doubt(self, started: datetime, *, is_guess: bool) -> None:
        failures = 0
        while True:
            await self._insist(EPOCH)
            try:
                if not self._proved:  # what is proved already is not doubted
                    await self._prover.doubt(started, is_guess=is_guess)
                    self._is_in_doubt = False
                    return
            except StoreUnavailable:
                _log.warning(Event.STORE_FAILED, while_doing="doubt")
            failures += 1
            await asyncio.sleep(RECONNECT_BACKOFF.delay(failures, self._roll()))

    async def run(self) -> None:
        """Ping and commit, until the stream is gone and this is cancelled."""
        self._asking.clear()
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._changed.clear()
                for owner in self._waiting.keys() - self._asking:
                    self._asking.add(owner)
                    tasks.create_task(self._ask(owner, self._waiting.pop(owner)))
                await self._insist(self._settled_before())
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(TICK_SECONDS if self._clock.monotonic() < self._quiet_at else None):
                        await self._changed.wait()
                await asyncio.sleep(PACE_SECONDS)

    def _settled_before(self) -> datetime:
        """What was handed before this was handed SETTLE ago, though the clock may have been set forward since."""
        now, seconds = self._clock.now(), self._clock.monotonic()
        last, self._offset = self._offset, now.timestamp() - seconds
        if self._offset - last > JUMP_SECONDS:
            self._steady_at = seconds + SETTLE.total_seconds()
            self._stay_awake()
        return now - SETTLE if seconds >= self._steady_at else EPOCH

    def _stay_awake(self) -> None:
        self._quiet_at = self._clock.monotonic() + SETTLE.total_seconds() + TICK_SECONDS

    async def _ask(self, owner: str, rows: Sequence[Handed]) -> None:
        clients = tuple(self._clients.get(owner, ()))
        try:
            replies = await asyncio.gather(*(self._ping(rows[-1].sender, client) for client in clients))
        finally:
            self._asking.discard(owner)
        for client, reply in zip(clients, replies, strict=True):
            if reply is Reply.GONE:
                self.see(client, is_there=False)
        if clients and all(reply is Reply.ANSWERED for reply in replies):
            self._proved.extend(row.id for row in rows)
        self._changed.set()

    async def _insist(self, before: datetime) -> None:
        """Commit what is proved; what cannot be committed now is kept for the next time."""
        ids = tuple(self._proved)
        try:
            await self._prover.prove(ids, before)
        except StoreUnavailable:
            self._stay_awake()
            _log.warning(Event.STORE_FAILED, while_doing="prove")
        else:
            del self._proved[: len(ids)]
