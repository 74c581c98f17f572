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


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """`what` it is and what `to_do`, both whole sentences. `lasts`: a condition, not an occurrence."""

    what: str
    to_do: str
    lasts: bool = True


_A = Alert

ADVICE: Final[Mapping[Alert, Advice]] = MappingProxyType(
    {
        _A.ACCOUNT: Advice(
            what="A carrier does not accept an account as it is configured.",
            to_do="Put it right in the carrier's portal or in the configuration, then reload.",
        ),
        _A.BALANCE: Advice(
            what="The balance of an account is low.",
            to_do="Add funds in the carrier's portal: without them nothing is sent.",
        ),
        _A.BOUNCE: Advice(
            what="The XMPP server returned a text.",
            to_do="See whether the account exists, and whether its server can be reached and keeps messages.",
            lasts=False,
        ),
        _A.CAP: Advice(
            what="A cap is nearly used up.",
            to_do="If this is as it should be, raise it under caps and reload.",
            lasts=False,
        ),
        _A.CLOCK: Advice(
            what="This machine's clock is wrong.",
            to_do="Set it, and let it be kept (timedatectl set-ntp true): times and daily limits follow it.",
        ),
        _A.DISK: Advice(
            what="The disk with the database is nearly full.",
            to_do="Make room. Until then new texts are refused; carriers come again with theirs, but not for ever.",
        ),
        _A.HELD: Advice(
            what="A carrier takes no texts from an account or a number.",
            to_do="Look into the carrier's portal. One text at a time tries whether it is mended.",
        ),
        _A.LISTS: Advice(
            what="The list of a carrier cannot be read.",
            to_do="Look for poll_failed in the journal: what a webhook misses is not found meanwhile.",
        ),
        _A.LOOP: Advice(
            what="Two machines seem to answer each other.",
            to_do="Look for an automatic answer at the owner's client, and switch it off.",
            lasts=False,
        ),
        _A.QUARANTINE: Advice(
            what="A text could not be shown, and was set aside.",
            to_do="Please report it: it is kept, and nothing else waits for it.",
            lasts=False,
        ),
        _A.RATION: Advice(
            what="The messages that a carrier takes in a day are nearly used up.",
            to_do="Ask the carrier for more if you need them, and set daily_limit.",
            lasts=False,
        ),
        _A.RECONCILE: Advice(
            what="What became of a send in doubt cannot be found out at a carrier.",
            to_do="Look at the list in its portal. Texts in doubt are not sent again; their writers are told.",
        ),
        _A.STREAM: Advice(
            what="There is no stream to the XMPP server.",
            to_do="See that it runs and knows the component. What comes in meanwhile is kept.",
        ),
        _A.UNSTEADY: Advice(
            what="The stream to the XMPP server breaks again and again.",
            to_do="Look for stream_lost in the journal, for a second smsbridge, at the server's limits for components.",
        ),
        _A.WAITING: Advice(
            what="Something has waited for too long.",
            to_do="delivery: the XMPP server does not take it; outbox: the carrier does not. The journal says why.",
        ),
        _A.WEBHOOKS: Advice(
            what="Webhooks of a carrier are not arriving.",
            to_do="Look at the URL in its portal, at the reverse proxy and at the key.",
        ),
    }
)


def lasting(span: timedelta) -> str:
    """`40 seconds`, `12 minutes`, `5 hours`, `3 days`."""
    seconds = max(0, round(span.total_seconds()))
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= 2 * length:
            return f"{round(seconds / length)} {unit}s"
    return f"{seconds} second{'' if seconds == 1 else 's'}"
