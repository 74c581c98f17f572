"""Which carriers cannot be reached, as the last calls to send found out. In memory: a new life finds out anew."""

from datetime import timedelta
from typing import Final

from smsbridge.clock import Clock
from smsbridge.core.errors import Outcome, Reason
from smsbridge.core.message import ProviderMessageId, ProviderName

STALE: Final = timedelta(minutes=20)  # longer than the back-off: what waited was tried again, or nothing waits


class Carriers:
    """One for the whole bridge."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._silent: dict[ProviderName, float] = {}  # when it was tried last

    def heard(self, provider: ProviderName, outcome: ProviderMessageId | Outcome) -> None:
        """What a call to send came to."""
        if isinstance(outcome, Outcome) and outcome.reason is Reason.PROVIDER_DOWN:
            self._silent[provider] = self._clock.monotonic()
        else:
            self._silent.pop(provider, None)

    def is_silent(self, provider: ProviderName) -> bool:
        """Whether the last call did not reach it, and that is not long ago."""
        tried = self._silent.get(provider)
        return tried is not None and self._clock.monotonic() - tried < STALE.total_seconds()
