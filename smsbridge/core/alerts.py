"""What an admin has to know, as a closed list: each kind with what it is, and what to do about it.

A condition lasts until it is seen to be over. An occurrence has no end of its own: it is over when it has not come
again for a while.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from smsbridge.core.words.say import Phrase, Say
from smsbridge.core.words.tell import Tell


class Alert(StrEnum):
    """A column value, a metric label and a log word."""

    ACCOUNT = "account"
    BALANCE = "balance"
    BOUNCE = "bounce"
    CAP = "cap"
    CLOCK = "clock"
    DISK = "disk"
    HELD = "held"
    LISTS = "lists"
    LOOP = "loop"
    QUARANTINE = "quarantine"
    RATION = "ration"
    RECONCILE = "reconcile"
    STREAM = "stream"
    UNSTEADY = "unsteady"
    WAITING = "waiting"
    WEBHOOKS = "webhooks"


@dataclass(frozen=True, slots=True)
class Advice:
    """`what` it is and what `to_do`, both whole sentences of the catalogue. `lasts`: a condition, not an occurrence."""

    what: Phrase
    to_do: Phrase
    lasts: bool = True


_A = Alert

ADVICE: Final[Mapping[Alert, Advice]] = MappingProxyType(
    {
        _A.ACCOUNT: Advice(Tell.ALERT_ACCOUNT(), Tell.ADVICE_ACCOUNT()),
        _A.BALANCE: Advice(Tell.ALERT_BALANCE(), Tell.ADVICE_BALANCE()),
        _A.BOUNCE: Advice(Tell.ALERT_BOUNCE(), Tell.ADVICE_BOUNCE(), lasts=False),
        _A.CAP: Advice(Tell.ALERT_CAP(), Tell.ADVICE_CAP(), lasts=False),
        _A.CLOCK: Advice(Tell.ALERT_CLOCK(), Tell.ADVICE_CLOCK()),
        _A.DISK: Advice(Tell.ALERT_DISK(), Tell.ADVICE_DISK()),
        _A.HELD: Advice(Tell.ALERT_HELD(), Tell.ADVICE_HELD()),
        _A.LISTS: Advice(Tell.ALERT_LISTS(), Tell.ADVICE_LISTS()),
        _A.LOOP: Advice(Tell.ALERT_LOOP(), Tell.ADVICE_LOOP(), lasts=False),
        _A.QUARANTINE: Advice(Tell.ALERT_QUARANTINE(), Tell.ADVICE_QUARANTINE(), lasts=False),
        _A.RATION: Advice(Tell.ALERT_RATION(), Tell.ADVICE_RATION(), lasts=False),
        _A.RECONCILE: Advice(Tell.ALERT_RECONCILE(), Tell.ADVICE_RECONCILE()),
        _A.STREAM: Advice(Tell.ALERT_STREAM(), Tell.ADVICE_STREAM()),
        _A.UNSTEADY: Advice(Tell.ALERT_UNSTEADY(), Tell.ADVICE_UNSTEADY()),
        _A.WAITING: Advice(Tell.ALERT_WAITING(), Tell.ADVICE_WAITING()),
        _A.WEBHOOKS: Advice(Tell.ALERT_WEBHOOKS(), Tell.ADVICE_WEBHOOKS()),
    }
)


def lasting(span: timedelta) -> Phrase:
    """`40 seconds`, `12 minutes`, `5 hours`, `3 days`."""
    seconds = max(0, round(span.total_seconds()))
    for unit, length in ((Say.DAYS, 86400), (Say.HOURS, 3600), (Say.MINUTES, 60)):
        if seconds >= 2 * length:
            return unit(n=round(seconds / length))
    return Say.SECONDS(n=seconds)
