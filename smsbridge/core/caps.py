"""How much may be sent: by one owner, from one number, by all together; in a minute, a day, a month.

Windows are fixed and begin in UTC. A text demands something of each cap that concerns it; the counters are raised in
the transaction that accepts it, and what they read then is judged: a refusal gives back what it took. A text counts
once for each message that leaves for it; money is counted in millionths, as the text is accepted.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final, Protocol

from smsbridge.core.errors import Reason, Refused
from smsbridge.core.words.say import Phrase, Say

MILLION: Final = 1_000_000
ALERT_AT: Final = (100, 80, 50)  # per cent, the most urgent first


class Span(StrEnum):
    """For how long a counter counts."""

    MINUTE = "minute"
    DAY = "day"
    MONTH = "month"


class Unit(StrEnum):
    """What is counted."""

    TEXTS = "texts"
    NEW_PEERS = "new numbers"
    MONEY = "money"


class Whose(StrEnum):
    """Whom a cap holds, as the configuration names it."""

    OWNER = "per_owner"
    DID = "per_did"
    WHOLE = "whole"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """The most that one of them may send; None where there is no cap. Money in millionths."""

    minute: int | None = None
    day: int | None = None
    new_peers_a_day: int | None = None
    spend_a_day: int | None = None
    spend_a_month: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """What a segment and an MMS cost, in millionths."""

    sms: int
    mms: int
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """All caps that are in force. Without prices nothing is known of money."""

    caps: Mapping[Whose, Caps] = field(default_factory=dict)
    prices: Prices | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What a text would add: the messages it leaves as, whether its number is new, what it costs in millionths."""

    texts: int
    is_new_peer: bool
    cost: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """Something that a text takes of a cap. `key` is the cap's own in the configuration, `who` it is counted for."""

    whose: Whose
    who: str
    key: str
    unit: Unit
    amount: int
    most: int
    begins: datetime
    ends: datetime

    @property
    def scope(self) -> str:
        """The counter's name."""
        return f"{self.whose}/{self.key}/{self.who}"


class Counted(Protocol):
    """Whatever a counter is raised by: the counter's name, in which window, by how much."""

    @property
    def scope(self) -> str: ...

    @property
    def begins(self) -> datetime: ...

    @property
    def amount(self) -> int: ...


_KEYS: Final = {
    "minute": (Unit.TEXTS, Span.MINUTE),
    "day": (Unit.TEXTS, Span.DAY),
    "new_peers_a_day": (Unit.NEW_PEERS, Span.DAY),
    "spend_a_day": (Unit.MONEY, Span.DAY),
    "spend_a_month": (Unit.MONEY, Span.MONTH),
}


def window(span: Span, now: datetime) -> tuple[datetime, datetime]:
    """When the window around an instant begins and ends."""
    minute = now.astimezone(UTC).replace(second=0, microsecond=0)
    midnight = minute.replace(hour=0, minute=0)
    match span:
        case Span.MINUTE:
            return minute, minute + timedelta(minutes=1)
        case Span.DAY:
            return midnight, midnight + timedelta(days=1)
        case Span.MONTH:
            first = midnight.replace(day=1)
            return first, (first + timedelta(days=31)).replace(day=1)


def demands(limits: Limits, owner: str, did: str, load: Load, now: datetime) -> tuple[Demand, ...]:
    """What a text takes of each cap, nothing where it takes nothing."""
    who = {Whose.OWNER: owner, Whose.DID: did, Whose.WHOLE: ""}
    amounts = {Unit.TEXTS: load.texts, Unit.NEW_PEERS: int(load.is_new_peer), Unit.MONEY: load.cost}
    return tuple(
        Demand(
            whose=whose, who=who[whose], key=key, unit=unit, amount=amounts[unit], most=most,
            begins=window(span, now)[0], ends=window(span, now)[1],
        )
        for whose, caps in limits.caps.items()
        for key, (unit, span) in _KEYS.items()
        if (most := getattr(caps, key)) is not None and amounts[unit]
    )  # fmt: skip


def standing(limits: Limits, owned: Iterable[tuple[str, str]], now: datetime) -> Mapping[str, Demand]:
    """What the smallest text of any owner (with a number of his) takes of a day's or a month's caps, by scope.

    A minute's is over before anybody looks; that of new numbers holds nobody who was texted.
    """
    smallest = Load(texts=1, is_new_peer=False, cost=limits.prices.sms if limits.prices else 0)
    found = (demand for owner, did in owned for demand in demands(limits, owner, did, smallest, now))
    return {demand.scope: demand for demand in found if demand.key != Span.MINUTE}


def judge(asked: Sequence[Demand], used: Mapping[str, int], limits: Limits, now: datetime) -> None:
    """Raises `Refused` if a counter (by scope, this text included) is over its cap: by the one that opens last."""
    over = [demand for demand in asked if used[demand.scope] > demand.most]
    if over:
        last = max(over, key=lambda demand: demand.ends)
        raise Refused(Reason.OVER_CAP, _refusal(last, used[last.scope] - last.amount, limits, now))


def alerts(asked: Sequence[Demand], used: Mapping[str, int]) -> Iterator[tuple[Demand, int]]:
    """The caps of which 50, 80 or 100 per cent are used with this text, and were not before it.

    Of a minute's cap nothing is said before it is used up: it is there to be met.
    """
    for demand in asked:
        after = used[demand.scope]
        for percent in ALERT_AT[:1] if demand.key == Span.MINUTE else ALERT_AT:
            if (after - demand.amount) * 100 < demand.most * percent <= after * 100:
                yield demand, percent
                break


def in_words(demand: Demand, limits: Limits) -> Phrase:
    """`300 texts a day`, `5.00 USD a month`."""
    match demand.unit:
        case Unit.TEXTS:
            most = Say.TEXTS(n=demand.most)
        case Unit.NEW_PEERS:
            most = Say.NEW_NUMBERS(n=demand.most)
        case Unit.MONEY:
            most = Say.MONEY(amount=demand.most, currency=limits.prices.currency if limits.prices else "")
    each = {Span.MINUTE: Say.EACH_MINUTE, Span.DAY: Say.EACH_DAY, Span.MONTH: Say.EACH_MONTH}
    return each[_KEYS[demand.key][1]](most=most)


def limit_of(demand: Demand, limits: Limits) -> Phrase:
    """`the limit of 300 texts a day for you`."""
    whose = {Whose.OWNER: Say.LIMIT_OF_YOURS, Whose.DID: Say.LIMIT_OF_NUMBER, Whose.WHOLE: Say.LIMIT_OF_ALL}
    return whose[demand.whose](limit=in_words(demand, limits))


def opening(ends: datetime, now: datetime) -> Phrase:
    """`in 42 seconds`, `in 12 minutes (at 18:10 UTC)`, `on 1 December`."""
    left = ends - now
    seconds = max(1, round(left.total_seconds()))
    if seconds < 100:
        return Say.IN_SECONDS(n=seconds)
    if seconds < 100 * 60:
        return Say.IN_MINUTES(n=round(seconds / 60), at=ends)
    if left <= timedelta(days=1):
        return Say.IN_HOURS(n=round(seconds / 3600), at=ends)
    return Say.ON_DAY(at=ends)


def _refusal(demand: Demand, before: int, limits: Limits, now: datetime) -> Phrase:
    state = Say.LIMIT_WOULD_BE_PASSED if demand.amount > demand.most - before > 0 else Say.LIMIT_USED_UP
    return state(limit=limit_of(demand, limits), when=opening(demand.ends, now))
