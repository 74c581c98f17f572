"""A carrier that plays a script: outcomes in a row for each peer, calls on record, and a door that can be shut."""

import asyncio
import itertools
from collections import defaultdict, deque

from smsbridge.core.message import ProviderMessageId, ProviderName
from smsbridge.core.segments import Limit, LimitUnit
from smsbridge.providers.contract import Capabilities

CAPABILITIES = Capabilities(
    sms=(Limit(units=160, unit=LimitUnit.UTF8_BYTES),),
    mms_text=(Limit(units=2000, unit=LimitUnit.UTF8_BYTES),),
    media_count=3,
    media_bytes=1_000_000,
    delivery_reports=True,
    calls_per_second=1000,
    in_flight=4,
)


class ScriptedProvider:
    """Accepts what no script says otherwise about. An exception in a script is raised, anything else returned."""

    kind = "scripted"

    def __init__(self, name="scripted", capabilities=CAPABILITIES, on_call=lambda: None):
        self.name = ProviderName(name)
        self.capabilities = capabilities
        self.calls = []  # parts, in the order in which they were called
        self.accepted = []  # those that the carrier took, whether or not we came to know of it
        self.in_flight = 0
        self.most_in_flight = 0
        self._on_call = on_call
        self._scripts = defaultdict(deque)
        self._shut = {}
        self._ids = itertools.count(1)

    def script(self, peer, *outcomes):
        """What the next calls for this peer come to."""
        self._scripts[peer].extend(outcomes)

    def shut(self, peer):
        """Calls for this peer get no answer until `open`."""
        self._shut[peer] = asyncio.Event()

    def open(self, peer):
        self._shut.pop(peer).set()

    @property
    def texts(self):
        return [part.text for part in self.calls]

    async def send(self, part):
        self.calls.append(part)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        script = self._scripts[part.peer]
        outcome = script.popleft() if script else ProviderMessageId(f"pid-{next(self._ids)}")
        if not isinstance(outcome, BaseException):
            self.accepted.append(part)
        self._on_call()
        try:
            if part.peer in self._shut:
                await self._shut[part.peer].wait()
            if isinstance(outcome, BaseException):
                raise outcome
            return outcome
        finally:
            self.in_flight -= 1
