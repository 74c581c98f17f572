"""Is an account in order? Asked at start, after a reload and every few hours, before a text would find it out.

What the carrier did not say leaves an alert as it is.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from typing import Final

from smsbridge.bridge import alerts
from smsbridge.bridge.desk import Desk
from smsbridge.bridge.pacer import Pacer, Rank
from smsbridge.core.address import Did
from smsbridge.core.alerts import Alert
from smsbridge.core.errors import StoreUnavailable
from smsbridge.core.message import ProviderName
from smsbridge.core.words.say import Language
from smsbridge.core.words.tell import Tell
from smsbridge.core.words.wording import worded
from smsbridge.log import Event, Log
from smsbridge.providers.contract import Checked, Finding
from smsbridge.store.database import Transaction

ROUND: Final = 4 * 3600.0  # seconds
AFTER_FAULT: Final = 900.0

_log = Log("checkup")


class Checkup:
    """Of one account. `dids`: those that the configuration sends over it."""

    def __init__(
        self, desk: Desk, name: ProviderName, carrier: Checked, pacer: Pacer, dids: Callable[[], Collection[Did]]
    ) -> None:
        self._desk = desk
        self._name = name
        self._carrier = carrier
        self._pacer = pacer
        self._dids = dids

    async def run(self) -> None:
        while True:
            wait = ROUND if await self.look() else AFTER_FAULT
            await asyncio.sleep(wait)

    async def look(self) -> bool:
        """Once; whether the account told all that was asked. Raises nothing."""
        try:
            async with self._pacer.slot(Rank.POLL):
                findings = await self._carrier.check(self._dids())
        except Exception as error:  # noqa: BLE001  # a bug in a check must not end what works
            _log.crash(Event.PROVIDER_CHECK_FAILED, error, provider=self._name)
            return False
        for finding in findings:
            say, event = (
                (_log.info, Event.PROVIDER_CHECKED) if finding.is_good else (_log.error, Event.PROVIDER_CHECK_FAILED)
            )
            say(event, provider=self._name, words=worded(finding.words, Language.ENGLISH))
        try:
            await self._desk.database.run(self._tell, findings)
        except StoreUnavailable as error:
            _log.error(Event.STORE_FAILED, error=str(error))
            return False
        self._desk.wake_stream()
        return all(finding.is_good or finding.alert is not None for finding in findings)

    def _tell(self, findings: Sequence[Finding]) -> Transaction[None]:
        of_kind: dict[Alert, list[Finding]] = defaultdict(list)
        for finding in findings:
            if finding.alert is not None:
                of_kind[finding.alert].append(finding)
        for kind, its in of_kind.items():
            bad = tuple(finding.words for finding in its if not finding.is_good)
            if bad:
                yield from alerts.sound(self._desk, kind, self._name, Tell.ACCOUNT(name=self._name, findings=bad))
            elif self._is_over(findings, kind):
                good = Tell.ACCOUNT(name=self._name, findings=tuple(finding.words for finding in its))
                yield from alerts.clear(self._desk, kind, self._name, good)

    def _is_over(self, findings: Sequence[Finding], kind: Alert) -> bool:
        """A login that works is no proof that the rest does, if the carrier did not tell the rest."""
        return kind is not Alert.ACCOUNT or all(finding.alert is not None for finding in findings)
