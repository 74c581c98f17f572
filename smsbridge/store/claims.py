"""Which part is tried next, and when the one after it.

A claim takes the head of a conversation and no other, so parts leave strictly one after another. While an account or
a line is on hold nothing of it is taken but one part at a time, as a probe. What that costs depends on how many lines
have something to send, not on how much waits.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from smsbridge.clock import from_ms, to_ms
from smsbridge.core.address import Did
from smsbridge.core.message import Part, ProviderName
from smsbridge.core.state import PartState
from smsbridge.core.text import normalise_body
from smsbridge.store import heads, history
from smsbridge.store.database import Row, Transaction, sql
from smsbridge.store.holds import WHOLE_ACCOUNT
from smsbridge.store.ids import Ids
from smsbridge.store.outbox import part_of

_HEAD = "SELECT p.* FROM conversation c JOIN outbox p ON p.id = c.head WHERE c.head IS NOT NULL AND c.provider = $1"
_FIRST = " ORDER BY c.due_at, c.head LIMIT 1 /* FOR UPDATE OF c SKIP LOCKED */"  # the one dialect token
_OF_ACCOUNT, _OF_LINE = " AND c.due_at <= $2", " AND c.due_at <= $2 AND c.did = $3"


@dataclass(frozen=True, slots=True)
class _Holds:
    """When each hold of an account is probed next, in epoch milliseconds; `WHOLE_ACCOUNT` is one of the dids."""

    probes: Mapping[Did, int]

    @property
    def lines(self) -> bool:
        return bool(self.probes.keys() - {WHOLE_ACCOUNT})

    def probe_at(self, did: Did) -> int | None:
        """When a part of this line may be tried again; None if nothing holds it."""
        return max((self.probes[key] for key in {WHOLE_ACCOUNT, did} if key in self.probes), default=None)

    def lets(self, did: Did, at: int, *, is_probe: bool) -> bool:
        probe_at = self.probe_at(did)
        return probe_at is not None and probe_at <= at if is_probe else probe_at is None


def claim(
    ids: Ids, now: datetime, provider: ProviderName, holder: str, lease: timedelta, *, is_probe: bool = False
) -> Transaction[Part | None]:
    """The next part that may be tried, now `sending` and ours. None if there is none.

    `is_probe`: one part of an account or a line on hold, to find out whether the fault is gone.
    """
    at = to_ms(now)
    for row in (yield from _next(provider, at, is_probe=is_probe)):
        attempt = row["attempt"] + 1
        changed = yield sql(
            "UPDATE outbox SET state = 'sending', hold = '', attempt = $2, tries = tries + 1, claimed_by = $3,"
            " claimed_at = $4, lease_until = $5, fingerprint = $6, changed_at = $4"
            " WHERE id = $1 AND attempt = $7 AND state IN ('queued', 'held') RETURNING id",
            *(row["id"], attempt, holder, at, to_ms(now + lease), _fingerprint(row), row["attempt"]),
        )
        if changed:
            yield from heads.renew([(row["did"], row["peer"])])
            if is_probe:
                yield sql(
                    "UPDATE hold SET probe_at = $3 WHERE provider = $1 AND did IN ('', $2)",
                    *(provider, row["did"], to_ms(now + lease)),
                )
            step = history.Step(
                subject="part", subject_id=row["id"], who="dispatcher", state=PartState.SENDING, attempt=attempt
            )
            yield from history.note(ids, now, step)
            return part_of(row, attempt)
    return None


def next_due(now: datetime, provider: ProviderName) -> Transaction[datetime | None]:
    """When the next part becomes due (one on hold: is probed). What is due already a claim finds."""
    at = to_ms(now)
    holds = yield from _holds(provider)
    lines = [did for _, did in (yield from heads.of_lines(provider))] if holds.lines else [WHOLE_ACCOUNT]
    found: list[int] = []
    for did in lines:
        probe_at = holds.probe_at(did) or 0
        due = yield from heads.first_due(provider, did, at if probe_at <= at else -1)
        if due is not None:
            found.append(max(due, probe_at))
    return from_ms(min(found)) if found else None


def _next(provider: ProviderName, at: int, *, is_probe: bool) -> Transaction[Sequence[Row]]:
    holds = yield from _holds(provider)
    # no probe finds out whether an operator has changed his mind, or what a writer means; and files are not there yet
    states = (
        " AND p.hold NOT IN ('lockdown', 'restore', 'pause', 'confirm', 'media')"
        if is_probe
        else " AND p.state = 'queued'"
    )
    if not holds.lines:
        if not holds.lets(WHOLE_ACCOUNT, at, is_probe=is_probe):
            return ()
        return (yield sql(f"{_HEAD}{_OF_ACCOUNT}{states}{_FIRST}", provider, at))
    for due_at, did in (yield from heads.of_lines(provider)):
        if due_at <= at and holds.lets(did, at, is_probe=is_probe):
            rows = yield sql(f"{_HEAD}{_OF_LINE}{states}{_FIRST}", provider, at, did)
            if rows:
                return rows
    return ()


def _holds(provider: ProviderName) -> Transaction[_Holds]:
    rows = yield sql(
        "SELECT did, max(probe_at) AS probe_at FROM hold WHERE provider IN ('', $1) GROUP BY did", provider
    )  # '' is a lockdown's, which is never probed
    return _Holds({Did(row["did"]): row["probe_at"] for row in rows})


def _fingerprint(row: Row) -> str:
    """What an attempt is recognised by in a carrier's list."""
    parts = (row["did"], row["peer"], normalise_body(row["text"] or ""), row["media"])
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()
