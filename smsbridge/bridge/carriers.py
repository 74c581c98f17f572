"""Which carriers cannot be reached, as the last calls to send found out. In memory: a new life finds out anew.

One call that gets no clear answer may be bad luck, two in a row are not.
"""

from datetime import timedelta
from typing import Final

from smsbridge.clock import Clock
from smsbridge.core.errors import Indeterminate, Outcome, Reason
from smsbridge.core.message import ProviderMessageId, ProviderName

STALE: Final = timedelta(minutes=20)  # longer than the back-off: what waited was tried again, or nothing waits


class Carriers:
    """One for the whole bridge."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._silent: dict[ProviderName, float] = {}  # when it was tried last
        self._doubted: set[ProviderName] = set()

    def heard(self, provider: ProviderName, outcome: ProviderMessageId | Outcome) -> None:
        """What a call to send came to."""
        is_down = isinstance(outcome, Outcome) and outcome.reason is Reason.PROVIDER_DOWN
        is_unclear = isinstance(outcome, Indeterminate)
        if is_down or (is_unclear and provider in self._doubted):
            self._silent[provider] = self._clock.monotonic()
        elif not is_unclear:
            self._silent.pop(provider, None)
        if is_unclear:
            self._doubted.add(provider)
        else:
            self._doubted.discard(provider)

    def is_silent(self, provider: ProviderName) -> bool:
        """Whether the last call did not reach it, and that is not long ago."""
        tried = self._silent.get(provider)
        return tried is not None and self._clock.monotonic() - tried < STALE.total_seconds()
