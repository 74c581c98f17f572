"""Pace, claim, send, settle: one loop for each provider that sends, one task for each part in flight.

The pace comes before the claim: what is claimed is sent at once, so a kill leaves as little as can be in doubt. While
an account or a line is on hold, one part at a time probes whether the fault is gone.
"""

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from smsbridge.bridge import enclosing, rationing, settling, wishes
from smsbridge.bridge.bell import Bell
from smsbridge.bridge.desk import Desk
from smsbridge.bridge.pacer import Pacer
from smsbridge.core.errors import Deferred, Hold, Indeterminate, Outcome, Reason, Refused, Rejected, StoreUnavailable
from smsbridge.core.message import Part, ProviderMessageId, ProviderName
from smsbridge.core.state import PartState
from smsbridge.core.words.say import Say
from smsbridge.failpoints import failpoint
from smsbridge.log import Event, Log
from smsbridge.providers.contract import Provider, Sends
from smsbridge.store import claims, conversations, holds, outbox
from smsbridge.store.database import Transaction

LEASE = timedelta(minutes=3)  # longer than any call's deadline: past it the claimant is dead
# So long after its claim nothing is sent any more. A machine that stood still meanwhile may have lost the house, and
# whoever has it sends the text once more when the carrier's lists have lacked it for long.
STALE = timedelta(seconds=30)  # files are to be loaded in that time, and a settle time is to be longer
LOOK_AGAIN = 30.0  # seconds between looks when nothing rings
AFTER_STORE_FAULT = 1.0  # seconds
REFUSED_AT_ONCE = 50  # parts in one transaction, which is to be over long before anybody's deadline
TURN = LEASE.total_seconds() + 60  # every slot may be taken by a call for as long as a lease

_log = Log("dispatcher")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """A part to send, if there is one; whether somebody was told something, and what was put on hold, on the way.

    Without a part, none was due at `at`; unless there may be more to refuse first (`is_cut_short`).
    """

    at: datetime
    part: Part | None = None
    is_probe: bool = False
    told: bool = False
    held: tuple[str, ...] = ()
    is_cut_short: bool = False


class Dispatcher:
    """Sends one provider's parts until it is drained."""

    def __init__(
        self, desk: Desk, provider: Provider, sends: Sends, pacer: Pacer, bell: Bell, *,
        on_unknown: Callable[[], None], roll: Callable[[], float] = random.random,
    ) -> None:  # fmt: skip
        self._desk = desk
        self._name: ProviderName = provider.name
        self._loop = f"dispatcher {provider.name}"
        self._sends = sends
        self._pacer = pacer
        self._bell = bell
        self._on_unknown = on_unknown
        self._roll = roll
        self._is_draining = False

    async def run(self) -> None:
        """Until `drain`; returns when nothing of ours is in flight any more."""
        async with asyncio.TaskGroup() as group:
            while not self._is_draining:
                self._beat()
                try:
                    await self._look(group)
                except StoreUnavailable as error:
                    _log.error(Event.STORE_FAILED, error=str(error))
                    await self._bell.wait(AFTER_STORE_FAULT)
            self._desk.pulse.rest(self._loop)

    def drain(self) -> None:
        """Claim nothing more; what is in flight is finished and settled."""
        self._is_draining = True
        self._bell.ring()

    def _beat(self) -> None:
        self._desk.pulse.beat(self._loop, TURN)

    async def _look(self, group: asyncio.TaskGroup) -> None:
        """Start on the next part, or wait until there may be one."""
        await self._pacer.enter()
        found, since = _Found(at=self._desk.now()), self._desk.clock.monotonic()
        try:
            if not self._is_draining:
                failpoint("dispatcher.claiming", StoreUnavailable)
                found = await self._desk.database.run(self._next)
        finally:
            if found.part is None:
                self._pacer.leave(is_unused=True)
        if found.told:
            self._desk.wake_stream()
        for code in found.held:
            _log.error(Event.HOLD_RAISED, provider=self._name, code=code)
        if found.part is None:
            if not found.is_cut_short:
                await self._idle(found.at)
        else:
            failpoint("dispatcher.claimed", StoreUnavailable)
            group.create_task(self._send(found.part, found.is_probe, partial(self._is_stale, found.at, since)))

    def _next(self) -> Transaction[_Found]:
        """The next part. What its writer may not send any more fails here; what is over the day's ration is held."""
        desk, held, told, refusals = self._desk, list[str](), False, 0
        while refusals < REFUSED_AT_ONCE:
            now = desk.now()
            part, is_probe = yield from self._claim(now)
            if part is None:
                break
            if refused := (yield from self._refusal(part)):
                yield from settling.refuse(desk, part, refused.reason, refused.words)
                if is_probe:
                    yield from holds.probe_instead(now, part.provider, part.did)
                told, refusals = True, refusals + 1
                continue
            over = yield from rationing.claim(desk, part, now)
            if over is None:
                break
            settled = yield from settling.put_off(desk, part, over, self._roll(), is_probe=is_probe)
            held += [over.code] if settled.is_new_hold else []
            told = True
        else:
            return _Found(at=now, told=told, held=tuple(held), is_cut_short=True)
        return _Found(at=now, part=part, is_probe=is_probe, told=told, held=tuple(held))

    def _claim(self, now: datetime) -> Transaction[tuple[Part | None, bool]]:
        desk = self._desk
        part = yield from claims.claim(desk.ids, now, self._name, desk.holder, LEASE)
        if part is not None:
            return part, False
        return (yield from claims.claim(desk.ids, now, self._name, desk.holder, LEASE, is_probe=True)), True

    def _refusal(self, part: Part) -> Transaction[Refused | None]:
        """Since the text was accepted its line may have gone to somebody else, or STOP may have come."""
        message = yield from outbox.message_of(part.id)
        line = self._desk.rules().directory.line_of(part.did)
        if line is None or line.provider != part.provider or message.owner not in line.owners:
            return Refused(Reason.NOT_OWNER, Say.NUMBER_MOVED())
        if line.honours_stop:
            word = yield from conversations.stop_word(part.did, part.peer)
            return wishes.refusal(part.peer, word) if word else None
        return None

    async def _idle(self, looked_at: datetime) -> None:
        """Until something rings, or the next part is due: after the last look, or what became due since is missed."""
        due = await self._desk.database.run(claims.next_due, looked_at, self._name)
        seconds = LOOK_AGAIN if due is None else (due - self._desk.now()).total_seconds()
        await self._bell.wait(min(LOOK_AGAIN, max(0.0, seconds)))

    def _is_stale(self, claimed_at: datetime, since: float) -> bool:
        """By either clock: one of them may stop while the machine sleeps."""
        waited = timedelta(seconds=self._desk.clock.monotonic() - since)
        return max(waited, self._desk.now() - claimed_at) > STALE

    async def _send(self, part: Part, is_probe: bool, is_stale: Callable[[], bool]) -> None:
        try:
            outcome = await self._attempt(part, is_stale)
            await self._settle(part, outcome, is_probe)
        finally:
            self._pacer.leave()

    async def _attempt(self, part: Part, is_stale: Callable[[], bool]) -> ProviderMessageId | Outcome:
        with self._desk.metrics.send_seconds.labels(self._name).time():
            try:
                async with asyncio.timeout(LEASE.total_seconds()):
                    whole = await enclosing.with_files(self._desk, part) if part.media else part
                    if whole is None:
                        return Deferred(Reason.MEDIA_UNFETCHED, "file_lost", hold=Hold.MEDIA)
                    if is_stale():
                        return Deferred(Reason.THROTTLED, settling.CLAIMED_LONG_AGO)
                    provider_id = await self._sends.send(whole)
            except (Rejected, Deferred, Indeterminate) as outcome:
                return outcome
            except TimeoutError:
                return Indeterminate("timeout")
            except Exception as error:  # noqa: BLE001  # a bug in a provider: whether the part left is unknown
                _log.crash(Event.SEND_CRASHED, error, part=part.id)
                return Indeterminate("crash")
        return provider_id if isinstance(provider_id, str) else Indeterminate("no_id")

    async def _settle(self, part: Part, outcome: ProviderMessageId | Outcome, is_probe: bool) -> None:
        """Try until the store takes it: what is known now, nobody can find out later. Draining ends with the lease."""
        deadline = self._desk.clock.monotonic() + LEASE.total_seconds()
        while True:
            try:
                state = await settling.settle(self._desk, part, outcome, self._roll, is_probe=is_probe)
                break
            except StoreUnavailable as error:
                _log.error(Event.STORE_FAILED, error=str(error), part=part.id)
                if self._is_draining and self._desk.clock.monotonic() > deadline:
                    return
                if not self._is_draining:
                    self._beat()  # a store that fails is no fault of this loop
                await asyncio.sleep(AFTER_STORE_FAULT)
        if state is PartState.UNKNOWN:
            self._on_unknown()


class Dispatchers:
    """All providers that send."""

    def __init__(self, dispatchers: Mapping[ProviderName, tuple[Dispatcher, Bell]]) -> None:
        self._dispatchers = dispatchers

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for dispatcher, _ in self._dispatchers.values():
                group.create_task(dispatcher.run())

    def wake(self) -> None:
        for _, bell in self._dispatchers.values():
            bell.ring()

    def drain(self) -> None:
        for dispatcher, _ in self._dispatchers.values():
            dispatcher.drain()
