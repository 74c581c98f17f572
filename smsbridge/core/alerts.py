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
        _A.ACCOUNT: Advice(Say.ALERT_ACCOUNT(), Say.ADVICE_ACCOUNT()),
        _A.BALANCE: Advice(Say.ALERT_BALANCE(), Say.ADVICE_BALANCE()),
        _A.BOUNCE: Advice(Say.ALERT_BOUNCE(), Say.ADVICE_BOUNCE(), lasts=False),
        _A.CAP: Advice(Say.ALERT_CAP(), Say.ADVICE_CAP(), lasts=False),
        _A.CLOCK: Advice(Say.ALERT_CLOCK(), Say.ADVICE_CLOCK()),
        _A.DISK: Advice(Say.ALERT_DISK(), Say.ADVICE_DISK()),
        _A.HELD: Advice(Say.ALERT_HELD(), Say.ADVICE_HELD()),
        _A.LISTS: Advice(Say.ALERT_LISTS(), Say.ADVICE_LISTS()),
        _A.LOOP: Advice(Say.ALERT_LOOP(), Say.ADVICE_LOOP(), lasts=False),
        _A.QUARANTINE: Advice(Say.ALERT_QUARANTINE(), Say.ADVICE_QUARANTINE(), lasts=False),
        _A.RATION: Advice(Say.ALERT_RATION(), Say.ADVICE_RATION(), lasts=False),
        _A.RECONCILE: Advice(Say.ALERT_RECONCILE(), Say.ADVICE_RECONCILE()),
        _A.STREAM: Advice(Say.ALERT_STREAM(), Say.ADVICE_STREAM()),
        _A.UNSTEADY: Advice(Say.ALERT_UNSTEADY(), Say.ADVICE_UNSTEADY()),
        _A.WAITING: Advice(Say.ALERT_WAITING(), Say.ADVICE_WAITING()),
        _A.WEBHOOKS: Advice(Say.ALERT_WEBHOOKS(), Say.ADVICE_WEBHOOKS()),
    }
)


def lasting(span: timedelta) -> Phrase:
    """`40 seconds`, `12 minutes`, `5 hours`, `3 days`."""
    seconds = max(0, round(span.total_seconds()))
    for unit, length in ((Say.DAYS, 86400), (Say.HOURS, 3600), (Say.MINUTES, 60)):
        if seconds >= 2 * length:
            return unit(n=round(seconds / length))
    return Say.SECONDS(n=seconds)
