"""Look at what nobody else looks at as a whole, and let the admins know: the disk, the stream, what waits, the clock.

One round in a quarter of a minute; each finds all that is so, and one transaction makes the alerts agree with it.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from smsbridge.bridge import alerts
from smsbridge.bridge.desk import Desk
from smsbridge.bridge.room import Room
from smsbridge.clock import BUILT
from smsbridge.core.alerts import Alert, lasting
from smsbridge.core.errors import StoreUnavailable
from smsbridge.core.words.say import Words
from smsbridge.core.words.tell import Tell
from smsbridge.log import Event, Log
from smsbridge.store import holds
from smsbridge.store.backlog import Backlog
from smsbridge.store.database import Transaction

ROUND: Final = 15.0  # seconds
TURN: Final = ROUND + 60
TOO_LONG: Final = timedelta(minutes=5)
WINDOW: Final = 900.0  # seconds in which a stream that is steady opens
MOST_OPENINGS: Final = 5  # times at most
STREAM: Final = "stream"

Found = dict[Alert, dict[str, Words]]

_log = Log("lookout")


@dataclass(frozen=True, slots=True, kw_only=True)
class Views:
    """Where to look. `backlog` raises `StoreUnavailable`."""

    room: Room
    backlog: Callable[[], Awaitable[Backlog]]
    stream_down_since: Callable[[], datetime | None]


class Lookout:
    """The one that watches for the admins."""

    def __init__(self, desk: Desk, views: Views) -> None:
        self._desk = desk
        self._views = views
        self._openings: deque[tuple[float, int]] = deque()
        self._is_unsteady = False

    async def run(self) -> None:
        while True:
            self._desk.pulse.beat("lookout", TURN)
            try:
                await self.look()
            except StoreUnavailable as error:
                _log.error(Event.STORE_FAILED, error=str(error))
            await asyncio.sleep(ROUND)

    async def look(self) -> None:
        """One round. Raises `StoreUnavailable`."""
        found = self._find(await self._views.backlog())
        if await self._desk.database.run(self._tell, found):
            self._desk.wake_stream()

    def _tell(self, found: Found) -> Transaction[bool]:
        has_spoken = yield from alerts.attend(self._desk)
        on_hold = {
            f"{row.provider}/{row.did}" for row in (yield from holds.current()) if row.hold not in holds.OPERATORS
        }
        ended = (yield from alerts.subjects(Alert.HELD)) - on_hold
        for subject in ended:  # not by a text that got through: it gave way to somebody's word
            has_spoken |= yield from alerts.clear(self._desk, Alert.HELD, subject)
        for kind, conditions in found.items():
            has_spoken |= yield from alerts.keep(self._desk, kind, conditions)
        return has_spoken

    def _find(self, backlog: Backlog) -> Found:
        found: Found = {Alert.DISK: {}, Alert.STREAM: {}, Alert.UNSTEADY: {}, Alert.WAITING: {}, Alert.CLOCK: {}}
        now, down_since = self._desk.now(), self._views.stream_down_since()
        if (free := self._views.room.shortage()) is not None:
            mib, floor = f"{free / 2**20:.0f}", f"{self._views.room.floor / 2**20:.0f}"
            found[Alert.DISK]["store"] = Tell.DISK_SHORT(mib=mib, floor=floor)
        is_down = down_since is not None and now - down_since > TOO_LONG
        if is_down and down_since is not None:
            found[Alert.STREAM][STREAM] = Tell.STREAM_DOWN(since=down_since)
        if times := self._unsteady():
            found[Alert.UNSTEADY][STREAM] = Tell.STREAM_UNSTEADY(n=times)
        for table, since, waited in (
            ("outbox", backlog.oldest_part, Tell.CARRIER_WAITED_FOR),
            ("delivery", None if is_down else backlog.oldest_delivery, Tell.SERVER_WAITED_FOR),
        ):
            if since is not None and now - since > TOO_LONG:
                found[Alert.WAITING][table] = waited(span=lasting(now - since))
        if now < BUILT:
            found[Alert.CLOCK]["clock"] = Tell.CLOCK_SAYS(at=now)
        return found

    def _unsteady(self) -> int:
        """How often the stream was opened lately, if that is too often; 0 again when it has settled."""
        now, openings = self._desk.clock.monotonic(), self._desk.metrics.openings()
        self._openings.append((now, openings))
        while now - self._openings[0][0] > WINDOW:
            self._openings.popleft()
        times = openings - self._openings[0][1]
        self._is_unsteady = times > MOST_OPENINGS or (self._is_unsteady and times > 1)
        return times if self._is_unsteady else 0
