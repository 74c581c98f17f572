"""What is done about a send of which nobody knows whether it left: when to look, and what a look proves.

    a try of unknown outcome ─▶ an early look ─▶ after the settle time: a look ─▶ a settle time later: a look
                                    │ it is there: it was sent         │ both lists are whole and lack it
                                    ▼                                  ▼
                                  found                     certainly not sent: once more, three tries in all
                                      lists that fail prove nothing: again, ever rarer, and then nobody can tell

All times are multiples of the settle time, which is longer than a call may take and the carrier's list may lag.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

MOST_TRIES: Final = 3  # of unknown outcome
EARLY: Final = 1 / 8  # only to find it: that it is not there yet says nothing
FIRST_WAIT: Final = 1 / 3  # after a list that failed; doubled each time
LONGEST_WAIT: Final = 10
PATIENCE: Final = 20  # settle times until nobody can tell
# After it has ended: a carrier may take a text long after it was asked to.
WATCH: Final = (timedelta(0), timedelta(minutes=10), timedelta(hours=1), timedelta(hours=6), timedelta(hours=24))


class OnUnknown(StrEnum):
    """What to do when nobody knows whether a text left. The names are what the operator writes."""

    RECONCILE = "reconcile"
    HOLD = "hold"
    RESEND = "resend"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknowns:
    """How one account's unknown sends are dealt with."""

    on_unknown: OnUnknown = OnUnknown.RECONCILE
    settle: timedelta = timedelta(seconds=90)

    @property
    def early(self) -> timedelta:
        """When the first look is worth its while."""
        return self.settle * EARLY


class Verdict(StrEnum):
    """What has become of a try of unknown outcome. The names are the column values."""

    OPEN = "open"
    ABSENT = "absent"  # two lists lacked it, and it was sent again
    BLIND = "blind"  # sent again without having been looked for
    UNSURE = "unsure"
    TAKEN = "taken"  # it left, and is the one copy that there is
    LATE = "late"  # it left after all, while another try was under way
    TWICE = "twice"  # it left after all, and so did another


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """One try of unknown outcome. `looks` counts those that proved nothing."""

    attempt: int
    tried_at: datetime
    opened_at: datetime
    verdict: Verdict
    looks: int = 0
    absent_at: datetime | None = None
    is_recognised: bool = field(default=False)


class Step(StrEnum):
    """What follows from a look that did not find it."""

    WAIT = "wait"
    RESEND = "resend"
    GIVE_UP = "give_up"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """`look_at`: when to look next, if there is to be a next look."""

    step: Step
    look_at: datetime | None = None
    absent_at: datetime | None = None
    looks: int = 0


def plan(doubt: Doubt, *, is_absent: bool, tries: int, now: datetime, settle: timedelta) -> Plan:
    """What to do after a look that did not find it. `is_absent`: the lists were whole and lack it."""
    opened_at = min(doubt.opened_at, now)  # the clock may have been set back
    if is_absent:
        return _after_absence(doubt, opened_at, tries, now, settle)
    end = opened_at + PATIENCE * settle
    if now >= end:
        return Plan(step=Step.GIVE_UP)
    wait = min(LONGEST_WAIT * settle, FIRST_WAIT * settle * 2**doubt.looks)
    return Plan(
        step=Step.WAIT, look_at=min(now + wait, end), absent_at=doubt.absent_at, looks=min(doubt.looks + 1, PATIENCE)
    )


def _after_absence(doubt: Doubt, opened_at: datetime, tries: int, now: datetime, settle: timedelta) -> Plan:
    if now < opened_at + settle:
        return Plan(step=Step.WAIT, look_at=opened_at + settle, looks=doubt.looks)
    absent_at = min(doubt.absent_at or now, now)
    if now < absent_at + settle:
        return Plan(step=Step.WAIT, look_at=absent_at + settle, absent_at=absent_at, looks=doubt.looks)
    return Plan(step=Step.RESEND if tries < MOST_TRIES else Step.GIVE_UP)


def next_watch(since: datetime, now: datetime, settle: timedelta) -> datetime | None:
    """When to look again for a try that was not found and became unknown at `since`; None if it is long ago."""
    moments = (since + 4 * settle + span for span in WATCH)
    return next((moment for moment in moments if moment > now), None)
