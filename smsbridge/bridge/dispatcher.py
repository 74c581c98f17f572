"""Claim, pace, send, settle: one loop for each provider that sends, one task for each part in flight."""

import asyncio
import random
from collections.abc import Callable, Mapping
from datetime import timedelta

from smsbridge.bridge.bell import Bell
from smsbridge.bridge.desk import Desk
from smsbridge.bridge.pacer import Pacer
from smsbridge.bridge.settling import settle
from smsbridge.core.errors import Indeterminate, Outcome, StoreUnavailable
from smsbridge.core.message import Part, ProviderMessageId, ProviderName
from smsbridge.core.state import PartState
from smsbridge.log import Event, Log
from smsbridge.providers.contract import Provider, Sends
from smsbridge.store import outbox
from smsbridge.store.database import Transaction

LEASE = timedelta(minutes=3)  # longer than any call's deadline: past it the claimant is dead
LOOK_AGAIN = 30.0  # seconds between looks when nothing rings
AFTER_STORE_FAULT = 1.0  # seconds

_log = Log("dispatcher")


class Dispatcher:
    """Sends one provider's parts until it is drained."""

    def __init__(
        self, desk: Desk, provider: Provider, sends: Sends, pacer: Pacer, bell: Bell, *,
        on_unknown: Callable[[], None], roll: Callable[[], float] = random.random,
    ) -> None:  # fmt: skip
        self._desk = desk
        self._name: ProviderName = provider.name
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
                await self._pacer.enter()
                part = await self._claim()
                if part is None:
                    self._pacer.leave()
                    await self._idle()
                else:
                    group.create_task(self._send(part))

    def drain(self) -> None:
        """Claim nothing more; what is in flight is finished and settled."""
        self._is_draining = True
        self._bell.ring()

    async def _claim(self) -> Part | None:
        if self._is_draining:
            return None
        try:
            return await self._desk.database.run(self._next)
        except StoreUnavailable as error:
            _log.error(Event.STORE_FAILED, error=str(error))
            return None

    def _next(self) -> Transaction[Part | None]:
        desk = self._desk
        part = yield from outbox.claim(desk.ids, desk.now(), self._name, desk.holder, LEASE)
        if part is None:
            part = yield from outbox.claim(desk.ids, desk.now(), self._name, desk.holder, LEASE, is_probe=True)
        return part

    async def _idle(self) -> None:
        """Until something rings, or the next part is due."""
        if self._is_draining:
            return
        try:
            due = await self._desk.database.run(outbox.next_due, self._desk.now(), self._name)
        except StoreUnavailable:
            await asyncio.sleep(AFTER_STORE_FAULT)
            return
        seconds = LOOK_AGAIN if due is None else (due - self._desk.now()).total_seconds()
        await self._bell.wait(min(LOOK_AGAIN, max(0.0, seconds)))

    async def _send(self, part: Part) -> None:
        try:
            outcome = await self._attempt(part)
            await self._settle(part, outcome)
        finally:
            self._pacer.leave()

    async def _attempt(self, part: Part) -> ProviderMessageId | Outcome:
        with self._desk.metrics.send_seconds.labels(self._name).time():
            try:
                return await self._sends.send(part)
            except Outcome as outcome:
                return outcome
            except Exception as error:  # noqa: BLE001  # a bug in a provider: whether the part left is unknown
                _log.crash(Event.SEND_CRASHED, error, part=part.id)
                return Indeterminate("crash")

    async def _settle(self, part: Part, outcome: ProviderMessageId | Outcome) -> None:
        """Try until the store takes it, or the claim has run out and the part is `unknown` anyway."""
        deadline = self._desk.clock.monotonic() + LEASE.total_seconds()
        while True:
            try:
                state = await settle(self._desk, part, outcome, self._roll)
                break
            except StoreUnavailable as error:
                _log.error(Event.STORE_FAILED, error=str(error), part=part.id)
                if self._desk.clock.monotonic() > deadline:
                    return
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
