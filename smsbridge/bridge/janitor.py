"""What time does: waiting texts are told about, then expire; orphans are adopted; old content is forgotten."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

from smsbridge.bridge import confirming, telling
from smsbridge.bridge.desk import Desk
from smsbridge.bridge.telling import PATIENCE
from smsbridge.core.errors import Reason, StoreUnavailable
from smsbridge.core.message import Part
from smsbridge.core.state import PartEvent
from smsbridge.core.words.say import Say, Words
from smsbridge.failpoints import failpoint
from smsbridge.log import Event, Log
from smsbridge.store import holds, orphans, outbox, overdue, retention
from smsbridge.store.database import Transaction
from smsbridge.store.retention import Place

ROUND = 60.0  # seconds
ROUNDS_PER_FORGETTING = 60
TURN = ROUND + 60
PART_LIFE = timedelta(hours=24)  # after that a text is no longer what its writer meant
USUAL, THROTTLED = timedelta(minutes=20), timedelta(days=1, minutes=1)  # the longest waits: ours, a carrier's
AT_ONCE = 100  # rows in one transaction

_log = Log("janitor")


async def _nothing() -> None:
    """There are no files."""


class Janitor:
    """One round a minute."""

    def __init__(self, desk: Desk, sweep: Callable[[], Awaitable[None]] = _nothing) -> None:
        """`sweep` throws away the files that nobody may have any more."""
        self._desk = desk
        self._sweep = sweep

    async def run(self) -> None:
        rounds = 0
        while True:
            self._desk.pulse.beat("janitor", TURN)
            try:
                await self.adopt()  # first: forgetting may take a while
                if rounds % ROUNDS_PER_FORGETTING == 0:
                    await self.forget()
                await self.pull_in()
                await self.expire()
                await self.tell_waiting()
                rounds += 1
            except StoreUnavailable as error:
                _log.error(Event.STORE_FAILED, error=str(error))
            await asyncio.sleep(ROUND)

    async def forget(self) -> None:
        """Empty the bodies and delete the rows whose time is over."""
        place: Place | None = retention.BEGIN
        spans = self._desk.rules().spans
        while place is not None:
            failpoint("forgetting.begun", StoreUnavailable)
            place = await self._desk.database.run(retention.forget, self._desk.now(), spans, place)
            failpoint("forgetting.forgotten", StoreUnavailable)
            self._desk.pulse.beat("janitor", TURN)
        await self._sweep()
        await self._desk.database.wipe()

    async def adopt(self) -> None:
        """What waits for a component that nobody speaks for any more goes to ours."""
        desk = self._desk
        while count := await desk.database.run(orphans.adopt, desk.ids, desk.now(), desk.domain, AT_ONCE):
            desk.pulse.beat("janitor", TURN)
            _log.warning(Event.DELIVERIES_ADOPTED, count=count)
            desk.wake_stream()

    async def pull_in(self) -> None:
        """After the clock was set back nothing waits for longer than is usual."""
        moved = overdue.AT_ONCE
        while moved >= overdue.AT_ONCE:
            moved = await self._desk.database.run(overdue.pull_in, self._desk.now(), USUAL, THROTTLED)
            self._desk.pulse.beat("janitor", TURN)
            if moved:
                self._desk.wake_senders()

    async def expire(self) -> None:
        """Give up on parts that no carrier took within a day, and on those whose account or number is gone."""
        while gone := await self._desk.database.run(self._give_up):
            self._desk.pulse.beat("janitor", TURN)
            for part in gone:
                _log.warning(Event.PART_EXPIRED, part=part.id)
            self._desk.wake_stream()

    async def tell_waiting(self) -> None:
        """A word to those whose texts have not left for a while, and why."""
        while await self._desk.database.run(self._tell_waiting):
            self._desk.pulse.beat("janitor", TURN)
            self._desk.wake_stream()

    def _give_up(self) -> Transaction[list[Part]]:
        gone = []
        for part in (yield from overdue.expired(self._desk.now() - PART_LIFE, AT_ONCE)):
            reason, code, words = yield from self._obstacle(part)
            if reason not in {Reason.EXPIRED, Reason.UNCONFIRMED}:
                words = Say.NOT_WITHIN_A_DAY(why=words)
            if (yield from self._expire(part, reason, code, words)):
                gone.append(part)
                if reason is Reason.UNCONFIRMED:
                    yield from confirming.end(self._desk, part.id, code)
        return gone + (yield from self._give_up_of_others())

    def _give_up_of_others(self) -> Transaction[list[Part]]:
        """What waits for an account that is gone, or at one where its number is not any more."""
        gone = []
        served = {(line.provider, line.did) for line in self._desk.rules().directory}
        accounts = {provider for provider, _ in served}
        for part in (yield from overdue.of_others(served, AT_ONCE)):
            reason, code, words = Reason.LINE_FAULT, "no_account", Say.NO_ACCOUNT()
            if part.provider in accounts:
                reason, code, words = Reason.NOT_OWNER, Reason.NOT_OWNER.value, Say.NUMBER_MOVED()
            if (yield from self._expire(part, reason, code, words)):
                gone.append(part)
        return gone

    def _expire(self, part: Part, reason: Reason, code: str, words: Words) -> Transaction[bool]:
        desk = self._desk
        moved = yield from outbox.move(
            desk.ids, desk.now(), "janitor", part.id, PartEvent.EXPIRE, reason=reason, code=code, words=words
        )
        if moved is not None:
            yield from telling.tell(desk, part.id)
        return moved is not None

    def _obstacle(self, part: Part) -> Transaction[tuple[Reason, str, Words]]:
        """What keeps a part from leaving: its writer, the hold it is behind, what its last try met, else only time."""
        status = next(status for status in (yield from outbox.parts_of(part.message_id)) if status.id == part.id)
        for hold in (yield from holds.current()):
            if hold.covers(part.provider, part.did) and status.reason != Reason.UNCONFIRMED:
                return self._worded(Reason(hold.reason), hold.code, hold.words)
        if status.reason:
            return self._worded(Reason(status.reason), status.code, status.words)
        return Reason.EXPIRED, "expired", ""

    def _worded(self, reason: Reason, code: str, words: Words) -> tuple[Reason, str, Words]:
        return reason, code, words or reason.words

    def _tell_waiting(self) -> Transaction[int]:
        waiting = yield from overdue.waiting_untold(self._desk.now() - PATIENCE, AT_ONCE)
        for part in waiting:
            reason, _, words = yield from self._obstacle(part)
            if reason is Reason.MEDIA_UNFETCHED:
                words = Say.FILE_IS_LATE()
            message = yield from outbox.message_of(part.id)
            yield from telling.tell_waiting(self._desk, message, words)
        return len(waiting)
