"""How many messages an account may send in a day of its carrier's, counted by us beside the carrier."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Final

from smsbridge.core.message import ProviderName

WARN_AT: Final = 80  # per cent


@dataclass(frozen=True, slots=True, kw_only=True)
class Ration:
    """`zone`: whose midnight begins the day. `is_refusing`: what is over is refused, and does not wait."""

    limit: int
    zone: tzinfo
    is_refusing: bool = False

    def day(self, now: datetime) -> tuple[datetime, datetime]:
        """When the day around an instant begins and ends."""
        today = now.astimezone(self.zone).date()
        begins, ends = (
            datetime.combine(date, time(), self.zone).astimezone(UTC) for date in (today, today + timedelta(days=1))
        )
        return begins, ends

    def alert(self, used: int) -> int | None:
        """The share of the limit, in per cent, that is reached with this message and was not before it."""
        if used == self.limit:
            return 100
        return WARN_AT if (used - 1) * 100 < self.limit * WARN_AT <= used * 100 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Helping:
    """What is taken of a day's ration: of what is `sent`, or of what is `accepted`."""

    provider: ProviderName
    what: str
    begins: datetime
    amount: int = 1

    @property
    def scope(self) -> str:
        """The counter's name."""
        return f"account/{self.what}/{self.provider}"
