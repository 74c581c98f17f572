"""From the store to the stream: claim, render, fix, write, and settle when the fence is answered.

    claim (commit: these bytes) ─▶ one write with a fence ─pong─▶ hand (commit)
      or reserve, and their own commit  └ the stream dies ─▶ put back, and claimed again with the same bytes

While nothing waits, fresh deliveries need no claim: whoever writes them reserves room on the stream first, fixes their
bytes in the very commit, and has them written when it returns. What is claimed and nowhere is looked for only when
nothing is reserved.

Nothing is written that is not fixed; what is written and not proved is put back when the next stream begins. Deliveries
go in the order they are claimed in. A settle may overlap with the next batch; what is proved and not settled yet is
never put back. `pump` lives as long as a stream, `settle` as long as the component.
"""

import asyncio
import contextlib
import math
from collections.abc import Callable, Sequence
from typing import Final

from smsbridge.bridge.handover import Boarded, Claimed, HandOver, Rendered, Reservation, Unfit
from smsbridge.bridge.pulse import Pulse
from smsbridge.clock import Clock
from smsbridge.core.errors import StoreUnavailable
from smsbridge.core.message import Delivery, DeliveryId
from smsbridge.core.pacing import RECONNECT_BACKOFF
from smsbridge.failpoints import failpoint
from smsbridge.log import Event, Log
from smsbridge.xmpp.fence import Fence
from smsbridge.xmpp.proving import Handed
from smsbridge.xmpp.suspicion import Death, Suspicion
from smsbridge.xmpp.wire import Unrenderable

LATE_SECONDS: Final = 30.0  # after so long a commit that nobody knew of has come to pass, or never will
TURN_SECONDS: Final = 90.0  # a batch may wait so long for its fence, its store or its turn
CLOSES_STREAM: Final = "the server closes the stream over this stanza"

_log = Log("xmpp")


class Handing:
    """The pump between a `HandOver` and one stream after another.

    `write` puts bytes on the stream; it is called only while `is_up` says so.
    """

    def __init__(
        self,
        *,
        handover: HandOver,
        render: Callable[[Delivery], bytes],
        fence: Fence,
        is_up: Callable[[], bool],
        write: Callable[[bytes], None],
        on_handed: Callable[[Sequence[Handed]], None],
        pulse: Pulse,
        clock: Clock,
        roll: Callable[[], float],
        batch: int,
        window: int,
        idle: float,
    ) -> None:
        self._handover = handover
        self._render = render
        self._fence = fence
        self._is_up = is_up
        self._write = write
        self._on_handed = on_handed
        self._pulse = pulse
        self._clock = clock
        self._roll = roll
        self._batch = batch
        self._window = window
        self._idle = idle
        self._suspicion = Suspicion()
        self._written: dict[DeliveryId, Handed] = {}  # on this stream
        self._proved: dict[DeliveryId, Handed] = {}  # by the fence, and not settled yet
        self._changed = asyncio.Event()
        self._is_taking = True
        self._is_in_round = False
        self._is_open = False  # to reservations: this stream's pump has put back what was lost
        self._reserved = 0
        self._settling: set[DeliveryId] = set()
        self._stream = 0  # how many there were
        self._look_at = self._last_look_at = 0.0  # for what was claimed and is nowhere
        self._ponged_at = clock.now()

    async def pump(self) -> None:
        """Hand over what there is, and what comes, until the stream is down or `drain` was called."""
        failures = 0
        self._doubt_claims()
        while self._is_taking and self._is_up():
            self._pulse.beat("hand-over", self._idle + TURN_SECONDS)
            self._is_in_round = True
            try:
                went = await self._round()
                failures = 0
            except StoreUnavailable:
                failures += 1
                self._doubt_claims()
                _log.warning(Event.STORE_FAILED, while_doing="claim")
            finally:
                self._is_in_round = False
                self._changed.set()
            if failures:
                await asyncio.sleep(RECONNECT_BACKOFF.delay(failures, self._roll()))
            elif not went:
                await self._handover.wait(self._idle)

    def reserve(self, most: int) -> Reservation:
        """Room for fresh deliveries, if nothing is wrong with what went before them."""
        is_trusted = not self._suspicion.chunk and self._suspicion.convicted is None
        is_free = self._is_open and self._is_taking and is_trusted and self._is_up() and not self._is_looking
        room = max(0, min(most, self._room)) if is_free else 0
        self._reserved += room
        riding = self._unsettled() if room else ()
        self._settling.update(riding)
        return Reservation(room=room, stream=self._stream, handed=riding, at=self._ponged_at)

    def render(self, delivery: Delivery) -> bytes | Unfit:
        """The bytes of a delivery, or why there are none."""
        try:
            return self._render(delivery)
        except Unrenderable as error:
            return Unfit(why=error.why)
        except Exception as error:  # noqa: BLE001 - one row that we cannot draw must not stop all the others
            return Unfit(why=f"rendering failed: {type(error).__name__}", error=error)

    def use(self, reservation: Reservation, boarded: Boarded) -> None:
        """Write what was committed. On another stream than it was meant for it would overtake what was lost."""
        self._reserved -= reservation.room
        self._handover.count(boarded.settled)
        self._end_settling(reservation.handed)
        if reservation.stream == self._stream:
            self._send(boarded.rendered)

    def doubt(self, reservation: Reservation) -> None:
        """Its commit seemed to fail: it is looked for."""
        if reservation.room:
            self._reserved -= reservation.room
            self._settling.difference_update(reservation.handed)
            self._doubt_claims()
            self._handover.wake()
            self._changed.set()

    async def settle(self) -> None:
        """Commit what was proved, for ever: a proof outlives its stream. Other commits may take it along."""
        failures = 0
        while True:
            await self._until(lambda: not self._reserved and bool(self._unsettled()))
            await asyncio.sleep(0)  # the next commit may begin at once
            if self._reserved or not (ids := self._unsettled()):
                continue
            self._settling.update(ids)
            try:
                await self._handover.hand(ids, self._ponged_at)
            except StoreUnavailable:
                self._settling.difference_update(ids)
                failures += 1
                _log.warning(Event.STORE_FAILED, while_doing="settle")
                await asyncio.sleep(RECONNECT_BACKOFF.delay(failures, self._roll()))
                continue
            failures = 0
            self._end_settling(ids)

    def _unsettled(self) -> tuple[DeliveryId, ...]:
        """What is proved, and in no commit yet."""
        return tuple(row for row in self._proved if row not in self._settling)

    def _end_settling(self, ids: Sequence[DeliveryId]) -> None:
        self._settling.difference_update(ids)
        self._on_handed([self._proved.pop(row) for row in ids])
        self._changed.set()

    async def settled(self) -> None:
        """Return when all that was proved so far is committed: what the server had before it can be doubted."""
        await self._until(lambda: not self._proved)

    def pong(self, stanza_id: str) -> None:
        """An answer to a fence came."""
        proved = self._fence.pong(stanza_id, self._clock.monotonic())
        if proved:
            failpoint("handing.ponged")
            self._ponged_at = self._clock.now()
        self._suspicion.acquit(proved)
        self._proved.update((row, self._written.pop(row)) for row in proved)
        self._changed.set()

    def lost(self, death: Death) -> bool:
        """The stream is gone and the pump has ended. True: a stanza of ours is to blame, and being looked for."""
        self._pulse.rest("hand-over")
        unproved = self._fence.renew()
        self._stream += 1
        self._is_open = False
        self._written.clear()
        self._suspicion.died(death, unproved)
        self._changed.set()
        return bool(unproved) and death is Death.FAULT

    async def drain(self, seconds: float) -> None:
        """Take nothing new; return when all that was written is proved and settled, or after so many seconds."""
        self._is_taking = False
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._until(
                    lambda: not (self._is_in_round or self._reserved or self._fence.in_flight or self._proved)
                )

    async def _round(self) -> bool:
        """One batch. False: there is nothing to hand over now."""
        if self._is_looking:
            now = self._clock.monotonic()
            await self._until(lambda: not self._reserved)
            await self._handover.put_back(self._busy)
            self._look_at = self._last_look_at if now < self._last_look_at else math.inf
        self._is_open = True
        while (convicted := self._suspicion.convicted) is not None:
            await self._handover.quarantine(convicted, CLOSES_STREAM)
            self._suspicion.forget(convicted)
        is_trial = bool(self._suspicion.chunk)
        await self._until(lambda: self._room > 0 and not (is_trial and (self._fence.in_flight or self._reserved)))
        if not self._is_taking:
            return False
        if is_trial:
            if not (chunk := self._suspicion.chunk):  # acquitted meanwhile
                return True
            claimed = await self._next(before=chunk[0])  # what a dead server had before them
            if claimed.is_empty:
                claimed = await self._handover.claim(len(chunk), self.render, chunk)
                self._suspicion.acquit(set(chunk).difference(item.delivery.id for item in claimed.rendered))
        else:
            claimed = await self._next()
        self._send(claimed.rendered)
        return is_trial or not claimed.is_empty

    async def _next(self, before: DeliveryId | None = None) -> Claimed:
        claimed = await self._handover.claim(min(self._batch, self._room), self.render, (), before)
        if claimed.tired is not None:
            self._suspicion.accuse(claimed.tired)
        return claimed

    def _doubt_claims(self) -> None:
        """What seemed to fail, or was cut short, may be committed all the same, and later than we look for it."""
        self._look_at = self._clock.monotonic()
        self._last_look_at = self._look_at + LATE_SECONDS

    @property
    def _is_looking(self) -> bool:
        return self._clock.monotonic() >= self._look_at

    @property
    def _busy(self) -> frozenset[DeliveryId]:
        return frozenset(self._proved).union(self._fence.in_flight)

    @property
    def _room(self) -> int:
        return self._window - len(self._written) - len(self._proved) - self._reserved

    def _send(self, rendered: Sequence[Rendered]) -> None:
        if rendered and self._is_up():
            for row in (item.delivery for item in rendered):
                self._written[row.id] = Handed(id=row.id, to_jid=row.to_jid, sender=row.sender)
            fence = self._fence.seal([item.delivery.id for item in rendered], self._clock.monotonic())
            self._write(b"".join([*(item.xml for item in rendered), fence]))
            failpoint("handing.written")

    async def _until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            self._changed.clear()
            await self._changed.wait()
