"""Ask a carrier that does not tell by itself which texts have arrived, while somebody waits for a tick.

    left ─▶ asked after a third of what its list may lag, then at ever longer distances ─▶ delivered | failed
         └─ a day without a word: nobody waits any more, and there is no tick

While nobody waits no call is made. What the usual looks into the list show (`poller`) counts as well, so a late
failure is found on lines whose tick is the carrier's yes.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from smsbridge.bridge.desk import Desk
from smsbridge.bridge.inbound import Inbound
from smsbridge.bridge.pacer import Pacer, Rank
from smsbridge.core.errors import Outcome, StoreUnavailable
from smsbridge.core.message import DeliveryReport, ProviderName
from smsbridge.core.pacing import POLL_BACKOFF
from smsbridge.log import Event, Log
from smsbridge.providers.contract import Reported
from smsbridge.store import reports

BOUND: Final = timedelta(days=1)  # after so long a report does not come any more
RAREST: Final = timedelta(minutes=15)
LONGEST_LOOK: Final = 300.0  # seconds: a list may take several calls, each up to a minute
TURN: Final = LONGEST_LOOK + 120
OVERLAP: Final = timedelta(minutes=75)  # the list's clock may be an hour off

_log = Log("reporting")


class Reporting:
    """Looks for the reports of one account."""

    def __init__(
        self,
        desk: Desk,
        name: ProviderName,
        provider: Reported,
        pacer: Pacer,
        inbound: Inbound,
        *,
        roll: Callable[[], float],
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._desk = desk
        self._name = name
        self._provider = provider
        self._pacer = pacer
        self._inbound = inbound
        self._roll = roll
        self._pause = pause
        self._asked_at: datetime | None = None
        self._failures = 0

    async def run(self) -> None:
        while True:
            wait = (await self.look()).total_seconds()
            self._desk.pulse.beat(f"reports {self._name}", wait + TURN)
            await self._pause(wait)

    async def look(self) -> timedelta:
        """Ask, if it is time to; how long to wait then. Raises nothing."""
        try:
            wait = await self._look()
        except StoreUnavailable as error:
            _log.error(Event.STORE_FAILED, error=str(error))
            return RAREST / 15
        except (Outcome, TimeoutError) as error:
            _log.warning(Event.POLL_FAILED, provider=self._name, code=getattr(error, "code", "timeout"))
        except Exception as error:  # noqa: BLE001 - a list that we cannot read is no reason to stop reading it
            _log.crash(Event.POLL_FAILED, error, provider=self._name)
        else:
            self._failures = 0
            return wait
        self._failures += 1
        return timedelta(seconds=POLL_BACKOFF.delay(self._failures, self._roll()))

    async def _look(self) -> timedelta:
        desk, now = self._desk, self._desk.now()
        shortest = desk.unknowns(self._name).settle / 3
        while gone := await desk.database.run(reports.give_up, now - BOUND):
            _log.warning(Event.REPORTS_MISSING, provider=self._name, count=gone)
        waiting = await desk.database.run(reports.awaited, self._name)
        if not waiting:
            return shortest
        distance = min(max(shortest, (now - waiting[0].accepted_at) / 2), RAREST)
        # not by a clock that was set back since
        if self._asked_at is not None and timedelta(0) <= now - self._asked_at < distance:
            return shortest
        self._asked_at = now
        dids = [line.did for line in desk.rules().directory if line.provider == self._name]
        async with self._pacer.listing(Rank.POLL), asyncio.timeout(LONGEST_LOOK):
            shown = await self._provider.reports(waiting[-1].accepted_at - OVERLAP, now, dids)
        await take(self._desk, self._name, self._inbound, shown)
        return shortest


async def take(desk: Desk, name: ProviderName, inbound: Inbound, shown: Sequence[DeliveryReport]) -> None:
    """Through the door what is news. Raises `StoreUnavailable`."""
    if news := (await desk.database.run(reports.news, name, shown) if shown else ()):
        await inbound.take_listed(news)
        desk.wake_stream()
